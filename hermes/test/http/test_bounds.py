"""
When no more exchanges are taken.
"""

from __future__ import annotations

from hermes.test.http.forwarding import Forwarding


class BoundTests(Forwarding):
    def test_whoIsTooManyIsRefusedAndObserved(self) -> None:
        self.requests.maxRequests = 1
        browser, _, _ = self.ask()
        _, refused, body = self.ask(path=b"/late")
        self.assertRefused(refused, 503, b"error=connection_limit_reached")
        self.assertEqual(bytes(body.data), b"1 requests are open: no more are taken\n")
        (record,) = self.watching.ended
        self.assertEqual((record.head.path, record.status), (b"/late", 503))
        self.assertEqual(record.error, "1 requests are open: no more are taken")
        self.assertEqual((len(self.requests.openRequests()), self.requests.started), (1, 1))
        browser.abortConnection()
        self.pump()
        self.ask()
        self.up()
        self.assertEqual(self.requests.started, 2)

    def test_whoComesWhileWeDrainIsRefusedAndObserved(self) -> None:
        browser, _, _ = self.ask()
        drained = self.requests.drain()
        _, refused, _ = self.ask(path=b"/late")
        self.assertRefused(refused, 503, b"error=")
        self.assertEqual([record.head.path for record in self.watching.ended], [b"/late"])
        self.assertNoResult(drained)
        browser.abortConnection()
        self.pump()
        self.successResultOf(drained)
