"""
Paths of requests, and the patterns for them.

The same file has many spellings, and a rule must not be passed by with one of them. So paths are compared in a
I{normal form}: what need not be percent-encoded is not, what must be is, with capital digits; dot segments are resolved
(RFC 3986 section 5.2.4); slashes that follow each other are one; the query is cut off.

What servers read differently has more than one reading: an encoded slash, a backslash, parameters (C{;v=1}, C{..;}),
C{..} behind an empty segment. Where a rule takes one of them and not the others, the request is refused with 400. So is
a path with a percent sign that encodes nothing, or with an encoded zero byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from attrs import field, frozen

from hermes.errors import BadRequest
from hermes.matching.regex import Regex

# RFC 3986 section 3.3, without what has a second reading or may stand for something else.
_PLAIN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@/"
_KEPT: Final = frozenset(_PLAIN + b";") - {ord("/")}
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?|[^A-Za-z0-9._~!$&'()*+,;=:@/\\-]")
_SLASHES: Final = re.compile(rb"//+")
_PARAMETERS: Final = re.compile(rb";[^/]*")
_ENCODED_SLASH: Final = re.compile(rb"%2F|%5C")
_CAPTURE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def readings(path: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """
    The normal form of a request's path, and the other readings that it has.

    @param path: as sent, with the query. Anything that does not begin with a slash (C{*}, nothing) is itself.
    @raise BadRequest: where it can't be read.
    """
    path = path.partition(b"?")[0]
    if not path.translate(None, _PLAIN) and b"//" not in path and b"/." not in path:
        return path, ()
    return _readings(path)


def unmergedPath(path: bytes) -> bytes:
    """
    The normal form, with slashes that follow each other as they are.

    @raise BadRequest: where it can't be read.
    """
    path = path.partition(b"?")[0]
    return _withoutDots(_escaped(path).replace(b"\\", b"%5C")) if path.startswith(b"/") else path


@lru_cache(1024)
def _readings(path: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    if not path.startswith(b"/"):
        return path, ()
    if b"#" in path:
        raise BadRequest("the path holds a fragment")
    # To the letter, a backslash is no character of a path, and should have been encoded.
    written = [path.replace(b"\\", b"%5C")]
    if b"\\" in path:
        written.append(path.replace(b"\\", b"/"))
    found = [_escaped(one) for one in _andWithout(_PARAMETERS, b"", written)]
    found = _andWithout(_ENCODED_SLASH, b"/", found)
    found = _andWithout(_PARAMETERS, b"", found)
    # Whoever resolves dots behind merged slashes goes up further than whoever does it first.
    found = [_SLASHES.sub(b"/", _withoutDots(one)) for one in found] + [
        _withoutDots(_SLASHES.sub(b"/", one)) for one in found
    ]
    normal, *others = dict.fromkeys(found)
    return normal, tuple(others)


def _andWithout(pattern: re.Pattern[bytes], replacement: bytes, paths: list[bytes]) -> list[bytes]:
    """
    The paths as they are, and as they are for whoever takes what matches for something else.
    """
    return list(dict.fromkeys([*paths, *(pattern.sub(replacement, path) for path in paths)]))


def _escaped(path: bytes) -> bytes:
    return _ESCAPE.sub(_oneEscape, path)


def _oneEscape(found: re.Match[bytes]) -> bytes:
    digits = found[1]
    if digits is None:
        if found[0] == b"%":
            raise BadRequest("the path has a percent sign that encodes nothing")
        return b"%%%02X" % found[0][0]
    value = int(digits, 16)
    if value == 0:
        raise BadRequest("the path holds a zero byte")
    return bytes((value,)) if value in _KEPT else b"%%%02X" % value


def _withoutDots(path: bytes) -> bytes:
    """
    RFC 3986 section 5.2.4, for a path that begins with a slash.
    """
    if b"/." not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def _literal(text: str) -> bytes:
    """
    A path that somebody wrote in a rule, in normal form.
    """
    if "?" in text:
        raise ValueError(f"path {text!r} holds a query: write 'query' beside 'path'")
    try:
        normal, others = readings(text.encode())
    except BadRequest as error:
        raise ValueError(f"path {text!r}: {error}") from None
    if others:
        raise ValueError(f"path {text!r}: an encoded slash, a backslash or a semicolon is read in more than one way")
    return normal


@frozen
class Captures:
    """
    What a pattern found in a path.

    @ivar names: the values of its template or of the named groups of its expression, as in the normal form: what must
        be percent-encoded is.
    @ivar prefix: what of the normal form is the pattern's prefix; empty where it has none.
    """

    names: Mapping[str, str] = field(factory=dict)
    prefix: bytes = b""


NO_CAPTURES: Final = Captures()


@frozen
class PathPattern:
    """
    One C{path} of a match.

    @ivar segments: between the slashes: what stands there in normal form, or L{None} for any one that is not empty.
    @ivar below: whether what lies below is taken too.
    @ivar itself: whether the path itself is.
    @ivar names: of the segments that are L{None}, in order.
    @ivar regex: an expression that must match all of the path, in place of the rest; or L{None}.
    """

    segments: tuple[bytes | None, ...] = ()
    below: bool = False
    itself: bool = True
    names: tuple[str, ...] = ()
    regex: Regex | None = None

    @classmethod
    def fromText(cls, text: str) -> PathPattern:
        """
        Parse C{/exact}, C{/below/it/}, C{/users/{id}/posts}.

        @raise ValueError: with a sentence for the user.
        """
        segments, names = _template(text)
        if segments[-1] == b"":
            return cls(segments[:-1], below=True, itself=False, names=names)
        return cls(segments, names=names)

    @classmethod
    def prefix(cls, text: str) -> PathPattern:
        """
        The same for a path with all that lies below it, C{/a} as C{/a/}: C{/a}, C{/a/} and C{/a/b}, not C{/ab}.
        """
        segments, names = _template(text)
        return cls(segments[:-1] if segments[-1] == b"" else segments, below=True, names=names)

    @classmethod
    def expression(cls, text: str) -> PathPattern:
        """
        A regular expression that must match all of a path.
        """
        return cls(regex=Regex(text))

    @classmethod
    def fromValue(cls, value: object) -> PathPattern:
        """
        Parse text as L{fromText} does, C{{prefix: PATH}} or C{{regex: EXPRESSION}}.

        @raise ValueError: with a sentence for the user.
        """
        if isinstance(value, str):
            return cls.fromText(value)
        if isinstance(value, Mapping) and len(value) == 1:
            [(how, text)] = value.items()
            if how in ("prefix", "regex") and isinstance(text, str):
                return cls.prefix(text) if how == "prefix" else cls.expression(text)
        raise ValueError("expected a path, {prefix: PATH} or {regex: EXPRESSION}")

    def match(self, path: bytes) -> Captures | None:
        """
        What is found in a path in normal form, or L{None} where it does not match.
        """
        if self.regex is not None:
            found = self.regex.fullMatch(path)
            return None if found is None else Captures(found)
        segments = path.split(b"/")[1:]
        count = len(self.segments)
        if path[:1] != b"/" or len(segments) < count:
            return None
        values = []
        for wanted, segment in zip(self.segments, segments, strict=False):
            if wanted is None:
                if not segment:
                    return None
                values.append(segment.decode("ascii"))
            elif wanted != segment:
                return None
        if len(segments) == count:
            if not self.itself:
                return None
        elif not self.below:
            return None
        prefix = b"".join(b"/" + segment for segment in segments[:count]) if self.below else b""
        return Captures(dict(zip(self.names, values, strict=True)), prefix)

    def __str__(self) -> str:
        if self.regex is not None:
            return f"regex {self.regex}"
        names = iter(self.names)
        written = [f"{{{next(names)}}}" if one is None else one.decode("ascii") for one in self.segments]
        text = "".join(f"/{segment}" for segment in written)
        if self.below:
            return f"prefix {text or '/'}" if self.itself else text + "/"
        return text


def _template(text: str) -> tuple[tuple[bytes | None, ...], tuple[str, ...]]:
    if not text.startswith("/"):
        raise ValueError(f"path {text!r} does not begin with a slash")
    segments: list[bytes | None] = []
    names: list[str] = []
    for segment in text.split("/")[1:]:
        if found := _CAPTURE.fullmatch(segment):
            segments.append(None)
            names.append(found[1])
        elif "{" in segment or "}" in segment:
            raise ValueError(f"path {text!r}: {{NAME}} stands for a whole segment, and a name is letters, digits and _")
        else:
            segments.append(segment.encode())
    if len(set(names)) != len(names):
        raise ValueError(f"path {text!r} has a name twice")
    # What stands for any segment is no dot segment, and ends none: the rest is normal or it is wrong.
    plain = _literal("/".join(["", *("x" if one is None else one.decode() for one in segments)])).split(b"/")[1:]
    if len(plain) != len(segments):
        raise ValueError(f"path {text!r} is not in its normal form: '.', '..' and '//' can't be in a rule")
    return tuple(None if one is None else made for one, made in zip(segments, plain, strict=True)), tuple(names)
