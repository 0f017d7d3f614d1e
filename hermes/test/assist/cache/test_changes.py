"""
Tests for the cache: what it is made to forget.
"""

from __future__ import annotations

from hermes.test.assist.cache.fakes import CacheCase, FakeBody, OnDisk


class ChangeTests(CacheCase):
    """
    What methods that change something, and operators, make the cache forget.
    """

    def stored(self, path: str = "/", **named: str) -> bool:
        """
        Whether something is stored for a path.
        """
        request = self.request(path, cache_control="only-if-cached", **named)
        return self.successResultOf(self.cache.assist(request, self.onward)).head.status == 200

    def test_aChangeForgetsItsTarget(self) -> None:
        for method, status, forgets in (
            ("POST", 200, True),
            ("PUT", 201, True),
            ("DELETE", 204, True),
            ("PATCH", 303, True),
            ("FROB", 200, True),
            ("POST", 404, False),
            ("POST", 500, False),
            ("OPTIONS", 200, False),
        ):
            self.fetch(cache_control="max-age=60")
            asked = self.ask(method=method)
            self.assertTrue(self.stored())
            self.answer(status=status)
            answered = self.read(asked)
            self.assertEqual((answered.status, answered.record.cache), (status, "bypass"))
            self.assertEqual(answered.get("cache-status"), "edge/pages; fwd=method")
            self.assertEqual(self.stored(), not forgets, (method, status))
            self.successResultOf(self.cache.purge("web.example"))

    def test_aChangeForgetsWhatItsResponseNamesOnTheSameSite(self) -> None:
        for path in ("/", "/a", "/b?c", "/d"):
            self.fetch(path=path, cache_control="max-age=60")
        asked = self.ask("/x/y", method="POST")
        self.answer(status=201, location="/a#top", content_location="http://WEB.example:80/b?c")
        self.read(asked)
        self.assertEqual([self.stored(path) for path in ("/", "/a", "/b?c", "/d")], [True, False, False, True])
        asked = self.ask("/x", method="POST")
        self.answer(status=201, location="http://other.example/d", content_location="//web.example:81/d")
        self.read(asked)
        self.assertTrue(self.stored("/d"))

    def test_whatIsOnItsWayWhenItsUrlIsChangedIsNotStored(self) -> None:
        before, during = self.ask(), FakeBody()
        change = self.ask(method="POST")
        self.answer(status=200)
        self.read(change)
        self.answer(b"old", index=0, cache_control="max-age=60")
        self.assertEqual(self.read(before).body, b"old")
        self.assertFalse(self.stored())
        asked = self.ask()
        self.answer(during, cache_control="max-age=60", content_length="3")
        reading = self.read(asked)
        during.send(b"o")
        change = self.ask(method="POST")
        self.answer(status=200)
        self.read(change)
        during.send(b"ld")
        during.end()
        self.assertEqual(reading.body, b"old")
        self.assertFalse(self.stored())

    def test_usersThatMayPurgeDo(self) -> None:
        self.cache = self.make(purge=("admin",))
        for path in ("/a/1", "/a/2", "/b"):
            self.fetch(path=path, cache_control="max-age=60")
        answered = self.get("/a/1", method="PURGE", user="admin")
        self.assertEqual((answered.status, answered.body), (200, b"1 purged\n"))
        self.assertEqual([self.stored(path) for path in ("/a/1", "/a/2", "/b")], [False, True, True])
        self.assertEqual(self.get("/a*", method="PURGE", user="admin").body, b"1 purged\n")
        self.assertEqual([self.stored(path) for path in ("/a/2", "/b")], [False, True])
        self.assertSent(3)

    def test_aPurgeOfSomebodyElseIsTheOrigins(self) -> None:
        self.cache = self.make(purge=("admin",))
        self.fetch(cache_control="max-age=60")
        for user in ("alice", None):
            self.cache.assist(self.request(method="PURGE", user=user), self.onward)
        self.assertSent(3)
        self.assertTrue(self.stored())

    def test_anOperatorPurgesASite(self) -> None:
        self.fetch(path="/a", cache_control="max-age=60")
        self.fetch(path="/b", cache_control="max-age=60")
        self.assertEqual(self.successResultOf(self.cache.purge("other.example")), 0)
        self.assertEqual(self.successResultOf(self.cache.purge("Web.example", "/a")), 1)
        self.assertEqual(self.successResultOf(self.cache.purge("web.example:80")), 1)

    def test_aPurgeReachesWhatIsOnItsWay(self) -> None:
        asked = self.ask("/a")
        self.successResultOf(self.cache.purge("web.example"))
        self.answer(cache_control="max-age=60")
        self.read(asked)
        self.assertFalse(self.stored("/a"))


class ChangeOnDiskTests(OnDisk, ChangeTests):
    """
    The same with a store on disk.
    """
