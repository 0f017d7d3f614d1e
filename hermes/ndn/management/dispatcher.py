"""
From an Interest under C{/localhost/nfd} or C{/localhop/nfd} to the module that it is for, and back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hermes.ndn.management.authorization import Authorizer
from hermes.ndn.management.commands import (
    BAD,
    FAILED,
    FORBIDDEN,
    UNKNOWN,
    Command,
    Dataset,
    Module,
    Origin,
    Rejected,
    Reply,
)
from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.management.publisher import FRESHNESS, DatasetPublisher, NotificationStream
from hermes.ndn.packet.component import GENERIC, SEGMENT, VERSION, componentType, componentValue, generic, isNumber
from hermes.ndn.packet.data import encodeData
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.interest import Interest, decodeInterest
from hermes.ndn.packet.metainfo import MetaInfo
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.peek import DataView, InterestView, peekData
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.packet.typenumbers import CONTENT_BLOB, CONTENT_NACK
from hermes.ndn.security.errors import Untrusted

LOCALHOST: Final = Name.fromText("/localhost/nfd")
LOCALHOP: Final = Name.fromText("/localhop/nfd")
"""
Where management is asked: by programs on this host, and by neighbours.
"""

NO_CACHE: Final = 1

# Behind the prefix come module and verb.
_VERB = len(LOCALHOST) + 1


class Sender(Protocol):
    """
    Takes the answers: an L{hermes.ndn.management.internalface.InternalFace}.
    """

    def put(self, view: DataView, pitToken: bytes | None = None, cachePolicy: int | None = None) -> None:
        """
        Answer with Data.
        """


class Dispatcher:
    """
    Answers Interests.

    What is not understood is told so as far as it is a command; other Interests that nobody here has an answer to stay
    unanswered, as NFD's do.

    @ivar rejected: how many commands were refused because of who gave them.
    """

    _log = Logger()

    def __init__(
        self,
        face: Sender,
        publisher: DatasetPublisher,
        signer: Signer,
        authorizer: Authorizer,
        localhop: Authorizer | None = None,
        isLocal: Callable[[int | None], bool] = lambda faceID: True,
    ) -> None:
        """
        @param face: where answers go.
        @param signer: signs them.
        @param authorizer: for commands of programs on this host.
        @param localhop: for commands of neighbours; L{None} where they may give none.
        @param isLocal: whether a face leads to this host. The forwarder sees to it that /localhost comes from nowhere
            else; this sees that it does.
        """
        self.rejected = 0
        self._face = face
        self._publisher = publisher
        self._signer = signer
        self._authorizer = authorizer
        self._localhop = localhop
        self._isLocal = isLocal
        self._modules: dict[bytes, Module] = {}
        self._streams: list[NotificationStream] = []

    def trust(self, authorizer: Authorizer, localhop: Authorizer | None) -> None:
        """
        Obey others from now on; see L{__init__}.
        """
        self._authorizer = authorizer
        self._localhop = localhop

    def add(self, module: Module) -> None:
        """
        Answer for a module too.
        """
        self._modules[generic(module.name.encode())] = module

    def addStream(self, stream: NotificationStream) -> None:
        """
        Answer for notifications too.
        """
        self._streams.append(stream)

    def interestReceived(self, view: InterestView, pitToken: bytes | None, faceID: int | None) -> None:
        """
        Answer an Interest, now or later; or do not.
        """
        localhop = view.name.startswith(LOCALHOP.value)
        authorizer = self._localhop if localhop else self._authorizer
        if authorizer is None:
            return
        if not localhop and (not view.name.startswith(LOCALHOST.value) or not self._isLocal(faceID)):
            return
        name = Name.fromValue(view.name)
        if len(name) <= _VERB or componentType(name[_VERB]) != GENERIC:
            return
        module = self._modules.get(name[_VERB - 1])
        if module is None or (localhop and not module.localhop):
            return
        if not localhop:
            for stream in self._streams:
                if view.name.startswith(stream.prefix.value):
                    notification = stream.find(view)
                    if notification is not None:
                        self._face.put(notification, pitToken, NO_CACHE)
                    return
        verb = componentValue(name[_VERB]).decode("utf-8", "replace")
        dataset = module.datasets.get(verb)
        interest = decodeInterest(view)
        if dataset is not None:
            if not localhop:
                self._answerDataset(dataset, view, pitToken, Origin(faceID, False, interest, name))
            return
        self._answerCommand(module, verb, interest, pitToken, faceID, authorizer)

    def _answerDataset(self, dataset: Dataset, view: InterestView, pitToken: bytes | None, origin: Origin) -> None:
        found = self._publisher.find(view)
        if found is None:
            last = origin.name[-1]
            if isNumber(last, VERSION) or isNumber(last, SEGMENT):
                # Of a version that is gone, or was never there.
                return
            try:
                content = dataset(origin)
            except Rejected as rejected:
                self._respond(origin.name, rejected.response, pitToken, CONTENT_NACK)
                return
            found = self._publisher.publish(origin.name, content)
        self._face.put(found, pitToken, NO_CACHE)

    def _answerCommand(
        self,
        module: Module,
        verb: str,
        interest: Interest,
        pitToken: bytes | None,
        faceID: int | None,
        authorizer: Authorizer,
    ) -> None:
        name = interest.name
        try:
            bare = authorizer.check(interest, module.name)
        except Untrusted as error:
            self.rejected += 1
            self._log.info("{name} from face {face} was refused: {error}", name=name[:5], face=faceID, error=str(error))
            self._respond(name, ControlResponse.of(FORBIDDEN, "authorization rejected", ControlParameters()), pitToken)
            return
        command = module.commands.get(verb)
        parameters = ControlParameters()
        reply: Reply
        origin = Origin(faceID, authorizer is self._localhop, interest, bare)
        if command is None:
            self._respond(name, ControlResponse.of(UNKNOWN, "Unsupported command", parameters), pitToken)
            return
        try:
            if isinstance(command, Command):
                try:
                    parameters = _parametersOf(bare)
                except PacketError:
                    reply = ControlResponse.of(BAD, "Malformed command", parameters)
                else:
                    reply = self._run(command, parameters, origin)
            else:
                reply = command.run(origin)
        except Exception:
            self._failed(Failure(), name, parameters, pitToken)
            return
        if isinstance(reply, Deferred):
            reply.addCallbacks(
                lambda response: self._respond(name, response, pitToken),
                self._failed,
                errbackArgs=(name, parameters, pitToken),
            )
        else:
            self._respond(name, reply, pitToken)

    def _run(
        self, command: Command, parameters: ControlParameters, origin: Origin
    ) -> ControlResponse | Deferred[ControlResponse]:
        problem = command.rule.problem(parameters)
        if problem is not None:
            self._log.debug("a command has wrong parameters: {problem}", problem=problem)
            return ControlResponse.of(BAD, "failed in validating parameters", parameters)
        return command.run(parameters, origin)

    def _failed(self, failure: Failure, name: Name, parameters: ControlParameters, pitToken: bytes | None) -> None:
        self._log.failure("a command went wrong", failure)
        self._respond(name, ControlResponse.of(FAILED, "internal error", parameters), pitToken)

    def _respond(
        self, name: Name, response: ControlResponse, pitToken: bytes | None, contentType: int = CONTENT_BLOB
    ) -> None:
        metaInfo = MetaInfo(contentType, FRESHNESS)
        self._face.put(peekData(encodeData(name, response.encode(), self._signer, metaInfo)), pitToken, NO_CACHE)


def _parametersOf(name: Name) -> ControlParameters:
    """
    The arguments of a command, in the component after its verb.

    @raise PacketError: where there are none.
    """
    if len(name) <= _VERB + 1 or componentType(name[_VERB + 1]) != GENERIC:
        raise PacketError("the command has no parameters")
    return ControlParameters.decode(componentValue(name[_VERB + 1]))
