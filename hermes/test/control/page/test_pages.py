"""
Tests for L{hermes.control.page}: what it says, to whom, and that nothing of others is markup in it.
"""

from __future__ import annotations

import re
from shutil import which
from subprocess import run
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hermes.control.page.drawing import DRAWN, draw, layout
from hermes.control.page.markup import Markup, join, table, tag
from hermes.test.control.operator.asking import Answered, ask
from hermes.test.control.operator.running import DOCUMENT, TOKEN
from hermes.test.control.page.pages import REFUSAL, PageCase, saying
from hermes.test.test_controlcommands import SECOND

FORM = {"content-type": "application/x-www-form-urlencoded"}
EVIL = '"><script>alert(1)</script>'


class HTTPCase(PageCase):
    """
    Asks for pages as over TLS.
    """

    def setUp(self) -> Any:
        starting = super().setUp()
        self.port = self.onPort()
        return starting

    def get(self, path: str, cookie: str = "") -> Deferred[Answered]:
        """
        GET a page.
        """
        return self.inThread(ask, self.port, "GET", path, None, {"cookie": cookie} if cookie else {})

    def post(self, path: str, cookie: str = "", **fields: str) -> Deferred[Answered]:
        """
        Send a form.
        """
        headers = FORM | ({"cookie": cookie} if cookie else {})
        return self.inThread(ask, self.port, "POST", path, urlencode(fields).encode(), headers)

    async def logIn(self) -> tuple[str, str]:
        """
        @return: the cookie, and the word in the forms of its pages.
        """
        found = await self.post("/login", token=TOKEN)
        self.assertEqual((found.status, found.headers["location"]), (303, "/"))
        cookie = found.headers["set-cookie"]
        for part in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
            self.assertIn(part.lower(), cookie.lower())
        cookie = cookie.partition(";")[0]
        words = re.findall(r'name="csrf" value="([^"]+)"', (await self.get("/", cookie)).text)
        self.assertTrue(words)
        return cookie, words[0]


class ReadingTests(HTTPCase):
    """
    What everybody sees.
    """

    async def test_theOverlayIsThereWithoutAScript(self) -> None:
        await self.applied(comment="the first")
        self.statuses["edge"] = saying("edge", {"relay": 0.0123}, refusals=[REFUSAL])
        self.nodes["gateway"].kill()
        text = (await self.get("/")).text
        for part in ("the first", "relay.example:8443", "12.3 ms", "2 of 3 nodes", "no route allows it", "<svg"):
            self.assertIn(part, text)
        self.assertNotIn("<button", text)

    async def test_aTextOnlyReaderShowsIt(self) -> None:
        if which("w3m") is None:
            raise self.skipTest("this machine has no w3m")
        await self.applied(comment="the first")
        self.statuses["edge"] = saying("edge", {"relay": 0.0123}, refusals=[REFUSAL])
        url = f"http://127.0.0.1:{self.port}"

        def read(path: str) -> str:
            command = ["w3m", "-dump", "-cols", "160", url + path]
            return " ".join(run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split())

        text = await self.inThread(read, "/")
        self.assertIn("Version 1 by ops", text)
        self.assertIn("edge current 1 1 edge.example:8443 3 d 2 h 12 3", text)
        self.assertIn("edge \u2192 relay up 10", text)
        self.assertIn("bob 192.0.2.9:4711 db.hermes:3306 no route allows it", text)
        text = await self.inThread(read, "/explain?user=alice&destination=db.hermes:3306")
        self.assertIn("alice at edge: yes", text)

    async def test_noVersionYet(self) -> None:
        text = (await self.get("/")).text
        self.assertIn("No version yet", text)
        self.assertIn("No version yet", (await self.get("/versions")).text)

    async def test_theHistoryWithItsDifferences(self) -> None:
        await self.applied()
        await self.applied(SECOND, "alice", "quicker")
        text = (await self.get("/versions")).text
        self.assertIn('<a href="/versions/2">Version 2</a>', text)
        self.assertIn("quicker", text)
        text = (await self.get("/versions/2")).text
        self.assertIn("What it changed", text)
        self.assertRegex(text, r'<span class="removed">-\s+weight: 50')
        self.assertRegex(text, r'<span class="added">\+\s+weight: 5')
        self.assertNotIn("wonderland", text)
        text = (await self.get("/versions/1")).text
        self.assertIn("What going back to it changes, from version 2", text)
        self.assertNotIn("<button", text)

    async def test_whyAVersionWasTakenBack(self) -> None:
        await self.applied()
        self.nodes["relay"].runner.refusing = {b"9443"}
        outcome = await self.applied(DOCUMENT.replace("relay.example:8443", "relay.example:9443"))
        self.assertEqual(outcome.result, "aborted")
        text = (await self.get("/versions/2")).text
        self.assertIn("address already in use", text)
        self.assertIn("address already in use", (await self.get("/versions")).text)

    async def test_mayAliceReachTheDatabase(self) -> None:
        await self.applied()
        text = (await self.get("/explain?user=alice&destination=db.hermes:3306")).text
        self.assertIn('<ol class="path"><li>edge</li><li>relay</li><li>gateway</li></ol>', text)
        text = (await self.get("/explain?user=bob&destination=db.hermes:3306")).text
        self.assertIn('<span class="state no">no</span>', text)
        text = (await self.get("/explain?user=bob&destination=nonsense")).text
        self.assertIn("card failed", text)

    async def test_whoChangedWhat(self) -> None:
        await self.applied()
        await self.audited()
        self.assertIn("committed", (await self.get("/audit")).text)

    async def test_pagesThatAreNotThere(self) -> None:
        for path in ("/nothing", "/versions/9", "/versions/x", "/versions/1/rollback", "/../etc/passwd", "/frame.py"):
            self.assertEqual((path, (await self.get(path)).status), (path, 404))

    async def test_nothingThatOthersWroteIsMarkup(self) -> None:
        outcome = await self.controller.apply(DOCUMENT + f"# {EVIL}\n", EVIL, EVIL)
        self.assertEqual(outcome.result, "committed")
        refusal = dict.fromkeys(REFUSAL, EVIL)
        self.statuses["edge"] = saying("edge", {"relay": 1.0}, refusals=[refusal, {"time": 7, "path": [EVIL]}, EVIL])
        cookie, _ = await self.logIn()
        query = urlencode({"user": EVIL, "destination": EVIL, "at": EVIL, "method": EVIL})
        for path in ("/", "/versions", "/versions/1", "/audit", f"/explain?{query}", f"/{EVIL.replace(' ', '')}"):
            for given in ("", cookie):
                text = (await self.get(path.replace('"', "%22").replace("<", "%3C"), given)).text
                self.assertEqual(re.findall(r"<script[^>]*>", text), ['<script src="/page.js" defer>'])
                self.assertNotIn('"><script', text)


class ChangingTests(HTTPCase):
    """
    What operators do.
    """

    async def test_goingBackToAVersion(self) -> None:
        await self.applied()
        await self.applied(SECOND)
        cookie, word = await self.logIn()
        text = (await self.get("/versions/1", cookie)).text
        self.assertIn("Go back to version 1", text)
        self.assertIn("wonderland", text)
        found = await self.post("/versions/1/rollback", cookie, csrf=word)
        self.assertEqual(found.status, 200)
        self.assertIn('<span class="state committed">', found.text)
        record = self.store.state.versions[3]
        self.assertEqual((record.document, record.author), (DOCUMENT, "ops"))

    async def test_withoutTheWordOfOurOwnPageNothingIsChanged(self) -> None:
        await self.applied()
        await self.applied(SECOND)
        cookie, word = await self.logIn()
        for given, sent in ((cookie, ""), (cookie, "wrong"), ("", word), ("__Host-hermes-session=guessed", word)):
            for path in ("/versions/1/rollback", "/cancel", "/logout"):
                found = await self.post(path, given, csrf=sent)
                self.assertEqual(found.status, 401)
            headers = {"cookie": given, "x-csrf-token": sent} if given else {"x-csrf-token": sent}
            found = await self.inThread(ask, self.port, "POST", "/api/v1/rollback/1", b"", headers)
            self.assertEqual(found.status, 401)
        self.assertEqual(self.store.state.current, 2)
        headers = {"cookie": cookie, "x-csrf-token": word}
        found = await self.inThread(ask, self.port, "POST", "/api/v1/cancel", b"", headers)
        self.assertEqual(found.status, 200)

    async def test_loggingOutEndsTheSession(self) -> None:
        cookie, word = await self.logIn()
        self.assertEqual((await self.post("/logout", cookie, csrf=word)).status, 303)
        self.assertIn("Log in", (await self.get("/", cookie)).text)
        self.assertEqual((await self.post("/cancel", cookie, csrf=word)).status, 401)

    async def test_aSessionEndsWithItsTokenOrAfterItsTime(self) -> None:
        cookie, _ = await self.logIn()
        self.assertIn("Log out", (await self.get("/", cookie)).text)
        tokens = dict(self.tokens)
        self.tokens.clear()
        self.assertNotIn("Log out", (await self.get("/", cookie)).text)
        self.tokens.update(tokens)
        cookie, _ = await self.logIn()
        self.clock.advance(12 * 3600)
        self.assertNotIn("Log out", (await self.get("/", cookie)).text)

    async def test_aWrongTokenLogsNobodyIn(self) -> None:
        self.patch(self, "pass_", lambda: None)
        statuses = [(await self.post("/login", token="wrong")).status for _ in range(11)]
        self.assertEqual(statuses, [401] * 10 + [429])

    async def test_aChangeThatIsUnderWayIsShownAndCanBeTakenBack(self) -> None:
        cookie, word = await self.logIn()
        applying = self.controller.apply(DOCUMENT, "alice")
        while "is under way" not in (text := (await self.get("/", cookie)).text):
            pass
        self.assertIn("Take it back", text)
        self.assertEqual((await self.post("/cancel", cookie, csrf=word)).status, 303)
        outcome = await applying
        self.assertEqual(outcome.result, "aborted")


class MarkupTests(SynchronousTestCase):
    """
    L{hermes.control.page.markup}.
    """

    def test_textIsEscapedAndMarkupIsNot(self) -> None:
        found = tag("a", "<&>", tag("b", 'x"'), None, 5, ["y", "z"], href='"<', class_="c", hidden=True, title=None)
        self.assertEqual(found, '<a href="&quot;&lt;" class="c" hidden>&lt;&amp;&gt;<b>x&quot;</b>5yz</a>')

    def test_controlCharactersAreNotHandedOn(self) -> None:
        self.assertEqual(join("a\x00\x1b\u202eb\n"), "a\ufffd\ufffd\ufffdb\n")

    def test_textThatLooksLikeACellIsNone(self) -> None:
        self.assertIn("<td>&lt;td&gt;</td>", table(["h"], [["<td>"]]))
        self.assertIn("<td class", table(["h"], [[Markup('<td class="x"></td>')]]))


class DrawingTests(SynchronousTestCase):
    """
    L{hermes.control.page.drawing}.
    """

    def test_theSameGraphIsDrawnTheSame(self) -> None:
        names = tuple(f"n{number}" for number in range(20))
        pairs = tuple((names[n], names[(n * 7 + 1) % 20]) for n in range(20) if n != (n * 7 + 1) % 20)
        first = layout(names, pairs)
        layout.cache_clear()
        self.assertEqual(first, layout(names, pairs))

    def test_nodesLieApart(self) -> None:
        names = tuple(f"n{number}" for number in range(12))
        places = list(layout(names, tuple((names[0], name) for name in names[1:])).values())
        for n, (x, y) in enumerate(places):
            self.assertTrue(0 <= x <= 1 and 0 <= y <= 1)
            for ox, oy in places[:n]:
                self.assertGreater((x - ox) ** 2 + (y - oy) ** 2, 0.001)

    def test_tooManyAreNotDrawn(self) -> None:
        node = {"state": "current", "runs": 1, "problem": None}
        self.assertIsNone(draw([node | {"name": str(number)} for number in range(DRAWN + 1)], []))
        self.assertIsNotNone(draw([node | {"name": str(number)} for number in range(DRAWN)], []))
        self.assertIsNotNone(draw([node | {"name": "one"}], []))
        self.assertIsNone(draw([], []))
