"""
Programs on NDNts, unmodified, at Hermes's forwarders: NFD's management by its client of it.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet import reactor as theReactor
from twisted.internet.task import deferLater

from hermes.test.interop.ndntspeers import NDNtsCase, NDNtsError, Peer
from hermes.test.interop.processes import Node
from hermes.test.processes import freePort

# Its type depends on the platform.
reactor: Any = theReactor

BEST_ROUTE = "/localhost/nfd/strategy/best-route/v=5"

ON_DEMAND, PERMANENT = 1, 2
"""
FacePersistency, as NFD numbers it. NDNts's names for 0 and 1 are the other way round.
"""


class ManagementTests(NDNtsCase):
    """
    What there is in NDNts's client of management.
    """

    async def one(self, *more: str, **options: Any) -> Node:
        """
        Start a node. A face that is made is a flow: a route says that it may be.
        """
        routes = [{"match": {"target": "127.0.0.1"}, "allowSpecial": True}]
        listener = self.names("unix:one.sock", *more, **options)
        return await self.node("one", listeners={"names": listener}, routes=routes)

    async def test_theForwarderTellsOfItself(self) -> None:
        await self.one(store=88_000)
        peer = await self.peer("unix:one.sock")
        [status] = await peer.dataset("GeneralStatus")
        self.assertRegex(status["nfdVersion"], "^hermes-")
        self.assertEqual((status["nFibEntries"], status["nCsEntries"], status["nInNacks"]), (2, 0, 0))
        self.assertLessEqual(status["startTimestamp"], status["currentTimestamp"])
        self.assertEqual(await peer.dataset("ChannelStatus"), [{"localUri": f"unix://{self.directory}/one.sock"}])
        self.assertEqual(await peer.dataset("StrategyChoice"), [{"name": "/", "strategy": BEST_ROUTE}])
        self.assertEqual(await peer.routes(), {})
        self.assertEqual((await peer.fib())["/localhost/nfd"], [{"faceId": 1, "cost": 0}])
        [info] = await peer.dataset("CsInfo")
        self.assertEqual((info["capacity"], info["nCsEntries"], info["flags"]), (10, 0, 3))
        internal, own = await peer.dataset("FaceStatus")
        self.assertEqual((internal["faceId"], internal["uri"]), (1, "internal://"))
        self.assertEqual((own["faceScope"], own["facePersistency"], own["linkType"]), (1, ON_DEMAND, 0))
        self.assertGreater(own["nInInterests"], 10)
        self.assertGreater(own["nInBytes"], 500)

    async def test_facesAreMadeChangedAskedAboutAndEnded(self) -> None:
        await self.one()
        peer = await self.peer("unix:one.sock")
        uri = f"udp4://127.0.0.1:{freePort()}"
        reliable: dict[str, Any] = {"flagLpReliability": True, "maskLpReliability": True}
        told = await peer.command("faces/create", uri=uri, facePersistency=PERMANENT, **reliable)
        self.assertEqual((told["code"], told["text"], told["body"]["uri"]), (200, "OK", uri))
        face = told["body"]["faceId"]
        [status] = await peer.faces(faceId=face)
        self.assertEqual((status["uri"], status["facePersistency"], status["flags"]), (uri, PERMANENT, 2))
        told = await peer.command("faces/create", uri=uri)
        self.assertEqual((told["code"], told["body"]["faceId"]), (409, face))
        told = await peer.command(
            "faces/update",
            faceId=face,
            facePersistency=0,
            flagCongestionMarking=True,
            maskCongestionMarking=True,
            maskLpReliability=True,
            baseCongestionMarkingInterval=5_000_000,
            defaultCongestionThreshold=9000,
            mtu=1400,
        )
        self.assertEqual((told["code"], told["body"]["mtu"]), (200, 1400))
        changed = {
            "facePersistency": 0,
            "flags": 4,
            "baseCongestionMarkingInterval": 5_000_000,
            "defaultCongestionThreshold": 9000,
            "mtu": 1400,
        }
        [status] = await peer.faces(uri=uri)
        self.assertEqual({name: status[name] for name in changed}, changed)
        for wanted, count in (({"uriScheme": "udp4"}, 1), ({"faceScope": 0}, 1), ({}, 3), ({"uriScheme": "tcp4"}, 0)):
            self.assertEqual(len(await peer.faces(**wanted)), count, wanted)
        told = await peer.command("faces/destroy", faceId=face)
        self.assertEqual((told["code"], told["body"]), (200, {"faceId": face}))
        self.assertEqual(await peer.faces(faceId=face), [])

    async def test_routesStrategiesAndTheStoreAreManaged(self) -> None:
        await self.one()
        peer, other = [await self.peer("unix:one.sock") for _ in range(2)]
        faces = [face["faceId"] for face in await peer.faces(uriScheme="fd")]
        await self._routes(peer, *faces)
        told = await peer.command("strategy-choice/set", name="/a", strategy="/localhost/nfd/strategy/multicast")
        self.assertEqual(told["code"], 200)
        chosen = {each["name"]: each["strategy"] for each in await peer.dataset("StrategyChoice")}
        self.assertEqual(chosen, {"/": BEST_ROUTE, "/a": told["body"]["strategy"]})
        self.assertEqual((await peer.command("strategy-choice/unset", name="/a"))["code"], 200)
        self.assertEqual(len(await peer.dataset("StrategyChoice")), 1)
        await self._store(peer, other)

    async def _routes(self, peer: Peer, first: int, second: int) -> None:
        """
        Flags of routes, and what comes of them.
        """
        told = await peer.command("rib/register", name="/a", faceId=first, cost=5, flagChildInherit=True, origin=255)
        self.assertEqual((told["code"], told["text"]), (200, "Success"))
        self.assertEqual(told["body"], {"name": "/a", "faceId": first, "origin": 255, "cost": 5, "flags": 1})
        register: dict[str, Any] = {"faceId": second, "expirationPeriod": 60_000}
        told = await peer.command("rib/register", name="/a/b", flags=0, **register)
        self.assertEqual((told["code"], told["body"]["flags"]), (200, 0))
        told = await peer.command("rib/register", name="/a/c", flagCapture=True, **register)
        self.assertEqual((told["code"], told["body"]["flags"]), (200, 2))
        routes = await peer.routes()
        self.assertEqual(routes["/a"], [{"faceId": first, "origin": 255, "cost": 5, "flags": 1}])
        [route] = routes["/a/c"]
        self.assertEqual((route["faceId"], route["origin"], route["cost"], route["flags"]), (second, 0, 0, 2))
        self.assertTrue(50_000 < route["expirationPeriod"] <= 60_000, route)
        fib = await peer.fib()
        mine, inherited = {"faceId": second, "cost": 0}, {"faceId": first, "cost": 5}
        self.assertEqual(fib["/a"], [inherited])
        self.assertCountEqual(fib["/a/b"], [mine, inherited])
        self.assertEqual(fib["/a/c"], [mine])
        for name, face, origin in (("/a", first, 255), ("/a/b", second, 0), ("/a/c", second, 0)):
            told = await peer.command("rib/unregister", name=name, faceId=face, origin=origin)
            self.assertEqual((told["code"], told["body"]), (200, {"name": name, "faceId": face, "origin": origin}))
        self.assertEqual(await peer.routes(), {})
        told = await peer.do("announce", name="/p", milliseconds=60_000)
        self.assertEqual((told["code"], told["body"]["origin"]), (200, 129))
        self.assertEqual(list(await peer.routes()), ["/p"])
        for verb, code in (("add", 200), ("remove", 200)):
            told = await peer.command(f"fib/{verb}-nexthop", name="/z", faceId=second)
            self.assertEqual(told["code"], code)
            self.assertEqual("/z" in await peer.fib(), verb == "add")

    async def _store(self, consumer: Peer, producer: Peer) -> None:
        """
        What is in the Content Store is told, bounded and erased.
        """
        await producer.do("answer", prefix="/s", content="hello", freshness=60_000)
        self.assertEqual((await producer.command("rib/register", name="/s"))["code"], 200)
        for index in range(5):
            told = await consumer.do("get", name=f"/s/{index}")
            self.assertEqual(told, {"name": f"/s/{index}", "content": "hello", "freshness": 60_000})
        [info] = await consumer.dataset("CsInfo")
        self.assertEqual(info["nCsEntries"], 5)
        told = await consumer.command("cs/config", capacity=3, maskEnableServe=True, flags=0)
        self.assertEqual((told["code"], told["body"]), (200, {"capacity": 3, "flags": 1}))
        self.assertEqual(await consumer.do("erase", name="/s"), 3)
        self.assertEqual(await consumer.do("erase", name="/s"), 0)

    async def test_whatIsWrongIsToldWithItsCode(self) -> None:
        await self.one()
        peer = await self.peer("unix:one.sock")
        for command, parameters, code in (
            ("faces/create", {"uri": "frob://127.0.0.1:1"}, 406),
            ("faces/create", {"uri": "127.0.0.1"}, 400),
            ("faces/create", {"uri": "udp4://192.0.2.1:6363"}, 504),
            ("faces/create", {"uri": "udp4://127.0.0.1:1", "flagLocalFields": True, "maskLocalFields": True}, 406),
            ("faces/create", {"uri": "udp4://127.0.0.1:1", "mtu": 1}, 406),
            ("faces/create", {}, 400),
            ("faces/update", {"faceId": 9999, "mtu": 1400}, 404),
            ("faces/update", {"mtu": 1}, 409),
            ("faces/update", {"facePersistency": PERMANENT}, 409),
            ("faces/update", {"flags": 1}, 400),
            ("faces/destroy", {"faceId": 1}, 403),
            ("rib/register", {"name": "/a", "faceId": 9999}, 410),
            ("rib/register", {"name": "/a" * 33}, 414),
            ("rib/register", {"name": "/localhost/nfd/x"}, 403),
            ("rib/register", {}, 400),
            ("strategy-choice/set", {"name": "/a", "strategy": "/localhost/nfd/strategy/frob"}, 404),
            ("strategy-choice/unset", {"name": "/"}, 400),
            ("cs/erase", {"name": "/a", "count": 0}, 400),
            ("cs/frob", {}, 501),
        ):
            told = await peer.command(command, **parameters)
            self.assertEqual(told["code"], code, (command, parameters, told))
            self.assertNotEqual(told["text"], "")
        told = await peer.do("invokeRaw", command="rib/register", hex="6801")
        self.assertEqual((told["code"], told["text"]), (400, "Malformed command"))
        # A filter that NDNts can't write is answered as no dataset is.
        with self.assertRaisesRegex(NDNtsError, "cannot extract version"):
            await peer.do("listRaw", hex="ff")

    async def test_commandsOfAKeyAreObeyedAndOthersAreNot(self) -> None:
        node = await self.one()
        peer, stranger = [await self.peer("unix:one.sock") for _ in range(2)]
        certificate = await peer.do("sign", name="/operator")
        (self.directory / "operator.ndncert").write_text(certificate)
        self.assertEqual((await peer.command("rib/register", name="/before"))["code"], 200)
        keys = [{"certificate": str(self.directory / "operator.ndncert"), "modules": ["rib"]}]
        listener = self.names("unix:one.sock", management={"keys": keys})
        node.configure(self.config("one", listeners={"names": listener}))
        self.assertRegex(await node.reload(), "^reloaded")
        told = await stranger.command("rib/register", name="/a")
        self.assertEqual((told["code"], told["text"]), (403, "authorization rejected"))
        for name in ("/a", "/b"):
            self.assertEqual((await peer.command("rib/register", name=name))["code"], 200)
        self.assertEqual((await peer.command("cs/config", capacity=1))["code"], 403)
        # Another key of the same name.
        await stranger.do("sign", name="/operator")
        self.assertEqual((await stranger.command("rib/register", name="/c"))["code"], 403)
        self.assertEqual(sorted(await stranger.routes()), ["/a", "/b", "/before"])

    async def test_everyTransportCarriesIt(self) -> None:
        ports = {transport: freePort() for transport in ("tcp", "ws", "udp")}
        addresses = {transport: f"{transport}:127.0.0.1:{port}" for transport, port in ports.items()}
        await self.one(*addresses.values(), management={"neighbours": "anybody"})
        consumer = await self.peer("unix:one.sock")
        for transport, address in addresses.items():
            peer = await self.peer(address)
            local = transport != "udp"
            if local:
                self.assertEqual(len(await peer.dataset("GeneralStatus")), 1)
            else:
                # Its sender could be anybody: it is a neighbour.
                with self.assertRaisesRegex(NDNtsError, "rejected"):
                    await peer.do("get", name="/localhost/nfd/status/general", canBePrefix=True, lifetime=100)
                self.assertEqual([name for name, _ in (await peer.do("noticed"))["nacks"]], [])
                told = await peer.command("rib/register", prefix="/localhop/nfd", name="/neighbour")
                self.assertEqual((told["code"], told["body"]["flags"]), (200, 1))
            # NDNts registers by itself whatever it serves, at /localhost/nfd where it takes the face for a local one.
            await peer.do("register")
            await peer.do("answer", prefix=f"/{transport}", content=transport)
            while f"/{transport}" not in await consumer.routes():
                await deferLater(reactor, 0.05)
            [route] = (await consumer.routes())[f"/{transport}"]
            self.assertEqual((route["origin"], route["flags"]), (65, 2))
            [face] = await consumer.faces(faceId=route["faceId"])
            self.assertEqual((face["uri"].partition(":")[0].rstrip("4"), face["faceScope"]), (transport, int(local)))
            told = await consumer.do("get", name=f"/{transport}/x")
            self.assertEqual(told["content"], transport)

    async def test_nacksAndCongestionMarksArrive(self) -> None:
        await self.one()
        consumer, producer = [await self.peer("unix:one.sock") for _ in range(2)]
        with self.assertRaisesRegex(NDNtsError, "Interest rejected: expire"):
            await consumer.do("get", name="/nobody", lifetime=1000)
        self.assertEqual((await consumer.do("noticed"))["nacks"], [["/nobody", 150]])
        marking: dict[str, Any] = {
            "flagCongestionMarking": True,
            "maskCongestionMarking": True,
            "baseCongestionMarkingInterval": 1,
        }
        told = await consumer.command("faces/update", defaultCongestionThreshold=1, **marking)
        face = told["body"]["faceId"]
        await producer.do("register")
        await producer.do("answer", prefix="/slow", size=8000, held=True)
        while "/slow" not in await producer.routes():
            await deferLater(reactor, 0.05)
        await consumer.do("ask", prefix="/slow", count=100, lifetime=60_000)
        [before] = await producer.faces(faceId=face)
        while before["nInInterests"] < 100:
            await deferLater(reactor, 0.05)
            [before] = await producer.faces(faceId=face)
        # What it does not read waits at the forwarder.
        consumer.signal(signal.SIGSTOP)
        await producer.do("releaseAll")
        after = before
        while after["nOutData"] < before["nOutData"] + 100:
            await deferLater(reactor, 0.05)
            [after] = await producer.faces(faceId=face)
        consumer.signal(signal.SIGCONT)
        self.assertEqual(await consumer.do("asked"), 100)
        self.assertGreater((await consumer.do("noticed"))["marks"], 0)
