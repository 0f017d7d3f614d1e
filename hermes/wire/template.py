"""
URI templates (RFC 6570) as proxies are configured with (RFC 9298 section 2): matched against the path of a request,
and expanded into one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import unquote

from uritemplate import URITemplate

from hermes.wire.errors import MalformedError
from hermes.wire.host import parseHost, parsePort

UDP_TEMPLATE: Final = "/.well-known/masque/udp/{target_host}/{target_port}/"
"""
The default template of CONNECT-UDP (RFC 9298 section 2).
"""

TCP_TEMPLATE: Final = "/.well-known/masque/tcp/{target_host}/{target_port}/"
"""
The default template of templated connect-tcp (draft-ietf-httpbis-connect-tcp).
"""

IP_TEMPLATE: Final = "/.well-known/masque/ip/{target}/{ipproto}/"
"""
The default template of CONNECT-IP (RFC 9484 section 3). Neither variable need be in a template, nor have a value.
"""

TARGET: Final = ("target_host", "target_port")

_MAX_PATH = 8192
_ABSOLUTE = re.compile(r"(https?)://([^/?#{}@]+)(/.*)", re.IGNORECASE)
_EXPRESSION = re.compile(r"\{([?&]?)([A-Za-z0-9_.,%]+)\}")
_VARIABLE = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
# What an expansion gives is unreserved or percent-encoded. Clients that leave a colon as it is are understood too; the
# comma is what separates two variables of one expression.
_PATH_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+;=:@-]|%[0-9A-Fa-f]{2})"
_QUERY_CHARACTER = r"(?:[A-Za-z0-9._~!$'()*;:@/-]|%[0-9A-Fa-f]{2})"


class PathTemplate:
    """
    A URI template for tunnels.

    @ivar template: the template as it was written.
    @ivar scheme: C{"http"}, C{"https"}, or empty where the template is only a path.
    @ivar authority: the template's authority, or empty.
    @ivar variables: the names of its variables, in order.
    """

    def __init__(self, template: str, required: Collection[str] = TARGET) -> None:
        """
        @param template: an absolute template as a client is given it, C{https://HOST:PORT/...}, or only its path, as a
            server needs it.
        @param required: the variables it must have, and which must have values in a path that matches.
        @raise ValueError: with a sentence for the user, if it is not as RFC 9298 section 2 wants it.
        """
        if not all("\x21" <= character <= "\x7e" for character in template):
            raise ValueError(f"template {template!r}: percent-encode what is not a visible ASCII character")
        self.template = template
        self.scheme = self.authority = ""
        path = template
        if not template.startswith("/"):
            absolute = _ABSOLUTE.fullmatch(template)
            if absolute is None:
                raise ValueError(f"template {template!r}: write https://HOST:PORT/PATH or only /PATH")
            self.scheme, self.authority, path = absolute[1].lower(), absolute[2], absolute[3]
        if "#" in path:
            raise ValueError(f"template {template!r}: a request has no fragment")
        self.variables: tuple[str, ...] = ()
        self._required = required
        self._pattern = re.compile("".join(self._pieces(path)).encode("ascii"))
        missing = [name for name in required if name not in self.variables]
        if missing:
            raise ValueError(f"template {template!r}: the variable {missing[0]} is missing")
        self._expander = URITemplate(path)

    def __repr__(self) -> str:
        return f"PathTemplate({self.template!r})"

    def match(self, path: bytes | str) -> dict[str, str] | None:
        """
        Take a path with its query apart.

        @return: the variables, percent-decoded; those that are absent are left out. L{None} where the path is not of
            this template. The values are what the peer sent: see L{targetOf}.
        """
        if len(path) > _MAX_PATH:
            return None
        try:
            found = self._pattern.fullmatch(path if isinstance(path, bytes) else path.encode("ascii"))
            if found is None:
                return None
            return {
                name: unquote(value.decode("ascii"), errors="strict")
                for name, value in zip(self.variables, found.groups(), strict=True)
                if value
            }
        except UnicodeError:
            return None

    def expand(self, **values: str | int) -> str:
        """
        The path with its query for these values, which are percent-encoded as needed.

        @raise ValueError: if a required variable has no value.
        """
        for name in self._required:
            if values.get(name) in (None, ""):
                raise ValueError(f"template {self.template!r}: there is no value for {name}")
        return self._expander.expand({name: str(value) for name, value in values.items()})

    def _pieces(self, path: str) -> Iterator[str]:
        """
        The regular expression, piece by piece; notes the variables on the way.
        """
        at = 0
        while at < len(path):
            start = path.find("{", at)
            literal = path[at : start if start >= 0 else len(path)]
            if "}" in literal:
                raise ValueError(f"template {self.template!r}: a brace is closed that was not opened")
            yield re.escape(literal)
            if start < 0:
                return
            expression = _EXPRESSION.match(path, start)
            if expression is None:
                raise ValueError(
                    f"template {self.template!r}: at character {start}, only {{name}}, {{?name}} and {{&name}} "
                    "are allowed in a proxy's template (RFC 9298 section 2)"
                )
            inQuery = "?" in path[:start] or expression[1] == "?"
            yield self._expression(expression[1], expression[2].split(","), inQuery)
            at = expression.end()

    def _expression(self, operator: str, names: list[str], inQuery: bool) -> str:
        """
        The regular expression for one expression of the template.
        """
        character = _QUERY_CHARACTER if inQuery else _PATH_CHARACTER
        pieces = []
        for index, name in enumerate(names):
            if not _VARIABLE.fullmatch(name) or name in self.variables:
                raise ValueError(f"template {self.template!r}: the variable {name!r} is no name, or is there twice")
            self.variables += (name,)
            needed = name in self._required
            value = f"({character}+)" if needed else f"({character}*)"
            if not operator:
                pieces.append(("," if index else "") + value)
                continue
            # Where variables may be absent, the first that is present has the operator before it.
            first = index == 0 or not any(other in self._required for other in names[:index])
            separator = re.escape(operator) if index == 0 else "[?&]" if first and operator == "?" else "&"
            piece = f"{separator}{re.escape(name)}={value}"
            pieces.append(piece if needed else f"(?:{piece})?")
        return "".join(pieces)


def targetOf(values: dict[str, str]) -> tuple[str, int]:
    """
    Host and port from the variables C{target_host} and C{target_port}, checked (RFC 9298 section 3).

    @raise MalformedError: if they are no host and no port.
    """
    try:
        host, port = (values[name].encode("ascii") for name in TARGET)
    except KeyError:
        raise MalformedError("the path names no target") from None
    except UnicodeError:
        raise MalformedError("the target is not in ASCII") from None
    return parseHost(host), parsePort(port)
