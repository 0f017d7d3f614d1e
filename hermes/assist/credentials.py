"""
Where credentials stand, and how a client is told to bring some (RFC 9110 section 11).
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from hermes.values import Headers


@frozen
class Place:
    """
    @ivar field: what a credential is in.
    @ivar challenge: the field that asks for one.
    @ivar status: of the response that does.
    """

    field: bytes
    challenge: bytes
    status: int


ORIGIN: Final = Place(b"authorization", b"www-authenticate", 401)
PROXY: Final = Place(b"proxy-authorization", b"proxy-authenticate", 407)


class Challenges:
    """
    The challenges of one realm (RFC 7617 section 2, RFC 6750 section 3).
    """

    def __init__(self, realm: str, basic: bool, bearer: bool) -> None:
        quoted = _quoted(realm)
        self._basic = b'Basic realm="%s", charset="UTF-8"' % quoted if basic else None
        self._bearer = b'Bearer realm="%s"' % quoted if bearer else None

    def fields(self, place: Place, error: str | None = None) -> Headers:
        """
        @param error: what is wrong with the token that was brought; L{None} where none was.
        """
        values = []
        if self._bearer is not None:
            told = b'%s, error="invalid_token", error_description="%s"' % (self._bearer, _quoted(error or ""))
            values.append(self._bearer if error is None else told)
        if self._basic is not None:
            values.append(self._basic)
        return tuple((place.challenge, value) for value in values)


def _quoted(text: str) -> bytes:
    plain = "".join(character if " " <= character <= "~" else "?" for character in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"').encode("ascii")
