"""
What NFD's C{nfdc} sends, Interest for Interest, and what it makes of the answers.

The program itself is in no package that a test could install. What it does is known from its source (C{tools/nfdc} of
NFD, and of ndn-cxx C{mgmt/nfd} and C{util/segment-fetcher}); here python-ndn's encoder writes the same. Answers are
read as strictly as ndn-cxx reads them: it wants some parameters in the answer to each command, allows some, and refuses
others; and elements of datasets have to be in their order.
"""

from __future__ import annotations

import os
import struct
from typing import Any, Final

from Cryptodome.Hash import SHA256
from Cryptodome.PublicKey import ECC
from Cryptodome.Signature import DSS
from ndn.app_support import nfd_mgmt
from ndn.encoding import (
    BytesField,
    Component,
    InterestParam,
    KeyLocator,
    ModelField,
    Name,
    NameField,
    SignatureInfo,
    TlvModel,
    UintField,
    make_interest,
)
from ndn.security import Sha256WithEcdsaSigner

from hermes.ndn.packet.component import SEGMENT, isNumber, number
from hermes.ndn.packet.data import Data
from hermes.ndn.packet.tlv import elements
from hermes.test.ndn.management.nodes import App

TIMEOUT: Final = 10_000
"""
Lifetime of a command, in milliseconds.
"""

STATIC: Final = 255
"""
Origin of routes that it adds.
"""


class _Parameters(TlvModel):  # type: ignore[misc]
    """
    ControlParameters in ndn-cxx's order, which is not python-ndn's.
    """

    name = NameField()
    face_id = UintField(0x69)
    uri = BytesField(0x72, is_string=True)
    local_uri = BytesField(0x81, is_string=True)
    origin = UintField(0x6F)
    cost = UintField(0x6A)
    capacity = UintField(0x83)
    count = UintField(0x84)
    flags = UintField(0x6C)
    mask = UintField(0x70)
    strategy = ModelField(0x6B, nfd_mgmt.Strategy)
    expiration_period = UintField(0x6D)
    face_persistency = UintField(0x85)
    base_congestion_mark_interval = UintField(0x87)
    default_congestion_threshold = UintField(0x88)
    mtu = UintField(0x89)


class _Wrapped(TlvModel):  # type: ignore[misc]
    parameters = ModelField(0x68, _Parameters)


_FACE: Final = "face_id flags face_persistency"
_LINK: Final = "base_congestion_mark_interval default_congestion_threshold mtu"

_ANSWERS: Final = {
    "faces/create": (f"{_FACE} uri local_uri", _LINK),
    "faces/update": (_FACE, _LINK),
    "faces/destroy": ("face_id", ""),
    "cs/config": ("capacity flags", ""),
    "cs/erase": ("name count", "capacity"),
    "strategy-choice/set": ("name strategy", ""),
    "strategy-choice/unset": ("name", ""),
    "rib/register": ("name face_id origin cost flags", "expiration_period"),
    "rib/unregister": ("name face_id origin", ""),
}
"""
By command, what has to be in the body of a good answer, and what may be beside it.
"""

_FILTER: Final = {"face_id": 0x69, "scheme": 0x83, "uri": 0x72, "local_uri": 0x81}

_COUNTERS: Final = "90 91 97 92 93 98"
_ELEMENTS: Final = {
    "faces": f"69 72 81 6D? 84 85 86 87? 88? 89? {_COUNTERS} 94 95 6C",
    "status": f"80 81 82 83 84 85 86 87 {_COUNTERS} 99 9A",
    "channels": "81",
    "fib": "07 81*",
    "hop": "69 6A",
    "rib": "07 81*",
    "route": "69 6F 6A 6C 6D?",
    "cs": "83 6C 87 81 82",
    "strategy-choice": "07 6B",
}
"""
Types of the elements of each kind of item, in their order: C{?} where one need not be there, C{*} where there may be
many.
"""

_DATASETS: Final = {
    "status/general": ("status", None),
    "faces/list": ("faces", 0x80),
    "faces/query": ("faces", 0x80),
    "faces/channels": ("channels", 0x82),
    "fib/list": ("fib", 0x80),
    "rib/list": ("rib", 0x80),
    "cs/info": ("cs", 0x80),
    "strategy-choice/list": ("strategy-choice", 0x80),
}

REPORT: Final = (
    "status/general",
    "faces/channels",
    "faces/list",
    "fib/list",
    "rib/list",
    "cs/info",
    "strategy-choice/list",
)
"""
What C{nfdc status report} fetches, all at once.
"""


class CommandError(Exception):
    """
    What C{nfdc} tells its user instead of a result.

    @ivar code: a status code.
    @ivar body: its body.
    """

    def __init__(self, code: int, text: str, body: dict[str, Any]) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.body = body


class _Signer(Sha256WithEcdsaSigner):  # type: ignore[misc]
    """
    Signs Interests as ndn-cxx does: with the key of the default identity, a nonce and a time.
    """

    def __init__(self, app: App) -> None:
        super().__init__("/localhost/operator/KEY/1", ECC.generate(curve="P-256").export_key(format="DER"))
        self._app = app

    def write_signature_info(self, signature_info: Any) -> None:
        super().write_signature_info(signature_info)
        signature_info.signature_nonce = int.from_bytes(os.urandom(8), "big")
        signature_info.signature_time = int(self._app.node.now() * 1000)


class Nfdc:
    """
    One that is connected.
    """

    def __init__(self, app: App, old: bool = False) -> None:
        """
        @param old: sign as before packet format v0.3, as releases before 22.02 do.
        """
        self._app = app
        self._signer = _Signer(app)
        self._old = old

    # Commands

    def command(self, verb: str, **parameters: Any) -> dict[str, Any]:
        """
        Give a command.

        @return: the body of its answer.
        @raise CommandError: where it is refused, or the answer is not one that ndn-cxx takes.
        """
        wrapped = _Wrapped()
        wrapped.parameters = _Parameters()
        if "strategy" in parameters:
            strategy = nfd_mgmt.Strategy()
            strategy.name = parameters.pop("strategy")
            wrapped.parameters.strategy = strategy
        for name, value in parameters.items():
            setattr(wrapped.parameters, name, value)
        whole = [*Name.from_str(f"/localhost/nfd/{verb}"), Component.from_bytes(wrapped.encode())]
        data = self._app.ask(self._signedOld(whole) if self._old else self._signed(whole))
        if not isinstance(data, Data):
            raise CommandError(10060, "request timed out", {})
        code, text, body = self._response(bytes(data.content))
        if code >= 400:
            raise CommandError(code, text, body)
        required, optional = [set(names.split()) for names in _ANSWERS[verb]]
        if not required <= set(body) <= required | optional:
            raise CommandError(500, f"Invalid response: {sorted(body)}", body)
        return body

    def _signed(self, name: Any) -> bytes:
        parameters = InterestParam(nonce=self._app.nonce(), lifetime=TIMEOUT)
        return bytes(make_interest(name, parameters, b"", self._signer))

    def _signedOld(self, name: Any) -> bytes:
        info = SignatureInfo()
        info.signature_type = 3
        info.key_locator = KeyLocator()
        info.key_locator.name = self._signer.key_locator_name
        written = info.encode()
        signed = [
            *name,
            Component.from_bytes(struct.pack("!Q", int(self._app.node.now() * 1000))),
            Component.from_bytes(os.urandom(8)),
            Component.from_bytes(bytes([0x16, len(written)]) + written),
        ]
        signature = DSS.new(self._signer.key, "fips-186-3", "der").sign(SHA256.new(b"".join(map(bytes, signed))))
        whole = [*signed, Component.from_bytes(bytes([0x17, len(signature)]) + signature)]
        return bytes(make_interest(whole, InterestParam(nonce=self._app.nonce(), lifetime=TIMEOUT)))

    @staticmethod
    def _response(content: bytes) -> tuple[int, str, dict[str, Any]]:
        [(kind, start, stop)] = elements(content, 0, len(content))
        code, text, *body = [(kind, content[a:b]) for kind, a, b in elements(content, start, stop)]
        assert (kind, code[0], text[0]) == (0x65, 0x66, 0x67)
        told: dict[str, Any] = {}
        if body:
            assert body[0][0] == 0x68
            # In any order, as ndn-cxx reads these.
            for kind, a, b in elements(body[0][1], 0, len(body[0][1])):
                field = next(each for each in _Parameters._encoded_fields if each.type_num == kind)
                told[field.name] = _value(field, body[0][1][a:b])
        return int.from_bytes(code[1], "big"), text[1].decode(), told

    # Datasets

    def dataset(self, name: str, **wanted: Any) -> list[dict[int, Any]]:
        """
        Fetch a dataset: its first segment by its name, the others by theirs.

        @param wanted: the filter of C{faces/query}.
        @return: its items: values by type; a list where there may be many.
        @raise CommandError: where there is none.
        """
        return self.read(name, self.receive(self._app.ask(self.interest(name, **wanted))))

    def interest(self, name: str, **wanted: Any) -> bytes:
        """
        The first Interest for a dataset.
        """
        whole = Name.from_str(f"/localhost/nfd/{name}")
        if name == "faces/query":
            parts = b""
            for key, kind in _FILTER.items():
                if key in wanted:
                    value = wanted[key]
                    written = value.encode() if isinstance(value, str) else _nonNegative(value)
                    parts += bytes([kind, len(written)]) + written
            whole = [*whole, Component.from_bytes(bytes([0x96, len(parts)]) + parts)]
        parameters = InterestParam(can_be_prefix=True, must_be_fresh=True, nonce=self._app.nonce(), lifetime=4000)
        return bytes(make_interest(whole, parameters))

    def receive(self, first: Data | int | None) -> bytes:
        """
        Fetch what is behind a first segment.
        """
        if not isinstance(first, Data):
            raise CommandError(10060 if first is None else 10800, "Timeout", {})
        last = first.metaInfo.finalBlock
        if not isNumber(first.name[-1], SEGMENT) or last is None or not isNumber(last, SEGMENT):
            raise CommandError(500, "Data Name has no segment number", {})
        content = bytes(first.content)
        for index in range(1, number(last) + 1):
            name = [*map(bytes, first.name[:-1]), Component.from_segment(index)]
            segment = self._app.ask(bytes(make_interest(name, InterestParam(nonce=self._app.nonce(), lifetime=4000))))
            assert isinstance(segment, Data), (index, segment)
            content += bytes(segment.content)
        return content

    @staticmethod
    def read(name: str, content: bytes) -> list[dict[int, Any]]:
        """
        Read a dataset.
        """
        kind, outer = _DATASETS[name]
        if outer is None:
            return [_inOrder(kind, content)]
        items = []
        for found, start, stop in elements(content, 0, len(content)):
            assert found == outer, found
            items.append(_inOrder(kind, content[start:stop]))
        return items

    def faces(self, **wanted: Any) -> list[int]:
        """
        IDs of the faces that it finds.
        """
        return [int.from_bytes(face[0x69], "big") for face in self.dataset("faces/query", **wanted)]


def _inOrder(kind: str, value: bytes) -> dict[int, Any]:
    """
    Read elements that have to be in their order, and nothing else.
    """
    found = [(each, value[start:stop]) for each, start, stop in elements(value, 0, len(value))]
    item: dict[int, Any] = {}
    for word in _ELEMENTS[kind].split():
        wanted, many = int(word.rstrip("?*"), 16), word.endswith("*")
        if many:
            item[wanted] = []
        while found and found[0][0] == wanted:
            _, content = found.pop(0)
            if not many:
                item[wanted] = content
                break
            item[wanted].append(_inOrder({"fib": "hop", "rib": "route"}[kind], content))
        assert word.endswith("?") or wanted in item, f"missing required element {wanted:#x} of {kind}"
    assert not found, f"{kind} has {found[0][0]:#x} out of its order"
    return item


def _value(field: Any, value: bytes) -> Any:
    if isinstance(field, UintField):
        return int.from_bytes(value, "big")
    if isinstance(field, NameField):
        return Name.to_str(Name.from_bytes(bytes([7, len(value)]) + value))
    if isinstance(field, ModelField):
        return Name.to_str(Name.from_bytes(value))
    return value.decode()


def _nonNegative(value: int) -> bytes:
    size = next(size for size in (1, 2, 4, 8) if value < 1 << 8 * size)
    return value.to_bytes(size, "big")
