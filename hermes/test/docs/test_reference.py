"""
The reference says what the code does.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any, get_args

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import hermes.assembly
import hermes.control.tap
import hermes.ndn.gateway.errors
import hermes.proxylistener
import hermes.tap
from hermes.admin.entries import describe, describeRequest
from hermes.cli import commands
from hermes.config.schema import AccessLogConfig
from hermes.endpoints import ProxyAddress
from hermes.errors import FlowError, HopRefused
from hermes.fabric.record import FlowRecord
from hermes.http2.handler import EngineSettings
from hermes.test.admin.records import requestRecord
from hermes.test.docs.pages import DOCS, MISSING, blocks
from hermes.tunnel import iptunnel, tcpcapsules
from hermes.tunnel.request import ACCEPT_TEMPLATE, IP_TEMPLATE, LISTEN_TEMPLATE, TCP_TEMPLATE, UDP_TEMPLATE
from hermes.values import Flow, Identity, Target
from hermes.wire import framecapsules, ipcapsules, offload
from hermes.wire.fields import MAX_VIA
from hermes.wire.proxyprotocol import PP2_TYPE_IDENTITY

assert hermes.assembly and hermes.ndn.gateway.errors and hermes.proxylistener  # What raises errors is there.

UNITS = {"KiB": 1024, "MiB": 1 << 20, "s": 1}


def generator() -> Any:
    """
    The script that makes the tables.
    """
    specification = spec_from_file_location("hermes_docs_generate", DOCS / "generate.py")
    assert specification is not None and specification.loader is not None
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def limits() -> Iterator[tuple[str, str]]:
    """
    What the page on limits says: a bound as it is written, and the dotted name of the number.
    """
    for line in (DOCS / "reference" / "limits.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"`hermes\.[\w.]+`", cells[-1]):
            yield cells[1], cells[-1].strip("`")


def numbers(text: str) -> tuple[float, ...]:
    """
    The numbers in a text, in bytes and seconds.
    """
    found = re.findall(r"([\d.,]*\d)(?: (KiB|MiB|s)\b)?", text)
    return tuple(float(number.replace(",", "")) * UNITS.get(unit, 1) for number, unit in found)


def numberAt(name: str) -> Any:
    """
    The constant, the default of an attrs field or the default of an argument that a dotted name stands for.
    """
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        break
    *classes, last = parts[cut:]
    for each in classes:
        found = getattr(found, each)
    if attrs.has(found):
        return getattr(attrs.fields(found), last).default
    if isinstance(found, type):
        return inspect.signature(found).parameters[last].default
    return getattr(found, last)


def everyError(cls: type[FlowError]) -> set[type[FlowError]]:
    """
    The errors that have a status of their own, in all that the node imports. One that passes on another's has none.
    """
    found = {each for each in cls.__subclasses__() if each.__module__.startswith("hermes.") and each is not HopRefused}
    ours = {each for each in found if not each.__module__.startswith("hermes.test.")}
    return ours.union(*(everyError(each) for each in ours))


class ReferenceTests(SynchronousTestCase):
    """
    Pages and code beside each other.
    """

    skip = MISSING

    def test_theTablesAreThoseOfTheCode(self) -> None:
        generate = generator()
        for name in generate.PAGES:
            self.assertEqual(
                generate.renewed(name), (DOCS / "reference" / name).read_text(), "run python docs/generate.py"
            )

    def test_everyBoundIsTheOneInTheCode(self) -> None:
        told = list(limits())
        self.assertGreater(len(told), 60)
        for text, name in told:
            value = numberAt(name)
            expected = tuple(map(float, value if isinstance(value, tuple) else (value,)))
            self.assertEqual(numbers(text), expected, name)

    def test_everyFailureIsDescribed(self) -> None:
        text = (DOCS / "reference" / "wire.md").read_text()
        failures = text[text.index("## Failures") : text.index("## The ends of a stream")]
        for error in sorted(everyError(FlowError), key=lambda error: error.__name__):
            if error.status < 500 or error.proxyStatus != FlowError.proxyStatus:
                self.assertRegex(failures, rf"(?m)^\|.*\b{error.status}\b.*`{error.proxyStatus}`", error.__name__)

    def test_theWireIsTheOneInTheCode(self) -> None:
        text = (DOCS / "reference" / "wire.md").read_text()
        for template in (UDP_TEMPLATE, TCP_TEMPLATE, IP_TEMPLATE, LISTEN_TEMPLATE, ACCEPT_TEMPLATE):
            self.assertIn(f"`{template.template}`", text)
        for number in (tcpcapsules.DATA, tcpcapsules.FINAL_DATA, ipcapsules.ANNOUNCE, iptunnel.GOING_AWAY):
            self.assertIn(f"`{number:#x}`", text)
        packets = text[text.index("### IP packets") : text.index("### Listening on another proxy")]
        burst, rate = iptunnel.CONTROLS
        for words in (
            f"context ID {framecapsules.FRAMES}",
            f"{ipcapsules.MIN_MTU:,} to {ipcapsules.MAX_MTU:,}",
            f"{iptunnel.DEFAULT_OPTIONS.assumedMTU:,} is assumed",
            f"more than {offload.MAX_SEGMENTS:,} packets (UDP: {offload.MAX_DATAGRAMS})",
            f"more than {offload.MAX_HEADERS} bytes of headers",
            f"at most {ipcapsules.MAX_ADDRESSES}, one of routes {ipcapsules.MAX_ROUTES:,}",
            f"{burst} capsules of addresses, routes and the like at once and {rate:g} a second",
            f"{iptunnel.MAX_REQUESTS:,} addresses in one tunnel",
            f"{iptunnel.MAX_UNREAD >> 10} KiB of answers",
            f"within {iptunnel.LINGER:g} seconds",
        ):
            self.assertIn(words, " ".join(packets.split()))
        self.assertIn(f"`0x{PP2_TYPE_IDENTITY:X}`", text)
        settings = EngineSettings()
        self.assertIn(f"MAX_FRAME_SIZE {settings.maxFrameSize >> 20} MiB", text)
        self.assertIn(f"INITIAL_WINDOW_SIZE {settings.streamWindow >> 20} MiB", text)
        self.assertIn(f"MAX_CONCURRENT_STREAMS {settings.maxStreams:,}", text)
        self.assertIn(f"raised to {settings.connectionWindow >> 20} MiB", text)
        self.assertIn(f"there are at most {MAX_VIA};", text)

    def test_everyCommandIsDescribed(self) -> None:
        text = (DOCS / "reference" / "commands.md").read_text()
        for name in commands():
            self.assertIn(f"### hermes {name}", text)

    def test_everyOptionOfADaemonIsDescribed(self) -> None:
        text = (DOCS / "reference" / "commands.md").read_text()
        daemons = {"hermes-proxy": hermes.tap.Options(), "hermes-controller": hermes.control.tap.Options()}
        for daemon, options in daemons.items():
            _, _, section = text.partition(f"## twistd {daemon}\n")
            section = section.partition("\n## ")[0]
            for option in options.longOpt:
                name = option.rstrip("=")
                if name not in ("help", "version"):
                    self.assertRegex(section, rf"(?m)^\|.*`--{name}\b.*`.*\|")

    def test_everyFieldOfTheAccessLogIsDescribed(self) -> None:
        flow = FlowRecord(Flow("udp", Target("dns.hermes", 53), None, Identity("edge", "alice"), "dns"), 0.0)
        request = requestRecord()
        for record in (flow, request):
            record.failed(ValueError("no"))
        page = DOCS / "reference" / "access-log.md"
        text = page.read_text()
        requests, flows = text.index("## HTTP exchanges"), text.index("## Flows")
        for names, part in ((describeRequest(request, 0.0), text[requests:flows]), (describe(flow, 0.0), text[flows:])):
            for name in [*names, "event"]:
                self.assertRegex(part, rf"(?m)^\|.*`{name}`.*\|")
        flow = FlowRecord(Flow("tcp", Target("db.hermes", 3306)), Clock().seconds())
        examples = [list(json.loads(block.body)) for block in blocks(page) if block.info == "json"]
        self.assertEqual(examples, [[*describeRequest(requestRecord(), 0.0), "event"], [*describe(flow, 0.0), "event"]])

    def test_theKeysOfTheAccessLogAreDescribed(self) -> None:
        text = (DOCS / "reference" / "access-log.md").read_text()
        (formats,) = [
            get_args(each.type) for each in attrs.fields(attrs.resolve_types(AccessLogConfig)) if each.name == "format"
        ]
        for name in formats:
            self.assertIn(f"| `format: {name}` |", text)

    def test_everyParameterOfAnEndpointIsDescribed(self) -> None:
        text = (DOCS / "reference" / "endpoint-strings.md").read_text()
        for attribute in attrs.fields(ProxyAddress):
            self.assertRegex(text, rf"(?m)^\|.*`{attribute.name}`.*\|")
