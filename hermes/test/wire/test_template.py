"""
Tests for L{hermes.wire.template}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.wire.errors import MalformedError
from hermes.wire.template import TCP_TEMPLATE, UDP_TEMPLATE, PathTemplate, targetOf

FORMS = (
    UDP_TEMPLATE,
    TCP_TEMPLATE,
    "/masque{?target_host,target_port}",
    "/masque?v=1{&target_host,target_port}",
    "/masque?h={target_host}&p={target_port}",
    "/{target_host},{target_port}",
    "/{target_host,target_port}/",
    "https://proxy.example:4443/masque/{target_host}/{target_port}/",
    "https://[2001:db8::1]/x{?target_port,target_host}",
)


class MatchTests(SynchronousTestCase):
    """
    Matching.
    """

    def test_theDefaultTemplateMatches(self) -> None:
        found = PathTemplate(UDP_TEMPLATE).match(b"/.well-known/masque/udp/192.0.2.6/443/")
        self.assertEqual(found, {"target_host": "192.0.2.6", "target_port": "443"})

    def test_theColonsOfAnIPv6AddressAreDecoded(self) -> None:
        for host in (b"2001%3Adb8%3A%3A42", b"2001%3adb8%3a%3a42", b"2001:db8::42"):
            found = PathTemplate(UDP_TEMPLATE).match(b"/.well-known/masque/udp/" + host + b"/443/")
            self.assertEqual(found, {"target_host": "2001:db8::42", "target_port": "443"})

    def test_textAndBytesAreTheSame(self) -> None:
        template = PathTemplate("/{target_host}/{target_port}/")
        self.assertEqual(template.match("/a/1/"), template.match(b"/a/1/"))

    def test_variablesOfAQueryAreFound(self) -> None:
        for form in ("/m{?target_host,target_port}", "/m?target_host={target_host}&target_port={target_port}"):
            found = PathTemplate(form).match(b"/m?target_host=a.example&target_port=1")
            self.assertEqual(found, {"target_host": "a.example", "target_port": "1"})

    def test_anotherPathDoesNotMatch(self) -> None:
        template = PathTemplate(UDP_TEMPLATE)
        for path in (
            b"",
            b"/",
            b"/.well-known/masque/udp/a/1",
            b"/.well-known/masque/udp/a/1//",
            b"/.well-known/masque/udp//1/",
            b"/.well-known/masque/udp/a//",
            b"/.well-known/masque/udp/a/b/1/",
            b"/.well-known/masque/udp/a/1/?x",
            b"/.well-known/masque/udp/a/1/\n",
            b"/.well-known/masque/udp/%/1/",
            b"/.well-known/masque/udp/%2/1/",
            b"/.well-known/masque/udp/\xff/1/",
            b"/x/.well-known/masque/udp/a/1/",
            b"/.well-known/masque/tcp/a/1/",
        ):
            self.assertIsNone(template.match(path), path)

    def test_aDotInTheTemplateIsADot(self) -> None:
        self.assertIsNone(PathTemplate("/a.b/{target_host}/{target_port}/").match("/axb/h/1/"))

    def test_whatDecodesToNoTextDoesNotMatch(self) -> None:
        self.assertIsNone(PathTemplate(UDP_TEMPLATE).match(b"/.well-known/masque/udp/%ff/1/"))
        self.assertIsNone(PathTemplate(UDP_TEMPLATE).match("/.well-known/masque/udp/ö/1/"))

    def test_anEndlessPathDoesNotMatch(self) -> None:
        self.assertIsNone(PathTemplate("/{target_host}/{target_port}").match(b"/" + b"a" * 10_000 + b"/1"))

    def test_optionalVariablesMayBeAbsent(self) -> None:
        template = PathTemplate("/ip{?target,ipproto}", required=())
        self.assertEqual(template.match("/ip"), {})
        self.assertEqual(template.match("/ip?ipproto=17"), {"ipproto": "17"})
        self.assertEqual(template.match("/ip?target=%2A&ipproto=17"), {"target": "*", "ipproto": "17"})

    @settings(deadline=None)
    @given(st.sampled_from(FORMS), st.text(min_size=1, max_size=30), st.integers(1, 65535))
    def test_whatIsExpandedMatches(self, form: str, host: str, port: int) -> None:
        template = PathTemplate(form)
        path = template.expand(target_host=host, target_port=port)
        self.assertEqual(template.match(path), {"target_host": host, "target_port": str(port)})

    @settings(deadline=None)
    @given(st.sampled_from(FORMS), st.binary(max_size=60))
    def test_noPathRaises(self, form: str, path: bytes) -> None:
        PathTemplate(form).match(path)


class ExpandTests(SynchronousTestCase):
    """
    Expanding.
    """

    def test_theExamplesOfTheRFCExpand(self) -> None:
        # RFC 9298 section 3.
        template = PathTemplate(UDP_TEMPLATE)
        self.assertEqual(
            template.expand(target_host="192.0.2.6", target_port=443), "/.well-known/masque/udp/192.0.2.6/443/"
        )
        self.assertEqual(
            template.expand(target_host="2001:db8::42", target_port=443),
            "/.well-known/masque/udp/2001%3Adb8%3A%3A42/443/",
        )

    def test_anAbsoluteTemplateExpandsToAPath(self) -> None:
        template = PathTemplate("https://proxy.example:4443/masque{?target_host,target_port}")
        self.assertEqual((template.scheme, template.authority), ("https", "proxy.example:4443"))
        self.assertEqual(
            template.expand(target_host="a.example", target_port=53), "/masque?target_host=a.example&target_port=53"
        )

    def test_aMissingValueIsRefused(self) -> None:
        self.assertRaises(ValueError, PathTemplate(UDP_TEMPLATE).expand, target_host="a")
        self.assertRaises(ValueError, PathTemplate(UDP_TEMPLATE).expand, target_host="", target_port=1)


class ConstructionTests(SynchronousTestCase):
    """
    What RFC 9298 section 2 allows.
    """

    def test_whatIsNotATemplateOfAProxyIsRefused(self) -> None:
        for template in (
            "",
            "masque/{target_host}/{target_port}",
            "ftp://proxy.example/{target_host}/{target_port}",
            "https://proxy.example{?target_host,target_port}",
            "https:///{target_host}/{target_port}",
            "https://{target_host}/{target_port}",
            "https://user@proxy.example/{target_host}/{target_port}",
            "/{target_host}",
            "/{target_host}/{target_host}/{target_port}",
            "/{+target_host}/{target_port}",
            "/{#target_host}/{target_port}",
            "/{.target_host}/{target_port}",
            "/x{/target_host,target_port}",
            "/x{;target_host,target_port}",
            "/{target_host:3}/{target_port}",
            "/{target_host*}/{target_port}",
            "/{target_host}/{target_port",
            "/{target_host}/target_port}",
            "/{target_host}/{target_port}#x",
            "/{target_host}/{target_port}/{}",
            "/{target_host}/{target_port,}",
            "/ä/{target_host}/{target_port}",
            "/a b/{target_host}/{target_port}",
        ):
            self.assertRaises(ValueError, PathTemplate, template)

    def test_itNamesItsVariables(self) -> None:
        self.assertEqual(PathTemplate("/{target_port}/{target_host}").variables, ("target_port", "target_host"))

    def test_itSaysWhatItIs(self) -> None:
        self.assertIn(UDP_TEMPLATE, repr(PathTemplate(UDP_TEMPLATE)))


class TargetTests(SynchronousTestCase):
    """
    L{targetOf}.
    """

    def test_hostAndPortAreChecked(self) -> None:
        self.assertEqual(targetOf({"target_host": "2001:DB8::0:42", "target_port": "53"}), ("2001:db8::42", 53))
        for host, port in (("a b", "1"), ("a", "0"), ("a", "65536"), ("a", "x"), ("ä", "1"), ("fe80::1%eth0", "1")):
            self.assertRaises(MalformedError, targetOf, {"target_host": host, "target_port": port})
        self.assertRaises(MalformedError, targetOf, {"target_host": "a"})
