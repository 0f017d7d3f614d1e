"""
Tests for L{hermes.control.tap}, for the options of a node with a controller, and for operators' tokens.
"""

from __future__ import annotations

import os
import stat

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.agent.files import Files
from hermes.control.enrolment.tokens import Token
from hermes.control.operator.access import digest
from hermes.control.operators import FILE, TOKEN, OperatorTokens
from hermes.control.tap import Options, defaultDirectory
from hermes.tap import Options as NodeOptions


class ControllerOptions(SynchronousTestCase):
    """
    C{twistd hermes-controller}'s command line.
    """

    def options(self, *arguments: str) -> Options:
        options = Options()
        options.parseOptions(list(arguments))
        return options

    def test_none_is_needed(self) -> None:
        places = self.options().places
        self.assertEqual(places.directory, defaultDirectory())
        self.assertEqual((places.nodes, places.https), ("0.0.0.0:7700", "127.0.0.1:7780"))
        self.assertTrue(places.address.endswith(":7700"))
        self.assertIn("localhost", places.names)

    def test_paths_are_as_the_operator_sees_them(self) -> None:
        places = self.options("--state", "here", "--socket", "there/s").places
        self.assertEqual((places.directory, places.socket), (os.path.abspath("here"), os.path.abspath("there/s")))

    def test_how_it_is_reached_is_in_its_certificate(self) -> None:
        places = self.options("--address", "ctl.example:9", "--name", "admin.example", "--https", "0.0.0.0:1").places
        self.assertEqual(places.address, "ctl.example:9")
        self.assertTrue({"ctl.example", "admin.example"} <= set(places.names))
        self.assertNotIn("0.0.0.0", places.names)

    def test_operators_may_come_by_the_socket_alone_or_by_HTTPS_alone(self) -> None:
        self.assertEqual(self.options("--https", "none").places.https, "")
        self.assertEqual(self.options("--socket", "").places.socket, "")

    def test_what_is_no_address_is_told(self) -> None:
        for wrong in (("--listen", "7700"), ("--address", "ctl.example"), ("--https", "x:y")):
            self.assertRaises(UsageError, self.options, *wrong)


class NodesOptions(SynchronousTestCase):
    """
    C{twistd hermes-proxy --controller}'s.
    """

    def options(self, *arguments: str) -> NodeOptions:
        options = NodeOptions()
        options.parseOptions(list(arguments))
        return options

    def refused(self, text: str, *arguments: str) -> None:
        self.assertIn(text, str(self.assertRaises(UsageError, self.options, *arguments)))

    def test_a_controller_and_a_directory(self) -> None:
        options = self.options("--controller", "a:1", "--controller", "b:2", "--state", "here")
        self.assertEqual(options.controllers, ["a:1", "b:2"])
        self.assertEqual(options["state"], os.path.abspath("here"))
        self.assertIsNone(options.joining)

    def test_a_token_or_a_file_with_one(self) -> None:
        token = Token.make(b"f" * 32)
        path = self.mktemp()
        with open(path, "w") as file:
            file.write(token.toText() + "\n")
        for given in (("--token", token.toText()), ("--token-file", path)):
            self.assertEqual(self.options("--controller", "a:1", "--state", "x", *given).joining, token)

    def test_what_does_not_go_together_is_told(self) -> None:
        controller = ("--controller", "a:1", "--state", "x")
        self.refused("--config or --controller", *controller, "--config", "y")
        self.refused("--state", "--controller", "a:1")
        self.refused("one token", *controller, "--token", "a", "--token-file", "b")
        self.refused("not whole", *controller, "--token", Token.make(b"f" * 32).toText()[:-9])
        self.refused("No such file", *controller, "--token-file", self.mktemp())
        self.refused("HOST:PORT", "--controller", "a", "--state", "x")
        for option in ("--state", "--token", "--token-file"):
            self.refused("with a controller", option, "x", "--config", "y")


class Tokens(SynchronousTestCase):
    """
    Of operators.
    """

    def setUp(self) -> None:
        self.files = Files(self.mktemp())
        self.tokens = OperatorTokens(self.files)

    def test_the_first_is_made_once_and_is_readable_to_its_owner_alone(self) -> None:
        self.assertTrue(self.tokens.start())
        token = self.files.read(TOKEN).decode().strip()
        self.assertEqual(self.tokens(), {digest(token): "operator"})
        self.assertEqual(stat.S_IMODE(os.stat(self.files.path(TOKEN)).st_mode), 0o600)
        self.assertNotIn(token.encode(), self.files.read(FILE))
        self.assertFalse(OperatorTokens(self.files).start())
        self.assertEqual(self.files.read(TOKEN).decode().strip(), token)

    def test_a_changed_file_is_read_again(self) -> None:
        self.tokens.start()
        self.files.write(FILE, b'{"alice": "%s"}' % digest("hers").encode())
        self.assertEqual(self.tokens(), {digest("hers"): "alice"})

    def test_while_it_can_not_be_read_those_that_were_are_known(self) -> None:
        self.tokens.start()
        before = dict(self.tokens())
        for wrong in (b"{", b"[]", b"5"):
            self.files.write(FILE, wrong)
            self.assertEqual(self.tokens(), before)
