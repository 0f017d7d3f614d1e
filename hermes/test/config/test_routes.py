"""
Routes for HTTP requests in the configuration: what a user is told.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hermes.config import ConfigError, NodeConfig, loadNodeText
from hermes.interfaces import IAssistant, IAssistantType
from hermes.matching import Match


@frozen
class RuleOptions:
    """
    Options that hold matches.

    @ivar allow: some.
    @ivar but: one.
    """

    allow: tuple[Match, ...]
    but: Match | None = None


@implementer(IAssistantType)
class RuleType:
    """
    An assisting component of somebody else.
    """

    options = RuleOptions

    def __init__(self, name: str) -> None:
        self.type = name

    def assistant(self, name: str, options: Any, context: object) -> IAssistant:
        """
        Not reached.
        """
        raise NotImplementedError


TYPES: Mapping[str, IAssistantType] = {name: RuleType(name) for name in ("rule", "authentication")}

UPSTREAMS = """\
node: edge
upstreams:
  v1: {type: direct, endpoints: [10.1.0.1:80]}
  v2: {type: direct, endpoints: [10.1.0.2:80]}
  asked: {type: direct}
"""


class RouteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)

    def load(self, text: str) -> NodeConfig:
        """
        Load what is right.
        """
        return loadNodeText(text, "edge.yaml", self.directory, {}, TYPES)

    def refusal(self, route: str) -> str:
        """
        What is wrong with a route, without the name of the file.
        """
        error = self.assertRaises(ConfigError, self.load, f"{UPSTREAMS}routes:\n  - {route}\n")
        return "\n".join(line.partition(": routes[0]")[2].lstrip(".") for line in str(error).splitlines())

    def test_whatIsWrongInAMatchIsToldAtItsPlace(self) -> None:
        for match, message in {
            "{host: 'a:80'}": "host: 'a:80' is not a host: write HOST or *.NAME, without a port",
            "{path: [/a, b]}": "path[1]: path 'b' does not begin with a slash",
            "{path: {prefx: /a}}": "path: expected a path, {prefix: PATH} or {regex: EXPRESSION}",
            "{path: {regex: '('}}": "path: '(' is not a regular expression: missing ): (",
            "{method: 'G T'}": "method: 'G T' is not a method",
            "{header: {'a b': c}}": "header.a b: 'a b' is not the name of a header field",
            "{header: {a: {like: b}}}": "header.a: expected text, true (it is there), false (it is not), or one of "
            "{prefix: TEXT}, {suffix: TEXT}, {contains: TEXT}, {regex: TEXT}",
            "{header: a}": "header: expected a mapping, found 'a'",
            "{path: /a, protocol: tcp}": "protocol: takes HTTP requests, and the protocol is none",
            "{path: /a, any: true}": "any: 'any: true' takes every flow: it goes with no other key",
            "{paths: /a}": "paths: unknown key; did you mean 'path'?",
        }.items():
            self.assertEqual(f"match.{message}", self.refusal(f"{{match: {match}}}").splitlines()[0], match)

    def test_actionsThatExcludeEachOtherAreTold(self) -> None:
        for actions, message in {
            "respond: {}, to: v1": "respond: answers, and 'to' is for what is sent on",
            "respond: {}, redirect: {to: /}": "redirect: answers, and 'respond' is for what is sent on",
            "redirect: {to: /}, rewrite: {host: a}": "redirect: answers, and 'rewrite' is for what is sent on",
            "split: {v1: 1}, to: v2": "split: goes not with 'to': it stands in place of it",
            "deny: no, rewrite: {host: a}": "deny: goes with no other action, and 'rewrite' is one: "
            "the flow is refused",
            "rewrite: {path: /a, prefix: /b}": "rewrite.prefix: goes not with 'path': "
            "the path can be rewritten in one way",
        }.items():
            self.assertEqual(message, self.refusal(f"{{match: {{path: /x/}}, {actions}}}"), actions)

    def test_whatIsWrongInAnActionIsToldAtItsPlace(self) -> None:
        for actions, message in {
            "split: {v1: 0, v2: 0}": "split: weights are whole numbers from 0, and one at least is above it",
            "split: {v1: many}": "split.v1: expected a whole number, found 'many'",
            "rewrite: {}": "rewrite: rewrites nothing: give 'host', 'path', 'prefix' or 'regex'",
            "rewrite: {regex: a}": "rewrite: 'regex' and 'substitution' go together",
            "rewrite: {regex: '(a)', substitution: '\\2'}": "rewrite.substitution: the expression has no group 2",
            "rewrite: {regex: '(a)', substitution: '\\n'}": "rewrite.substitution: "
            "a backslash stands before the number of a group",
            "rewrite: {path: b}": "rewrite.path: 'b' does not begin with a slash",
            "rewrite: {path: '/{id}'}": "rewrite.path: {id} stands for nothing: "
            "known are user, node, source, host, path",
            "rewrite: {host: 'a b'}": "rewrite.host: 'a b' is not HOST or HOST:PORT",
            "headers: {}": "headers: changes nothing: give 'set', 'add' or 'remove'",
            "headers: {set: {Host: a}}": "headers.set.host: 'host' can't be set by a route: use 'rewrite' for it",
            "headers: {remove: Hermes-Deadline}": "headers.remove: "
            "'hermes-deadline' can't be removed by a route: the proxy itself says what it holds",
            "responseHeaders: {add: {Content-Length: '5'}}": "responseHeaders.add.content-length: "
            "'content-length' can't be set by a route: the proxy itself says what it holds",
            'headers: {set: {a: "b\\nc"}}': "headers.set.a: a value can't hold line breaks or other control characters",
            "headers: {set: {a: '{usr}'}}": "headers.set.a: {usr} stands for nothing: "
            "known are user, node, source, host, path; did you mean 'user'?",
            "headers: {set: {a: '{'}}": "headers.set.a: '{' has a brace that names nothing: "
            "write {{ for one that is meant",
            "redirect: {status: 301}": "redirect: leads nowhere: give 'to', 'scheme', 'host' or 'path'",
            "redirect: {to: /, status: 200}": "redirect.status: a redirect is 301, 302, 303, 307 or 308",
            "redirect: {to: /, host: a}": "redirect.host: is a part of what 'to' is the whole of",
            "redirect: {scheme: ftp}": "redirect.scheme: expected http or https",
            "respond: {status: 101}": "respond.status: a response's status is between 200 and 599",
            "respond: {status: 204, body: a}": "respond.status: a response with status 204 has no body",
            "mirror: {to: v1, share: 2}": "mirror.share: a share is between 0 and 1",
        }.items():
            self.assertEqual(message, self.refusal(f"{{match: {{path: /x/}}, {actions}}}"), actions)

    def test_aPrefixIsReplacedOnlyWhereThereIsOne(self) -> None:
        message = "rewrite.prefix: the match has no prefix to replace: give it a 'path' such as /a/ or {prefix: /a}"
        for match in ("host: a", "path: /a", "path: [/a/, /b]", "path: {regex: /a/.*}"):
            self.assertEqual(message, self.refusal(f"{{match: {{{match}}}, rewrite: {{prefix: /n/}}}}"), match)
        route = "{match: {path: [/a/, {prefix: '/b/{c}'}]}, rewrite: {prefix: /n/}}"
        self.load(f"{UPSTREAMS}routes:\n  - {route}\n")

    def test_aPlaceIsFilledByEveryPathOrNotAtAll(self) -> None:
        route = "{match: {path: ['/a/{id}', %s]}, rewrite: {path: '/{id}'}}"
        expression = route % "{regex: '/b(?P<id>[0-9]+)'}"
        self.load(f"{UPSTREAMS}routes:\n  - {expression}\n")
        self.assertIn("{id} stands for nothing", self.refusal(route % "/b"))

    def test_whatIsForRequestsIsNotSilentlyPassedByWithAnotherFlow(self) -> None:
        assist = "assist: {x: {type: rule, allow: []}}\n"
        for action in ("split: {v1: 1}", "redirect: {to: /}", "respond: {}", "assist: x"):
            error = self.assertRaises(
                ConfigError, self.load, f"{UPSTREAMS}{assist}routes:\n  - {{match: {{any: true}}, {action}}}\n"
            )
            key = action.partition(":")[0]
            message = "is for HTTP requests, and the match takes other flows too: give it 'protocol: http'"
            self.assertTrue(str(error).endswith(f"routes[0].{key}: {message}"), error)
            self.load(f"{UPSTREAMS}{assist}routes:\n  - {{match: {{protocol: http}}, {action}}}\n")

    def test_namesThatNameNothingAreToldWithTheNearest(self) -> None:
        self.assertEqual(
            "split.askd: no upstream is called 'askd'; did you mean 'asked'?",
            self.refusal("{match: {path: /}, split: {askd: 1}}"),
        )
        self.assertEqual(
            "mirror.to: no upstream is called 'askd'; did you mean 'asked'?",
            self.refusal("{match: {path: /}, mirror: {to: askd}}"),
        )
        self.assertEqual(
            "assist[1]: no assisting component is called 'y'",
            self.refusal("{match: {path: /}, assist: [x, y]}").splitlines()[1],
        )

    def test_whatIsSplitOrCopiedNeedsEndpoints(self) -> None:
        for action in ("split: {v1: 1, asked: 1}", "mirror: {to: asked}"):
            self.assertEqual(
                f"{action.partition(':')[0]}: the upstream 'asked' has no endpoints to send requests to",
                self.refusal(f"{{match: {{path: /}}, {action}}}"),
            )

    def test_aUserWhomATokenNamesIsNotInTheFile(self) -> None:
        route = "routes:\n  - {match: {user: zoe}}\n"
        self.assertRaises(ConfigError, self.load, UPSTREAMS + route)
        self.load(f"{UPSTREAMS}assist: {{who: {{type: authentication, allow: []}}}}\n{route}")

    def test_anOptionCanBeAMatch(self) -> None:
        config = self.load(
            "node: edge\nassist:\n"
            "  a: {type: rule, allow: [{path: /a/, user: alice}, {any: true}], but: {method: put}}\n"
        )
        self.assertEqual(
            config.assist["a"].options,
            RuleOptions((Match.fromTexts(paths=["/a/"], users=["alice"]), Match()), Match.fromTexts(methods=["PUT"])),
        )
        error = self.assertRaises(
            ConfigError, self.load, "node: edge\nassist:\n  a: {type: rule, allow: [{path: a}, {}]}\n"
        )
        self.assertEqual(
            [line.partition(" ")[2] for line in str(error).splitlines()],
            [
                "assist.a.allow[0].path: path 'a' does not begin with a slash",
                "assist.a.allow[1]: matches nothing: say 'any: true' for every flow",
            ],
        )
