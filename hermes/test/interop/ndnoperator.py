"""
An operator on python-ndn, a program of its own: it gives commands and asks for datasets that C{pynfdc} has no words
for, and prints what it is told as JSON, a line for each.

    python -m hermes.test.interop.ndnoperator FACE COMMAND...

C{info}: the Content Store. C{erase PREFIX}. C{config CAPACITY}. C{register PREFIX}: as python-ndn did before packet
format v0.3, with the signature in the name. C{events}: notifications of faces, until
one has ended.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ndn.app_support import nfd_mgmt
from ndn.appv2 import NDNApp, pass_all
from ndn.encoding import Component, Name
from ndn.encoding.tlv_var import parse_and_check_tl
from ndn.security import DigestSha256Signer

from hermes.test.interop.ndnfaces import openFace


class Operator:
    """
    At one forwarder.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def _ask(self, name: Any, **options: Any) -> tuple[Any, bytes]:
        options = {"lifetime": 4000, "can_be_prefix": True, "must_be_fresh": True, **options}
        found, content, _ = await self._app.express(name, pass_all, **options)
        return found, bytes(content)

    async def _command(self, module: str, verb: str, **parameters: Any) -> dict[str, Any]:
        name = nfd_mgmt.make_command_v2(module, verb, **parameters)
        _, content = await self._ask(name, app_param=b"", signer=DigestSha256Signer(for_interest=True))
        response = nfd_mgmt.parse_response(content)
        wanted = ("status_code", "status_text", "count", "capacity")
        return {key: response[key] for key in wanted if response[key] is not None}

    async def info(self) -> None:
        """
        Tell of the Content Store.
        """
        _, content = await self._ask("/localhost/nfd/cs/info")
        info = nfd_mgmt.CsInfo.parse(parse_and_check_tl(memoryview(content), 0x80))
        tell(capacity=info.capacity, entries=info.n_cs_entries, hits=info.n_hits, misses=info.n_misses)

    async def erase(self, prefix: str) -> None:
        """
        Erase what it has under a prefix.
        """
        tell(**await self._command("cs", "erase", name=prefix))

    async def config(self, capacity: str) -> None:
        """
        Bound it.
        """
        tell(**await self._command("cs", "config", capacity=int(capacity)))

    async def register(self, prefix: str) -> None:
        """
        Register a prefix, as it was done before.
        """
        _, content = await self._ask(nfd_mgmt.make_command("rib", "register", name=prefix), can_be_prefix=False)
        response = nfd_mgmt.parse_response(content)
        tell(status_code=response["status_code"], status_text=response["status_text"], face_id=response["face_id"])

    async def events(self) -> None:
        """
        Follow the notifications, until a face has ended.
        """
        prefix = Name.from_str("/localhost/nfd/faces/events")
        tell(waiting=True)
        name, content = await self._ask(prefix, lifetime=60_000)
        while True:
            event = nfd_mgmt.FaceEventNotification.parse(content).event
            tell(event=event.face_event_kind.name, face=event.face_id, uri=event.uri)
            if event.face_event_kind == nfd_mgmt.FaceEventKind.DESTROYED:
                return
            following = Component.to_number(name[-1]) + 1
            name, content = await self._ask([*prefix, Component.from_sequence_num(following)], lifetime=60_000)


def tell(**what: Any) -> None:
    """
    Print a line.
    """
    print(json.dumps(what), flush=True)


def main(face: str, command: str, *arguments: str) -> None:
    """
    Do one thing.
    """
    app: Any = NDNApp(openFace(face))
    operator = Operator(app)

    async def run() -> None:
        await getattr(operator, command)(*arguments)
        app.shutdown()

    app.run_forever(run())


if __name__ == "__main__":
    main(*sys.argv[1:])
