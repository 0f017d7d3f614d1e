"""
Tests for the page in a browser: headless Chromium.
"""

from __future__ import annotations

import json

from hermes.test.control.operator.running import DOCUMENT, TOKEN
from hermes.test.control.page.chromium import MISSING, Chromium
from hermes.test.control.page.pages import REFUSAL, PageCase, saying
from hermes.test.test_controlcommands import SECOND


class BrowserTests(PageCase):
    """
    What a person does.
    """

    skip = MISSING
    timeout = 240

    async def test_itStaysCurrentByItself(self) -> None:
        await self.applied()
        self.statuses["edge"] = saying("edge", {"relay": 0.0123}, 400_000)
        url = self.serve()

        def watch() -> None:
            with Chromium() as browser:
                browser.go(url)
                self.assertEqual(browser.evaluate("document.querySelectorAll('svg .node').length"), 3)
                browser.until("/\\d+ kbit.s/.test(document.getElementById('sent-1-0').textContent)")
                browser.until("document.getElementById('label-1').textContent.includes('12.3 ms')")
                self.statuses["edge"] = saying("edge", {"relay": 0.5}, 400_000)
                browser.until("document.getElementById('label-1').textContent.includes('500 ms')")
                # What is there changes: not only numbers.
                self.statuses["edge"] = saying("edge", {"relay": 0.5}, refusals=[REFUSAL])
                browser.until("document.body.innerText.includes('no route allows it')")
                changing.append(True)
                browser.until("document.body.innerText.includes('Version 2')")
                self.assertEqual(browser.told, [])

        changing: list[bool] = []
        watching = self.inThread(watch)
        while not changing and not watching.called:
            await self.inThread(lambda: None)
        await self.applied(SECOND)
        await watching

    async def test_anOperatorLogsInGoesBackAndLogsOut(self) -> None:
        await self.applied()
        await self.applied(SECOND)
        url = self.serve()

        def change() -> None:
            with Chromium() as browser:
                browser.go(f"{url}versions/1")
                self.assertNotIn("Go back to version 1", browser.text())
                browser.go(f"{url}login")
                browser.evaluate(f"document.querySelector('[name=token]').value = {json.dumps(TOKEN)}")
                browser.evaluate("document.querySelector('main form').requestSubmit()")
                browser.until("document.body.innerText.includes('Log out')")
                self.assertEqual(browser.evaluate("document.cookie"), "", "a script sees the session")
                browser.go(f"{url}versions/1")
                tops = browser.evaluate("[...document.querySelector('.diff').children].map((line) => line.offsetTop)")
                self.assertGreater(len(tops), 10)
                self.assertEqual(tops, sorted(set(tops)), "each line is below the one before")
                browser.evaluate("document.querySelector('form[action$=rollback]').requestSubmit()")
                browser.until("document.body.innerText.includes('What came of it')")
                self.assertIn("committed", browser.text())
                browser.evaluate("document.querySelector('form[action=\"/logout\"]').requestSubmit()")
                browser.until("document.body.innerText.includes('Log in')")

        await self.inThread(change)
        self.assertEqual(self.store.state.versions[3].document, DOCUMENT)

    async def test_aScriptThatSomebodyPutsInDoesNotRun(self) -> None:
        await self.applied()
        url = self.serve()

        def attack() -> None:
            with Chromium() as browser:
                browser.go(url)
                # Were something not escaped: the policy would still stop it.
                inline = "s.textContent = 'window.done = 1'"
                foreign = "s.src = 'https://127.0.0.1:1/x.js'"
                for script in (inline, foreign):
                    made = f"const s = document.createElement('script'); {script}; document.body.append(s)"
                    browser.evaluate(f"(() => {{ {made} }})()")
                image = "<img src=/x onerror='window.done = 1'>"
                browser.evaluate(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(image)})")
                browser.evaluate("new Promise(done => setTimeout(done, 300))")
                self.assertIsNone(browser.evaluate("window.done"))
                self.assertTrue(any("Content Security Policy" in told for told in browser.told), browser.told)

        await self.inThread(attack)
