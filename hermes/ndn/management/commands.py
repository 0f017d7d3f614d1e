"""
Which parameters a command has to have, and which it may have (NFD Management, the tables of each module).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import fields, frozen
from twisted.internet.defer import Deferred

from hermes.ndn.management.control import ControlParameters, ControlResponse
from hermes.ndn.packet.interest import Interest
from hermes.ndn.packet.name import Name

OK: Final = 200
BAD: Final = 400
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
UNSUPPORTED: Final = 406
CONFLICT: Final = 409
GONE: Final = 410
TOO_LONG: Final = 414
FAILED: Final = 500
UNKNOWN: Final = 501
FULL: Final = 503
NO_ANSWER: Final = 504
"""
Status codes, as NFD uses them.
"""

_NAMES: Final = tuple(each.name for each in fields(ControlParameters))


@frozen
class Origin:
    """
    Where a request came from.

    @ivar faceID: the face; L{None} where that is not known.
    @ivar localhop: whether it came under C{/localhop/nfd}.
    @ivar interest: the request itself, its signature verified as far as it had to be.
    @ivar name: its name without what a signature adds.
    """

    faceID: int | None
    localhop: bool
    interest: Interest
    name: Name


Reply: TypeAlias = "ControlResponse | Deferred[ControlResponse]"


@frozen
class Rule:
    """
    @ivar required: the parameters that have to be there.
    @ivar optional: those that may be.
    """

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()

    @classmethod
    def of(cls, required: str = "", optional: str = "") -> Rule:
        """
        From names with spaces between.
        """
        return cls(frozenset(required.split()), frozenset(optional.split()))

    def problem(self, parameters: ControlParameters) -> str | None:
        """
        What is wrong with the parameters; L{None} where nothing is.
        """
        for name in _NAMES:
            there = getattr(parameters, name) is not None
            if not there and name in self.required:
                return f"{name} is required but missing"
            if there and name not in self.required and name not in self.optional:
                return f"{name} is forbidden but present"
        # Where both are allowed, one says which bits of the other count.
        if {"flags", "mask"} <= self.optional and (parameters.flags is None) != (parameters.mask is None):
            return "flags come with a mask"
        return None


@frozen
class Command:
    """
    One verb.

    @ivar rule: what its parameters have to be.
    @ivar run: does it. What it raises is answered with 500.
    """

    rule: Rule
    run: Callable[[ControlParameters, Origin], Reply]


@frozen
class ObjectCommand:
    """
    One verb whose argument is something else than C{ControlParameters}: the Interest's ApplicationParameters.
    """

    run: Callable[[Origin], Reply]


class Rejected(Exception):
    """
    A dataset is not given out.

    @ivar response: what is said instead.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        # python-ndn reads no response without a body.
        self.response = ControlResponse.of(code, text, ControlParameters())


Dataset: TypeAlias = "Callable[[Origin], bytes]"
"""
Makes the content of a dataset. It may raise L{Rejected}.
"""


@frozen
class Module:
    """
    A part of management: the first component after the prefix.

    @ivar name: how it is called, C{rib} for one.
    @ivar commands: by verb.
    @ivar datasets: by verb.
    @ivar localhop: whether its commands are also taken from neighbours, where that is enabled.
    """

    name: str
    commands: Mapping[str, Command | ObjectCommand]
    datasets: Mapping[str, Dataset]
    localhop: bool = False
