"""
What one end of a channel tells the other when a call can't be answered: a name that both know, and a sentence that was
chosen for the other to read. Nothing else of an error crosses.
"""

from __future__ import annotations

from typing import ClassVar

from twisted.spread import pb

from hermes.control.errors import ControlError


class CallError(pb.Error):
    """
    The root of these. The text crosses to the peer.

    @cvar wireName: how it is called on the wire.
    @cvar ends: whether whoever made such a call loses the connection: a peer that keeps to the protocol never makes
        one.
    """

    wireName: ClassVar[str] = "hermes.Failed"
    ends: ClassVar[bool] = False


class CallFailed(CallError):
    """
    The peer could not answer: a mistake in its software, or something that it does not tell about.
    """


class BadCall(CallError):
    """
    The arguments are not what the method takes.
    """

    wireName = "hermes.BadCall"
    ends = True


class NoSuchMethod(CallError):
    """
    There is no such method. A peer with newer software may have asked for something that came later: it goes on
    without.
    """

    wireName = "hermes.NoSuchMethod"


class NoSuchObject(CallError):
    """
    There is no such object, or not any more.
    """

    wireName = "hermes.NoSuchObject"


class NotAllowed(CallError):
    """
    Whoever asks may not.
    """

    wireName = "hermes.NotAllowed"
    ends = True


class TooLarge(CallError):
    """
    More than is taken at once.
    """

    wireName = "hermes.TooLarge"


class NoCommonVersion(CallError):
    """
    The two ends speak no version of the protocol in common.
    """

    wireName = "hermes.NoCommonVersion"


class NotLeadingHere(CallError):
    """
    Only the controller that leads can do that.
    """

    wireName = "hermes.NotLeading"


class Conflict(CallError):
    """
    It can't be done now: another change is under way, or the overlay is at another version.
    """

    wireName = "hermes.Conflict"


class NotFound(CallError):
    """
    There is no such version, node, or whatever was named.
    """

    wireName = "hermes.NotFound"


class Refused(CallError):
    """
    What was asked for is wrong; the text says why.
    """

    wireName = "hermes.Refused"


BY_NAME: dict[str, type[CallError]] = {
    each.wireName: each
    for each in (
        CallFailed,
        BadCall,
        NoSuchMethod,
        NoSuchObject,
        NotAllowed,
        TooLarge,
        NoCommonVersion,
        NotLeadingHere,
        Conflict,
        NotFound,
        Refused,
    )
}


class ChannelLost(ControlError):
    """
    The connection was lost before the peer answered.
    """


class CallTimeout(ControlError):
    """
    The peer did not answer in time.
    """


class Violation(ControlError):
    """
    The peer does not keep to the protocol: the connection is cut.

    @ivar kind: for counting: one word.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
