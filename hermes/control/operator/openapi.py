"""
The REST interface, described (OpenAPI 3.1).
"""

from __future__ import annotations

from typing import Any, Final

import hermes

_NAME: Final = {"name": "node", "in": "path", "required": True, "schema": {"type": "string"}}
_NUMBER: Final = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
_ERRORS: Final = {
    "400": "The call is wrong.",
    "401": "It needs an operator's token, or the token is wrong.",
    "404": "There is no such node or version.",
    "409": "Another change is under way, or the overlay is at another version than was expected.",
    "413": "It is too long: 16 MiB is the most.",
    "415": "It came as a form; a document is application/yaml.",
    "422": "What was sent is no overlay document, or the question can't be asked; each problem with its line.",
    "429": "Too many wrong tokens, or too many questions without one; Retry-After says how long to wait.",
    "503": "This controller does not lead.",
    "504": "The node did not answer.",
}


def _parameter(name: str, kind: str, text: str, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": text, "schema": {"type": kind}}


_LIMIT: Final = _parameter("limit", "integer", "How many, the newest first; 50 where not given, at most 1000.")
_BEFORE: Final = _parameter("before", "integer", "Only those before this number.")
_CHANGE: Final = [
    _parameter("comment", "string", "What is said about it in the history."),
    _parameter("expect", "integer", "The version that it was made for; 409 where the overlay is at another."),
]
_YAML: Final = {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}

OPERATIONS: Final[tuple[tuple[str, str, str, list[dict[str, Any]], bool, bool], ...]] = (
    ("get", "/openapi.json", "This description.", [], False, False),
    ("get", "/status", "The overlay: its version, the change under way, the nodes.", [], False, False),
    ("get", "/graph", "Nodes and links, with rates, round trips and loss: what the page draws.", [], False, False),
    ("get", "/nodes/{node}", "What a node's own status says.", [_NAME], False, False),
    (
        "get",
        "/nodes/{node}/logs",
        "The last lines of a node's log.",
        [_NAME, _parameter("count", "integer", "How many; 100 where not given.")],
        True,
        False,
    ),
    ("post", "/nodes/{node}/enrol", "A token by which a node can join, once.", [_NAME], True, False),
    ("post", "/nodes/{node}/revoke", "Shut a node out at once.", [_NAME], True, False),
    (
        "post",
        "/nodes/{node}/drain",
        "Have a node accept nothing more, and end.",
        [_NAME, _parameter("timeout", "integer", "Seconds that flows may go on; 30 where not given.")],
        True,
        False,
    ),
    ("get", "/versions", "The history.", [_LIMIT, _BEFORE], False, False),
    (
        "get",
        "/versions/{number}",
        "One version with its document; without a token, passwords and the like are hidden in it.",
        [_NUMBER],
        False,
        False,
    ),
    ("post", "/diff", "What a document would change, node by node.", [], True, True),
    ("post", "/apply", "Make a document the overlay's.", _CHANGE, True, True),
    ("post", "/rollback/{number}", "Make what a version said the overlay's again.", [_NUMBER, *_CHANGE], True, False),
    ("post", "/cancel", "Take back the change that is under way; answers once it is over.", [], True, False),
    (
        "get",
        "/explain",
        "May somebody reach something, and by which way.",
        [
            _parameter("destination", "string", "HOST:PORT, a URL, or for packets an address.", True),
            _parameter("user", "string", "Who; left out, somebody without a name."),
            _parameter("at", "string", "The node where they come in; left out, each."),
            _parameter("packets", "boolean", "Whether IP packets are asked about."),
            _parameter("transport", "string", "What is in these."),
            _parameter("method", "string", "Of a request."),
        ],
        False,
        False,
    ),
    ("get", "/audit", "Who changed what.", [_LIMIT, _BEFORE], False, False),
)
"""
Method, path, summary, parameters, whether it needs a token, whether it takes a document.
"""


def openapi() -> dict[str, Any]:
    """
    The description, as plain values.
    """
    paths: dict[str, Any] = {}
    for method, path, summary, parameters, changes, document in OPERATIONS:
        operation: dict[str, Any] = {
            "summary": summary,
            "operationId": f"{method}{path.replace('/', '_').replace('{', '').replace('}', '').replace('.', '_')}",
            "responses": {
                "200": {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}},
                **{
                    status: _error(text)
                    for status, text in _ERRORS.items()
                    if status not in ("413", "415") or method == "post"
                },
            },
        }
        if parameters:
            operation["parameters"] = parameters
        if document:
            operation["requestBody"] = _YAML
        if changes:
            operation["security"] = [{"token": []}]
        if path in ("/apply", "/rollback/{number}"):
            operation["description"] = (
                "With 'Accept: application/x-ndjson', lines come as it goes on: {\"progress\": ...}, and at the end "
                '{"outcome": ...} or {"error": ...}.'
            )
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Hermes controller", "version": hermes.__version__},
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _error(text: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
