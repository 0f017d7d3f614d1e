"""
What a device is to have, and the difference from what it has.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.interfaces.kernel import (
    MAIN_TABLE,
    Add,
    Change,
    Link,
    LinkAddress,
    LinkRoute,
    LinkState,
    PolicyRule,
    Remove,
    SetLink,
)
from hermes.net.kernelroutes import ALIAS, BLOCK, DesiredDevice, Outside, difference
from hermes.test.net.tunspaces import wanted

DEVICE = "lan0"
READY = Link(7, DEVICE, 1500, True, alias=ALIAS, promotes=True)
OUTSIDE = Outside()


def address(text: str, ours: bool = True, peer: str | None = None, device: str = DEVICE) -> LinkAddress:
    return LinkAddress(device, ip_interface(text), None if peer is None else ip_address(peer), ours)


def route(text: str, table: int = MAIN_TABLE, ours: bool = True, device: str = DEVICE) -> LinkRoute:
    return LinkRoute(device, ip_network(text), table, ours)


def state(*items: Any, link: Link | None = READY) -> LinkState:
    """
    What there is.
    """
    return LinkState(
        link,
        frozenset(item for item in items if isinstance(item, LinkAddress)),
        frozenset(item for item in items if isinstance(item, LinkRoute)),
        frozenset(item for item in items if isinstance(item, PolicyRule)),
    )


def changed(before: LinkState, changes: list[Change]) -> LinkState:
    """
    What there is after changes, if nothing else happens.
    """
    link = before.link
    sets: list[set[Any]] = [set(before.addresses), set(before.routes), set(before.rules)]
    kinds = [LinkAddress, LinkRoute, PolicyRule]
    for change in changes:
        if isinstance(change, SetLink):
            assert link is not None
            news: dict[str, Any] = {
                "mtu": change.mtu,
                "up": change.up,
                "queue": change.queue,
                "alias": change.alias,
                "promotes": change.promotes,
            }
            link = evolve(link, **{key: value for key, value in news.items() if value is not None})
            continue
        item: Any = change.item
        place = sets[kinds.index(type(item))]
        if isinstance(change, Add):
            assert item not in place
            place.add(item)
        else:
            place.remove(item)
    return LinkState(link, *map(frozenset, sets))


class DifferenceTests(SynchronousTestCase):
    def test_aNewDeviceIsSetUp(self) -> None:
        desired = wanted("10.0.0.1/24", "fd00::1/64", routes=["10.1.0.0/16"], mtu=1400, queue=1000, ours=True)
        self.assertEqual(
            difference(DEVICE, state(link=Link(7, DEVICE)), desired),
            [
                SetLink(DEVICE, 1400, True, 1000, ALIAS),
                Add(address("10.0.0.1/24")),
                Add(address("fd00::1/64")),
                Add(route("10.1.0.0/16")),
            ],
        )

    def test_whatIsAsDesiredIsLeftAlone(self) -> None:
        there = state(address("10.0.0.1/24"), route("10.1.0.0/16"), link=evolve(READY, mtu=1400, queue=1000))
        self.assertEqual(difference(DEVICE, there, wanted("10.0.0.1/24", routes=["10.1.0.0/16"])), [])
        same = wanted("10.0.0.1/24", routes=["10.1.0.0/16"], mtu=1400, queue=1000)
        self.assertEqual(difference(DEVICE, there, same), [])

    def test_whatIsNewComesBeforeWhatIsOldGoes(self) -> None:
        there = state(address("10.0.0.1/24"), route("10.1.0.0/16"), route("10.2.0.0/16"))
        desired = wanted("10.5.0.1/24", routes=["10.2.0.0/16", "10.3.0.0/16"])
        self.assertEqual(
            difference(DEVICE, there, desired),
            [
                Add(address("10.5.0.1/24")),
                Add(route("10.3.0.0/16")),
                Remove(route("10.1.0.0/16")),
                Remove(address("10.0.0.1/24")),
            ],
        )

    def test_anIPv6AddressWithAnotherPrefixGoesFirst(self) -> None:
        """
        There can't be two of it.
        """
        there = state(address("fd00::1/64"), address("10.0.0.1/24"))
        self.assertEqual(
            difference(DEVICE, there, wanted("fd00::1/48", "10.0.0.1/16")),
            [
                Remove(address("fd00::1/64")),
                Add(address("10.0.0.1/16")),
                Add(address("fd00::1/48")),
                Remove(address("10.0.0.1/24")),
            ],
        )

    def test_removingAnAddressRemovesNoOther(self) -> None:
        """
        The kernel would take the rest of its prefix with it, even somebody else's.
        """
        link = evolve(READY, promotes=False)
        there = state(address("10.0.0.1/24"), address("10.0.0.9/24", ours=False), link=link)
        promoting = SetLink(DEVICE, promotes=True)
        removing = [promoting, Remove(address("10.0.0.1/24"))]
        self.assertEqual(difference(DEVICE, there, None), removing)
        changing = [promoting, Add(address("10.0.0.2/24")), Remove(address("10.0.0.1/24"))]
        self.assertEqual(difference(DEVICE, there, wanted("10.0.0.2/24")), changing)
        self.assertEqual(difference(DEVICE, there, wanted("10.0.0.1/24")), [])
        six = state(address("fd00::1/64"), link=link)
        self.assertEqual(difference(DEVICE, six, None), [Remove(address("fd00::1/64"))])

    def test_aDeviceThatSomebodyHasMadeIsNotClaimed(self) -> None:
        """
        Nor does it take a right to leave it as it is.
        """
        made = state(address("10.0.0.1/24", ours=False), link=Link(7, DEVICE, 1500, True))
        self.assertEqual(difference(DEVICE, made, wanted("10.0.0.1/24", mtu=1500)), [])
        self.assertEqual(difference(DEVICE, made, wanted(ours=True)), [SetLink(DEVICE, alias=ALIAS)])
        taken = state(link=Link(7, DEVICE, 1500, True, alias="somebody's"))
        self.assertEqual(difference(DEVICE, taken, wanted(ours=True)), [])

    def test_anotherPeerIsAnotherAddress(self) -> None:
        desired = wanted("10.0.0.1/32", peers={ip_address("10.0.0.1"): ip_address("10.0.0.2")})
        there = state(address("10.0.0.1/32", peer="10.0.0.3"))
        self.assertEqual(
            difference(DEVICE, there, desired),
            [Add(address("10.0.0.1/32", peer="10.0.0.2")), Remove(address("10.0.0.1/32", peer="10.0.0.3"))],
        )

    def test_whatIsOfOthersStays(self) -> None:
        there = state(
            address("10.9.0.1/24", ours=False),
            route("10.9.0.0/24", ours=False),
            route("10.8.0.0/16", device="eth0"),
            link=evolve(READY, alias="somebody's"),
        )
        self.assertEqual(difference(DEVICE, there, wanted()), [])
        self.assertEqual(difference(DEVICE, there, None), [])

    def test_whatOthersHaveMadeNeedNotBeMade(self) -> None:
        """
        The kernel makes a route with each address.
        """
        there = state(address("10.0.0.1/24", ours=False), route("10.0.0.0/24", ours=False))
        self.assertEqual(difference(DEVICE, there, wanted("10.0.0.1/24", routes=["10.0.0.0/24"])), [])

    def test_aRouteOfAnotherDeviceIsAnother(self) -> None:
        there = state(route("10.1.0.0/16", device="eth0"))
        self.assertEqual(difference(DEVICE, there, wanted(routes=["10.1.0.0/16"])), [Add(route("10.1.0.0/16"))])

    def test_aFullTunnelPassesMarkedSocketsBy(self) -> None:
        desired = wanted(routes=["0.0.0.0/0"], outside=OUTSIDE)
        first, table, mark = OUTSIDE.priority, OUTSIDE.table, OUTSIDE.mark
        self.assertEqual(
            difference(DEVICE, state(), desired),
            [
                Add(route("0.0.0.0/0", table)),
                Add(PolicyRule(4, first + 259)),
                Add(PolicyRule(4, first, mark=mark, goto=first + 259)),
                Add(PolicyRule(4, first + 65, table=MAIN_TABLE, suppress=0)),
                Add(PolicyRule(4, first + 66, table=table)),
            ],
        )

    def test_aFullTunnelIsTakenDownFromTheOtherEnd(self) -> None:
        desired = wanted(routes=["::/0"], outside=OUTSIDE)
        there = changed(state(), difference(DEVICE, state(), desired))
        first = OUTSIDE.priority
        removed = [
            Remove(PolicyRule(6, first + 258, table=OUTSIDE.table)),
            Remove(PolicyRule(6, first + 257, table=MAIN_TABLE, suppress=0)),
            Remove(PolicyRule(6, first, mark=OUTSIDE.mark, goto=first + 259)),
            Remove(PolicyRule(6, first + 259)),
            Remove(route("::/0", OUTSIDE.table)),
        ]
        self.assertEqual(difference(DEVICE, there, wanted(outside=OUTSIDE)), removed)
        self.assertEqual(difference(DEVICE, there, wanted()), removed)
        self.assertEqual(difference(DEVICE, there, None), removed)

    def test_aStrictTunnelHasRoutesToNowhereBehindItsOwn(self) -> None:
        """
        They come first and go last; with the device gone, they and the rules are as desired already.
        """
        strict, loose = (
            wanted(routes=["0.0.0.0/0", "10.0.0.0/8"], outside=OUTSIDE, strict=each) for each in (True, False)
        )
        made = difference(DEVICE, state(), strict)
        nowhere = [
            route("0.0.0.0/0", OUTSIDE.table, device=""),
            route("10.0.0.0/8", OUTSIDE.table << 8 | 8, device=""),
        ]
        self.assertEqual(made[:2], list(map(Add, nowhere)))
        self.assertEqual(made[2:], difference(DEVICE, state(), loose))
        there = changed(state(), made)
        self.assertEqual(difference(DEVICE, there, loose), list(map(Remove, nowhere)))
        killed = state(*nowhere, *strict.rules())
        self.assertEqual(difference(DEVICE, killed, strict), list(map(Add, sorted(loose.linkRoutes(DEVICE), key=str))))
        gone = difference(DEVICE, killed, None, OUTSIDE)
        self.assertEqual(gone[-2:], list(map(Remove, nowhere)))
        self.assertEqual(changed(killed, gone), state())
        self.assertRaises(ValueError, wanted, routes=["10.0.0.0/8"], strict=True)

    def test_whatAnothersStrictTunnelHasLeftStays(self) -> None:
        """
        Its rules lead to where nothing is.
        """
        others = evolve(OUTSIDE, table=900, priority=BLOCK * 3)
        strict = wanted(routes=["0.0.0.0/0", "::/0"], outside=others, strict=True)
        killed = state(*strict.rules(), *(each for each in strict.linkRoutes(DEVICE) if not each.device))
        for place in None, OUTSIDE:
            self.assertEqual(difference(DEVICE, killed, None, place), [])
            self.assertEqual(difference(DEVICE, killed, wanted(), place), [])

    def test_eachLengthHasATable(self) -> None:
        routes = ["10.0.0.0/8", "11.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "fd00::/8"]
        desired = wanted(routes=routes, outside=OUTSIDE)
        tables = {str(item.network): item.table for item in desired.linkRoutes(DEVICE)}
        self.assertEqual(len({tables[network] for network in routes}), 3)
        self.assertEqual(tables["10.0.0.0/8"], tables["11.0.0.0/8"])
        self.assertEqual(tables["0.0.0.0/0"], OUTSIDE.table)
        looked = [rule for rule in sorted(desired.rules(), key=lambda rule: rule.priority) if rule.family == 4]
        self.assertEqual(
            [(rule.table, rule.suppress) for rule in looked if rule.table],
            [
                (MAIN_TABLE, 16),
                (tables["10.1.0.0/16"], None),
                (MAIN_TABLE, 8),
                (tables["10.0.0.0/8"], None),
                (MAIN_TABLE, 0),
                (OUTSIDE.table, None),
            ],
        )

    def test_manyRoutesAreFewRules(self) -> None:
        routes = [f"10.{number}.0.0/16" for number in range(256)]
        self.assertEqual(len(wanted(routes=routes, outside=OUTSIDE).rules()), 4)

    def test_rulesThatLeadNowhereAreRemoved(self) -> None:
        """
        The device that they were for is gone, with its routes.
        """
        left = evolve(OUTSIDE, table=900, priority=BLOCK * 3)
        rules = wanted(routes=["0.0.0.0/0", "10.0.0.0/8"], outside=left).rules()
        for link in None, READY:
            gone = difference(DEVICE, state(*rules, link=link), None)
            self.assertEqual({change.item for change in gone if isinstance(change, Remove)}, rules)
        changes = difference(DEVICE, state(*rules), wanted(routes=["0.0.0.0/0"], outside=OUTSIDE))
        self.assertEqual({change.item for change in changes if isinstance(change, Remove)}, rules)

    def test_rulesOfADeviceThatLivesStay(self) -> None:
        others = evolve(OUTSIDE, table=900, priority=BLOCK * 3)
        living = wanted(routes=["0.0.0.0/0", "10.0.0.0/8"], outside=others)
        there = state(*living.rules(), *living.linkRoutes("other0"), route("10.4.0.0/16", device="other0"))
        self.assertEqual(difference(DEVICE, there, None), [])
        self.assertEqual(difference(DEVICE, there, wanted()), [])

    def test_aRouteInTheMainTableKeepsNoRules(self) -> None:
        left = wanted(routes=["0.0.0.0/0"], outside=OUTSIDE).rules()
        there = state(*left, route("10.4.0.0/16", device="other0"))
        self.assertEqual(len(difference(DEVICE, there, None)), len(left))

    def test_thereNeedBeNoDeviceToRemoveFrom(self) -> None:
        self.assertEqual(difference(DEVICE, state(link=None), None), [])

    @given(st.data())
    def test_afterTheDifferenceThereIsNone(self, data: st.DataObject) -> None:
        one, other = data.draw(DESIRED), data.draw(DESIRED)
        there = changed(state(), difference(DEVICE, state(), one))
        then = changed(there, difference(DEVICE, there, other))
        self.assertEqual(difference(DEVICE, then, other), [])
        fresh = changed(state(), difference(DEVICE, state(), other))
        self.assertEqual((then.addresses, then.routes, then.rules), (fresh.addresses, fresh.routes, fresh.rules))
        self.assertEqual(changed(then, difference(DEVICE, then, None, OUTSIDE)), state(link=then.link))
        # A loose one may have had another place.
        moved = evolve(other, outside=evolve(OUTSIDE, table=900, priority=BLOCK * 3))
        if not any(route.device == "" for route in then.routes):
            after = changed(then, difference(DEVICE, then, moved))
            self.assertEqual(after.rules, moved.rules())


NETWORKS = st.sampled_from(
    [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.2.0.0/16",
        "10.1.2.3/32",
        "::/0",
        "fd00::/8",
        "fd00:1::/32",
        "fd00::1/128",
    ]
)
DESIRED = st.builds(
    lambda addresses, routes, mtu, strict: wanted(*addresses, routes=routes, outside=OUTSIDE, mtu=mtu, strict=strict),
    st.lists(st.sampled_from(["10.0.0.1/24", "10.0.0.1/16", "10.0.0.2/24", "10.3.0.1/32"]), max_size=4)
    | st.lists(st.sampled_from(["fd00::1/64", "fd00::2/64"]), max_size=2),
    st.lists(NETWORKS, max_size=6),
    st.sampled_from([None, 1400, 9000]),
    st.booleans(),
)


class ValueTests(SynchronousTestCase):
    def test_aRouteToEverythingNeedsAMark(self) -> None:
        for everything in "0.0.0.0/0", "::/0":
            error = self.assertRaises(ValueError, wanted, routes=[everything])
            self.assertIn("mark", str(error))

    def test_anMTUIsBounded(self) -> None:
        for mtu in 0, 67, 65536:
            self.assertRaises(ValueError, DesiredDevice, mtu=mtu)
        self.assertRaises(ValueError, wanted, "fd00::1/64", mtu=1279)
        self.assertRaises(ValueError, wanted, routes=["fd00::/64"], mtu=1279)
        wanted("10.0.0.1/24", mtu=576)
        wanted("fd00::1/64", mtu=1280)

    def test_placesOfRulesAreBounded(self) -> None:
        for wrong in {"priority": 1}, {"priority": 0}, {"priority": BLOCK * 63}, {"mark": 0}, {"mark": 1 << 31}:
            self.assertRaises(ValueError, Outside, **wrong)
        for table in 0, 253, 254, 255, 1 << 24, -1:
            self.assertRaises(ValueError, Outside, table=table)
        Outside(mark=1, table=1, priority=BLOCK)
        Outside(mark=(1 << 31) - 1, table=(1 << 24) - 1, priority=BLOCK * 62)
