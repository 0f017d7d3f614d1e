"""
Records of flows and exchanges, for tests of those who watch.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from hermes.fabric.record import FlowRecord
from hermes.messages import RequestRecord
from hermes.values import Flow, Headers, Identity, RequestHead, Target


def flowRecord(**more: Any) -> FlowRecord:
    """
    The record of a flow that is open.
    """
    flow = Flow("tcp", Target("db.hermes", 3306), ("192.0.2.7", 4000), Identity(user="alice"), "apps")
    return FlowRecord(flow, 10.0, **{"routeName": "db", "upstream": "relay", "connectDuration": 0.02, **more})


def requestRecord(headers: Headers = (), head: dict[str, Any] | None = None, **more: Any) -> RequestRecord:
    """
    The record of an exchange that has ended well.

    @param head: what else its head has, by name.
    @param more: what else the record has.
    """
    flow = Flow("http", Target("shop.example", 80), ("192.0.2.7", 4000), Identity(user="alice"), "web")
    made = RequestHead(b"GET", b"http", b"shop.example", b"/items?page=2", None, headers)
    fields = {
        "routeName": "shop",
        "upstream": "stock",
        "endpoint": "10.0.0.5:8080",
        "status": 200,
        "bytesIn": 10,
        "bytesOut": 2000,
        "tries": 1,
        "firstByteSeconds": 0.02,
        "seconds": 0.125,
        **more,
    }
    return RequestRecord(flow, evolve(made, **(head or {})), fields.pop("version", "1.1"), 10.0, **fields)
