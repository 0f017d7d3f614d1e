"""
Configurations with forwarders of NDN and gateways to them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config import ConfigError, loadNodeText


class NDNTests(SynchronousTestCase):
    """
    Forwarders and assisting components know each other by name.
    """

    def wrong(self, text: str) -> list[str]:
        """
        What is wrong with a configuration, without the file's name.
        """
        error = self.assertRaises(ConfigError, loadNodeText, text, "edge.yaml", "/")
        return [str(problem).removeprefix("edge.yaml:") for problem in error.problems]

    def test_namesThatNameNothingAreToldOf(self) -> None:
        text = """\
node: edge
listeners:
  names: {type: ndn, bind: 'udp:127.0.0.1:6363', cache: objekts}
  web: {type: http, bind: 127.0.0.1:8000, assist: [gate]}
assist:
  objects: {type: cache}
  gate: {type: ndn, forwarder: %s}
"""
        objects = (
            "3:57: listeners.names.cache: no assisting component of type cache is called 'objekts'; "
            "did you mean 'objects'?"
        )
        self.assertEqual(self.wrong(text % "names"), [objects])
        self.assertEqual(
            self.wrong(text % "web"),
            [objects, "7:32: assist.gate.forwarder: no listener of type ndn is called 'web' (there is names)"],
        )
        loadNodeText((text % "names").replace("objekts", "objects"), "edge.yaml", "/")

    def test_neighboursAreReachedThroughFacesThatThereAre(self) -> None:
        text = """\
node: edge
listeners:
  names: {type: ndn, faces: {far: {to: 'udp:ndn.hermes'}}, %s}
"""
        for key in ("announce", "register"):
            (problem,) = self.wrong(text % f"{key}: [fr]")
            self.assertRegex(
                problem, rf"^3:\d+: listeners\.names\.{key}\[0\]: no face is called 'fr'; did you mean 'far'"
            )
            loadNodeText(text % f"{key}: [far]", "edge.yaml", "/")

    def test_aGatewaysPathIsOneAndItsNamesAreNames(self) -> None:
        text = """\
node: edge
listeners:
  names: {type: ndn, bind: 'udp:127.0.0.1:6363'}
assist:
  gate: {type: ndn, forwarder: names, %s}
"""
        for keys, expected in (
            ("path: /ndn", "assist.gate.path: a path begins and ends with a slash"),
            ("timeout: 0s", "assist.gate.timeout: nobody answers in no time"),
            ("rules: [/a=/b]", "assist.gate.rules: nobody is asked who may sign what without 'anchors'"),
        ):
            (problem,) = self.wrong(text % keys)
            self.assertIn(expected, problem)
        (problem,) = self.wrong(text % "prefixes: ['/a', 'sha256digest=x']")
        self.assertIn("assist.gate.prefixes[1]: ", problem)
