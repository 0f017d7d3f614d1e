"""
Which strategy decides for which prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger
from twisted.plugin import getPlugins

from hermes.ndn.forwarder.prefixtable import PrefixTable
from hermes.ndn.interfaces import IStrategy, IStrategyType
from hermes.ndn.packet.component import GENERIC, VERSION, componentValue, isNumber, number, version
from hermes.ndn.packet.name import Name

if TYPE_CHECKING:
    from hermes.ndn.forwarder.actions import Actions

DEFAULT: Final = "best-route"
"""
The strategy of all prefixes for which no other was chosen.
"""

_log = Logger(namespace="hermes.ndn.forwarder.strategychoice")


def installedStrategies() -> list[IStrategyType]:
    """
    The strategies that are installed: those of Hermes and those of extensions, all found as Twisted plugins. Where two
    have the same C{type} or the same name, the first that Twisted finds has it, and the other is logged.
    """
    found: list[IStrategyType] = []
    for plugin in getPlugins(IStrategyType):
        if any(plugin.type == other.type or plugin.name == other.name for other in found):
            _log.warn("strategy {type!r} is claimed twice; {plugin!r} is not used", type=plugin.type, plugin=plugin)
        else:
            found.append(plugin)
    return found


class Chosen:
    """
    A strategy at work: one for each prefix that it was chosen for.

    What the pipelines call is looked up once. L{None}: the strategy does not care.

    @ivar prefix: the value of the prefix's name.
    @ivar name: the strategy's own name, with its version and parameters, as management tells it.
    @ivar strategy: the strategy.
    """

    __slots__ = (
        "afterInterest",
        "afterNack",
        "beforeSatisfy",
        "name",
        "onLost",
        "onNewNextHop",
        "onTimeout",
        "prefix",
        "strategy",
    )

    def __init__(self, prefix: bytes, name: Name, strategy: IStrategy) -> None:
        self.prefix = prefix
        self.name = name
        self.strategy = strategy
        self.afterInterest = strategy.afterInterest
        self.afterNack = strategy.afterNack
        self.beforeSatisfy = _unlessIdle(strategy.beforeSatisfy)
        self.onTimeout = _unlessIdle(strategy.onTimeout)
        self.onLost = _unlessIdle(strategy.onLost)
        self.onNewNextHop = _unlessIdle(strategy.onNewNextHop)


def idle(method: Callable[..., None]) -> Callable[..., None]:
    """
    Mark a strategy's method that does nothing: it need not be called.
    """
    method.idle = True  # type: ignore[attr-defined]
    return method


def _unlessIdle(method: Any) -> Any:
    return None if getattr(method, "idle", False) else method


def _version(component: bytes) -> int | None:
    """
    The version that a component says: of a type of its own, or, as before revision 3 of the naming conventions, behind
    a marker.
    """
    if isNumber(component, VERSION):
        return number(component)
    if component[0] == GENERIC and component[2:3] == b"\xfd" and len(component) in (4, 5, 7, 11):
        return int.from_bytes(component[3:], "big")
    return None


def strategyNamed(text: str, types: Iterable[IStrategyType]) -> Name:
    """
    The name of a strategy as the configuration says it: its type, C{asf}; or its name, with or without a version and
    parameters, C{/localhost/nfd/strategy/asf/v=5/probing-interval~30000}; or its type and parameters,
    C{asf/probing-interval~30000}.

    @param types: the strategies that there are.
    @raise LookupError: with a sentence, where a type is none of them.
    @raise ValueError: with a sentence, where a name is none.
    """
    if text.startswith(("/", "ndn:")):
        return Name.fromText(text)
    kind, slash, parameters = text.partition("/")
    known = {each.type: each for each in types}
    if kind not in known:
        raise LookupError(f"there is no strategy {kind!r}: there are {', '.join(sorted(known))}")
    name = Name.fromText(known[kind].name) + version(known[kind].version)
    return name + Name.fromText("/" + parameters) if slash else name


def makeStrategy(name: Name, types: Iterable[IStrategyType], forwarder: Actions) -> tuple[Name, IStrategy]:
    """
    A strategy by its name.

    @param types: the strategies that there are.
    @return: its whole name, with the version, and the strategy.
    @raise LookupError: with a sentence, where there is none such.
    @raise ValueError: with a sentence, where its parameters are wrong.
    """
    for each in types:
        bare = Name.fromText(each.name)
        if not bare.isPrefixOf(name):
            continue
        rest = name[len(bare) :]
        asked = _version(rest[0]) if len(rest) else None
        if asked is not None:
            if asked != each.version:
                raise LookupError(f"{each.name} has version {each.version}, and no version {asked}")
            rest = rest[1:]
        parameters = [componentValue(component) for component in rest]
        return bare + version(each.version) + rest, each.strategy(forwarder, parameters)
    raise LookupError(f"there is no strategy {name}")


class StrategyChoice:
    """
    The table of choices. Every prefix has a strategy, as C{/} always has one.

    @ivar longest: finds the choice that holds for a name; see L{PrefixTable.longest}. There always is one.
    """

    def __init__(
        self, forwarder: Actions, types: Iterable[IStrategyType] | None = None, default: str = DEFAULT
    ) -> None:
        """
        @param forwarder: what strategies act by.
        @param types: the strategies that there are; those that are installed unless given.
        @param default: the strategy of C{/}: its type or its name.
        """
        self.types: Sequence[IStrategyType] = list(installedStrategies() if types is None else types)
        self._forwarder = forwarder
        self._chosen: PrefixTable[Chosen] = PrefixTable()
        self.longest = self._chosen.longest
        self.set(b"", self.named(default))

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[Chosen]:
        """
        All choices, in no order.
        """
        return self._chosen.values()

    def numbers(self) -> dict[str, int]:
        """
        For how many prefixes each strategy is chosen, by its type; all types there are.
        """
        names = {each.type: Name.fromText(each.name) for each in self.types}
        numbers = dict.fromkeys(names, 0)
        for chosen in self:
            for kind, name in names.items():
                if name.isPrefixOf(chosen.name):
                    numbers[kind] += 1
                    break
        return numbers

    def named(self, text: str) -> Name:
        """
        See L{strategyNamed}.
        """
        return strategyNamed(text, self.types)

    def make(self, name: Name) -> tuple[Name, IStrategy]:
        """
        See L{makeStrategy}.
        """
        return makeStrategy(name, self.types, self._forwarder)

    def set(self, prefix: bytes, name: Name) -> Chosen:
        """
        Choose a strategy for a prefix. Interests that are pending stay with the one that they began with. Where it is
        the one that the prefix has, nothing changes.

        @param prefix: the value of a name.
        @param name: of the strategy; without a version it is the one that there is.
        @raise LookupError: where there is none such.
        @raise ValueError: where its parameters are wrong.
        """
        whole, strategy = self.make(name)
        chosen = self._chosen.get(prefix)
        if chosen is None or chosen.name != whole:
            chosen = Chosen(prefix, whole, strategy)
            self._chosen.set(prefix, chosen)
        return chosen

    def unset(self, prefix: bytes) -> bool:
        """
        Undo the choice for a prefix: that of the next shorter one holds.

        @return: whether there was one.
        @raise ValueError: for C{/}.
        """
        if not prefix:
            raise ValueError("the strategy of / can be replaced, not removed")
        return self._chosen.remove(prefix) is not None

    def get(self, prefix: bytes) -> Chosen | None:
        """
        The choice for exactly this prefix.
        """
        return self._chosen.get(prefix)
