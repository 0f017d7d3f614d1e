"""
What is bound, and what is left behind.
"""

from __future__ import annotations

import os
from errno import EADDRINUSE
from socket import AF_INET, AF_INET6, AF_UNIX, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket

from twisted.trial.unittest import SynchronousTestCase

from hermes.net.sockets import Bound, adopt, bindDatagrams, bindStreams, largestDatagram, openDatagrams, parsePlace
from hermes.test.namespaces import Namespace
from hermes.values import Target


class ParsePlaceTests(SynchronousTestCase):
    """
    The notation.
    """

    def test_placesAreRead(self) -> None:
        self.assertEqual(parsePlace("127.0.0.1:80"), Target("127.0.0.1", 80))
        self.assertEqual(parsePlace("[::1]:80"), Target("::1", 80))
        self.assertEqual(parsePlace("unix:/run/s"), "/run/s")
        self.assertEqual(parsePlace("unix:s:1"), "s:1")
        self.assertEqual(parsePlace("unix:@name"), "\0name")

    def test_whatIsNoPlaceIsRefused(self) -> None:
        for text in "", "unix:", "80", ":80", "::1:80", "host", "host:99999", "unix:" + "x" * 108:
            self.assertRaises(ValueError, parsePlace, text)


class InternetSocketTests(SynchronousTestCase):
    """
    Ports.
    """

    def bind(self, bind: str, reusePort: bool = False, kind: int = SOCK_STREAM) -> Bound:
        bound = (bindStreams if kind == SOCK_STREAM else bindDatagrams)(bind, reusePort)
        self.addCleanup(bound.close)
        return bound

    def test_addressesAndNamesAreBound(self) -> None:
        self.assertEqual(self.bind("127.0.0.1:0").socket.getsockname()[0], "127.0.0.1")
        self.assertEqual(self.bind("localhost:0").socket.getsockname()[0], "127.0.0.1")
        self.assertEqual(self.bind("[::1]:0", kind=SOCK_DGRAM).socket.getsockname()[0], "::1")

    def test_aPortIsBoundOnceUnlessItIsShared(self) -> None:
        for kind in SOCK_STREAM, SOCK_DGRAM:
            one = self.bind("127.0.0.1:0", True, kind)
            bind = f"127.0.0.1:{one.socket.getsockname()[1]}"
            self.bind(bind, True, kind)
            if kind == SOCK_STREAM:
                one.socket.listen()
            error = self.assertRaises(OSError, self.bind, bind, False, kind)
            self.assertEqual((error.errno, error.filename), (EADDRINUSE, bind))

    def test_datagramsAreStolenByNobody(self) -> None:
        bound = self.bind("127.0.0.1:0", kind=SOCK_DGRAM)
        self.assertEqual(bound.socket.getsockopt(SOL_SOCKET, SO_REUSEADDR), 0)

    def test_anInheritedSocketIsAdoptedAsOftenAsNeeded(self) -> None:
        inherited = self.bind("127.0.0.1:0")
        for _ in range(2):
            adopted = adopt(inherited.socket.fileno())
            self.assertEqual(adopted.socket.getsockname(), inherited.socket.getsockname())
            self.assertEqual((adopted.socket.family, adopted.socket.type), (AF_INET, SOCK_STREAM))
            adopted.close()
        self.assertNotEqual(inherited.socket.fileno(), -1)

    def test_datagramsAreNeverFragmented(self) -> None:
        for family, host in (AF_INET, "127.0.0.1"), (AF_INET6, "::1"):
            sock = openDatagrams((host, 9))
            self.addCleanup(sock.close)
            level, option = (0, 10) if family == AF_INET else (41, 23)
            self.assertEqual(sock.getsockopt(level, option), 3)
            self.assertEqual(sock.getpeername()[:2], (host, 9))

    def test_theLargestDatagramIsWhatTheWayTakes(self) -> None:
        with Namespace("here") as here, Namespace("there") as there:
            here.link(there)
            for host, size in ("10.99.0.2", 1500 - 28), ("fd99::2", 1500 - 48):
                with here.entered():
                    sock = openDatagrams((host, 9))
                self.addCleanup(sock.close)
                self.assertEqual(largestDatagram(sock), size)
                self.assertRaises(OSError, sock.send, bytes(size + 1))
                sock.send(bytes(size))

    def test_theLargestDatagramOfASocketThatMayFragmentIsAnyThatThereIs(self) -> None:
        self.assertEqual(largestDatagram(self.bind("127.0.0.1:0", kind=SOCK_DGRAM).socket), 65_507)
        self.assertEqual(largestDatagram(self.bind("[::1]:0", kind=SOCK_DGRAM).socket), 65_527)
        sock = openDatagrams(("127.0.0.1", 9))
        self.addCleanup(sock.close)
        self.assertEqual(largestDatagram(sock), 65_507)

    def test_whereThereIsNoWayNothingIsLeftOpen(self) -> None:
        self.assertRaises(OSError, openDatagrams, ("fe80::1", 9))


class UnixSocketTests(SynchronousTestCase):
    """
    Files.
    """

    def setUp(self) -> None:
        folder = self.mktemp()
        os.mkdir(folder)
        # The path is bounded, and the folder of a test may be deep.
        self.path = os.path.join(os.path.relpath(folder), "s")

    def bind(self, kind: int = SOCK_STREAM, mode: int | None = None) -> Bound:
        bound = (bindStreams if kind == SOCK_STREAM else bindDatagrams)(f"unix:{self.path}", False, mode)
        self.addCleanup(bound.close)
        return bound

    def test_theFileGoesWithTheSocket(self) -> None:
        bound = self.bind()
        self.assertEqual(bound.socket.family, AF_UNIX)
        self.assertTrue(os.path.exists(self.path))
        bound.close()
        self.assertFalse(os.path.exists(self.path))

    def test_theModeIsSet(self) -> None:
        self.bind(mode=0o600)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_aPlaceThatIsHeldIsNoFileThatWasLeftBehind(self) -> None:
        """
        Though nobody listens there yet.
        """
        held = self.bind()
        error = self.assertRaises(OSError, self.bind)
        self.assertEqual(error.errno, EADDRINUSE)
        self.assertTrue(os.path.exists(self.path))
        # Who was killed holds nothing.
        held.socket.close()
        self.bind().close()

    def test_aFileThatWasLeftBehindIsReplaced(self) -> None:
        for kind in SOCK_STREAM, SOCK_DGRAM:
            left = socket(AF_UNIX, kind)
            left.bind(self.path)
            left.close()
            self.bind(kind).close()

    def test_aSocketInUseIsNotReplaced(self) -> None:
        for kind in SOCK_STREAM, SOCK_DGRAM:
            used = self.bind(kind)
            if kind == SOCK_STREAM:
                used.socket.listen()
            error = self.assertRaises(OSError, self.bind, kind)
            self.assertEqual((error.errno, error.filename), (EADDRINUSE, f"unix:{self.path}"))
            used.close()

    def test_aFileThatIsNoSocketIsNotReplaced(self) -> None:
        with open(self.path, "w") as file:
            file.write("precious")
        self.assertRaises(OSError, self.bind)
        self.assertTrue(os.path.exists(self.path))

    def test_aSuccessorsFileIsNotRemoved(self) -> None:
        bound = self.bind()
        os.unlink(self.path)
        successor = self.bind()
        bound.close()
        self.assertTrue(os.path.exists(self.path))
        successor.close()
        self.assertFalse(os.path.exists(self.path))

    def test_anAbstractNameHasNoFile(self) -> None:
        bound = bindStreams(f"unix:@hermes-test-{os.getpid()}")
        self.addCleanup(bound.close)
        self.assertIsNone(bound.file)
        self.assertEqual(bound.socket.getsockname(), b"\0hermes-test-%d" % os.getpid())
