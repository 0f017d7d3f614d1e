"""
C{GET /ndn/NAME}.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hermes.errors import BadRequest
from hermes.interfaces import IAssistant, IAssistantContext, Send
from hermes.messages import BytesBody, Request, Response, textResponse
from hermes.ndn.app.consumer import certificateFetch
from hermes.ndn.app.fetching import FetchOptions
from hermes.ndn.forwarder.pipelines import MAX_COMPONENTS
from hermes.ndn.gateway.body import ObjectBody
from hermes.ndn.gateway.errors import ForwarderGone, ObjectNotFound, asHTTP
from hermes.ndn.gateway.localclient import ClientFace, LocalClient
from hermes.ndn.gateway.objects import Asking, FoundObject, find
from hermes.ndn.gateway.options import GatewayOptions, anchorsOf, policyOf
from hermes.ndn.gateway.ranges import matchesTag, partOf, unmodifiedSince
from hermes.ndn.packet.component import VERSION, isNumber
from hermes.ndn.packet.name import Name
from hermes.ndn.security.validator import Validator
from hermes.values import Headers, RequestHead, ResponseHead

_OURS: Final = tuple(Name.fromText(text) for text in ("/localhost", "/localhop"))

YEAR: Final = 31_536_000

_MORE: Final = 4
"""
Components that may follow what is asked for: C{32=metadata}, its version, its segment, and a digest.
"""


@implementer(IAssistant)
class Gateway:
    """
    Answers requests for names, and passes all others on.

    @ivar counts: how many requests were answered with which status.
    """

    _log = Logger()

    def __init__(self, name: str, options: GatewayOptions, context: IAssistantContext) -> None:
        """
        @param name: its name in the configuration.
        @raise HermesError: where an anchor is none.
        """
        self.counts: dict[int, int] = {}
        self._name = name
        self._options = options
        self._context = context
        self._path = options.path.encode()
        self._hosts = frozenset(host.lower().encode() for host in options.hosts)
        self._prefixes = tuple(Name.fromText(prefix) for prefix in options.prefixes)
        self._anchors = anchorsOf(options)
        self._policy = policyOf(options)
        self._fetching = FetchOptions(
            lifetime=int(options.timeout * 1000), retries=options.retries, ahead=options.ahead
        )
        self._service: Any = None
        self._asking: Asking | None = None

    def assist(self, request: Request, onward: Send) -> Deferred[Response]:
        head = request.head
        if not head.path.startswith(self._path) or head.protocol is not None or head.method == b"CONNECT":
            return onward(request)
        if self._hosts and _hostOf(head.authority) not in self._hosts:
            return onward(request)
        if request.body is not None:
            request.body.stopProducing()
        if head.method not in (b"GET", b"HEAD"):
            return self._counted(succeed(textResponse(405, "GET or HEAD\n", ((b"allow", b"GET, HEAD"),))))
        try:
            name = self._nameOf(head)
            asking = self._asked()
        except Exception:
            return self._counted(fail(Failure()))
        return self._counted(Deferred.fromCoroutine(self._answer(head, name, asking)))

    def _counted(self, response: Deferred[Response]) -> Deferred[Response]:
        """
        Count what becomes of a request.
        """

        def count(result: Response | Failure) -> Response | Failure:
            status = result.head.status if isinstance(result, Response) else getattr(result.value, "status", 0)
            self.counts[status] = self.counts.get(status, 0) + 1
            return result

        return response.addBoth(count)

    def _nameOf(self, head: RequestHead) -> Name:
        """
        The name that is asked for.
        """
        text = head.path[len(self._path) :].partition(b"?")[0]
        try:
            name = Name.fromText("/" + text.decode("ascii"))
        except ValueError as error:
            raise BadRequest(f"no name of NDN: {error}") from None
        if not name:
            raise BadRequest("a name has at least one component")
        if len(name) > MAX_COMPONENTS - _MORE:
            raise BadRequest(f"a name has {MAX_COMPONENTS - _MORE} components at most")
        # What is this host's own is not for whoever asks by HTTP.
        if any(prefix.isPrefixOf(name) for prefix in _OURS):
            raise ObjectNotFound("that name leads nowhere from here")
        if self._prefixes and not any(prefix.isPrefixOf(name) for prefix in self._prefixes):
            raise ObjectNotFound("that name may not be asked for")
        return name

    def _asked(self) -> Asking:
        """
        How the forwarder is asked that there is now.
        """
        service = self._context.commons.get("ndn", self._options.forwarder)
        if service is None:
            raise ForwarderGone("there is no forwarder")
        asking = self._asking
        if asking is None or service is not self._service or not asking.client.face.up:  # type: ignore[attr-defined]
            self._leave()
            self._service = service
            asking = self._asking = self._join(service)
        return asking

    def _join(self, service: Any) -> Asking:
        options = self._options
        table = service.table
        client = LocalClient(
            self._context.reactor, _nonce, service.forwarder, f"gateway://{self._name}", lambda face: _left(table, face)
        )
        table.add(client.face)
        lifetime = self._fetching.lifetime
        verifier = None
        if self._anchors:
            verifier = Validator(
                self._anchors, self._context.reactor.seconds, certificateFetch(client, lifetime), self._policy
            )
        return Asking(client, lifetime, options.retries, verifier, options.discovery)

    def _leave(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.client.close()

    async def _answer(self, head: RequestHead, name: Name, asking: Asking) -> Response:
        try:
            found = await find(asking, name)
        except Exception as error:
            raise asHTTP(error) from error
        fields = self._fields(name, found)
        etag, kept = found.etag, self._isKept(found)
        condition = head.get(b"if-match")
        if condition is not None and not matchesTag(condition, etag, True):
            return textResponse(412, "another version is there\n", ((b"etag", etag),))
        condition = head.get(b"if-none-match")
        since = head.get(b"if-modified-since") if condition is None else None
        modified = None if found.metadata is None else found.metadata.modified
        if (condition is not None and matchesTag(condition, etag, False)) or (
            since is not None and unmodifiedSince(since, modified)
        ):
            return Response(ResponseHead(304, fields), kept=kept)
        size = found.size
        part = partOf(head, size, etag)
        if part == "none":
            return textResponse(416, "no such range\n", ((b"content-range", b"bytes */%d" % (size or 0)),))
        kind = (b"content-type", found.mediaType)
        if part == "all":
            length: Headers = () if size is None else ((b"content-length", b"%d" % size),)
            answer = Response(ResponseHead(200, (kind, *fields, *length)), kept=kept)
            if head.method == b"GET" and size != 0:
                answer.body = self._body(asking, found, 0, size)
            return answer
        start, stop = part
        extent = (
            (b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, size or 0)),
            (b"content-length", b"%d" % (stop - start)),
        )
        body = self._body(asking, found, start, stop)
        return Response(ResponseHead(206, (kind, *fields, *extent)), body, kept=kept)

    def _isKept(self, found: FoundObject) -> bool:
        """
        Whether the Content Store keeps the object's packets, so that a cache of HTTP need not.
        """
        store = self._service.forwarder.cs
        return bool(store.admit and store.serve and found.size is not None and 2 * found.size < store.capacity)

    def _fields(self, asked: Name, found: FoundObject) -> Headers:
        """
        What a 304 has too.
        """
        if any(isNumber(component, VERSION) for component in asked):
            # Whoever says which version wants what never changes.
            caching = b"max-age=%d, immutable" % YEAR
        else:
            seconds = found.freshness // 1000
            caching = b"max-age=%d" % min(seconds, YEAR) if seconds else b"no-cache"
        fields: Headers = (
            (b"etag", found.etag),
            (b"cache-control", caching),
            (b"content-location", self._path + str(found.name).removeprefix("/").encode()),
            (b"x-content-type-options", b"nosniff"),
        )
        if found.size is not None:
            fields = (*fields, (b"accept-ranges", b"bytes"))
        if found.metadata is not None and found.metadata.modified is not None:
            seconds = found.metadata.modified // 1_000_000_000
            if seconds < 253_402_300_800:
                fields = (*fields, (b"last-modified", formatdate(seconds, usegmt=True).encode()))
        return fields

    def _body(self, asking: Asking, found: FoundObject, start: int, stop: int | None) -> Any:
        if not found.segmented:
            return BytesBody(bytes(found.first.content[start:stop]))
        return ObjectBody(
            asking.client, found, start, stop, self._options.makeWindow(), self._fetching, asking.verifier
        )

    def status(self) -> Mapping[str, Any]:
        return {
            "type": "ndn",
            "forwarder": self._options.forwarder,
            "requests": {str(status): count for status, count in sorted(self.counts.items())},
        }

    def close(self) -> Deferred[None]:
        self._leave()
        return succeed(None)


def _left(table: Any, face: ClientFace) -> None:
    """
    The face of a client has ended.
    """
    table.remove(face)


def _nonce() -> int:
    return int.from_bytes(os.urandom(4), "big")


def _hostOf(authority: bytes) -> bytes:
    """
    The host of an authority, in lower case.
    """
    host, colon, port = authority.rpartition(b":")
    return (host if colon and port.isdigit() else authority).lower()
