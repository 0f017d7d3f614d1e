"""
The history: versions, what each changed, and the way back; and the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hermes.control.operator.showing import when
from hermes.control.page.frame import Reader
from hermes.control.page.markup import Content, Markup, badge, difference, table, tag

SHOWN = 50
"""
How many versions, or entries of the audit log, are on one page.
"""


def history(records: Sequence[Mapping[str, Any]]) -> list[Content]:
    """
    @param records: versions as the REST interface gives them, the newest first.
    """

    def row(record: Mapping[str, Any]) -> list[Content]:
        reasons = "; ".join(f"{each['node']}: {each['text']}" for each in record["reasons"])
        return [
            tag("a", f"Version {record['number']}", href=f"/versions/{record['number']}"),
            badge(record["phase"]),
            tag("td", when(record["time"]), class_="when"),
            record["author"],
            tag("td", record["comment"], class_="wide"),
            tag("td", reasons, class_="wide problem-text"),
        ]

    if not records:
        return [tag("h1", "History"), tag("p", "No version yet.", class_="quiet")]
    found = table(("Version", "State", "When", "By", "Comment", "Why not"), map(row, records))
    return [tag("h1", "History"), found, _older("/versions", records)]


def audit(entries: Sequence[Mapping[str, Any]]) -> list[Content]:
    """
    @param entries: of the audit log, the newest first.
    """

    def row(entry: Mapping[str, Any]) -> list[Content]:
        return [
            str(entry["number"]),
            tag("td", when(entry["time"]), class_="when"),
            entry["actor"],
            entry["origin"] or "-",
            entry["action"],
            entry["subject"],
            tag("td", entry["text"], class_="wide"),
        ]

    found = table(("Number", "When", "Who", "From", "Did", "To", "What came of it"), map(row, entries))
    return [tag("h1", "Who changed what"), found, _older("/audit", entries)]


def _older(path: str, found: Sequence[Mapping[str, Any]]) -> Content:
    if len(found) < SHOWN:
        return None
    return tag("p", tag("a", "Older", href=f"{path}?before={found[-1]['number']}"))


def version(
    reader: Reader,
    record: Mapping[str, Any],
    changed: Sequence[str],
    back: Sequence[str] | None,
    current: int | None,
) -> list[Content]:
    """
    @param changed: the difference to the version before it.
    @param back: the difference from what is current to it; L{None} where it can't be gone back to, or is current.
    """
    number = record["number"]
    parent = record["parent"]
    parts: list[Content] = [
        tag("h1", f"Version {number} ", badge(record["phase"])),
        tag(
            "p",
            f"by {record['author']}, {when(record['time'])}",
            "; it is what the overlay is at now" if number == current else None,
            class_="quiet",
        ),
        tag("p", record["comment"]) if record["comment"] else None,
    ]
    if record["reasons"]:
        rows = [
            [each["node"], each["step"], tag("td", tag("pre", each["text"]), class_="wide")]
            for each in record["reasons"]
        ]
        parts.append(table(("Who", "Step", "Why it was taken back"), rows))
    before = "" if parent is None else [" since ", tag("a", f"version {parent}", href=f"/versions/{parent}")]
    parts += [tag("h2", "What it changed", before), _difference(changed)]
    if back is not None:
        parts += [tag("h2", f"What going back to it changes, from version {current}"), _difference(back)]
        if reader.mayChange:
            button = tag("button", f"Go back to version {number}")
            parts.append(reader.form(f"/versions/{number}/rollback", tag("p", button)))
        else:
            parts.append(tag("p", "Who is logged in can go back to it.", class_="quiet"))
    if not reader.mayChange:
        parts.append(tag("p", "Passwords, tokens and the like are not shown.", class_="quiet"))
    parts += [tag("h2", "Its document"), tag("pre", record["document"])]
    return parts


def _difference(lines: Sequence[str]) -> Markup:
    return difference(lines) if lines else tag("p", "Nothing that is shown here.", class_="quiet")


def outcome(found: Mapping[str, Any]) -> list[Content]:
    """
    What came of a change.
    """
    good = found["result"] in ("committed", "unchanged")
    number = found["number"]
    about: Content = "The change is "
    if number is not None:
        about = [tag("a", f"Version {number}", href=f"/versions/{number}"), " is "]
    rows = [[each["node"], each["step"], each["text"]] for each in (*found["reasons"], *found["notes"])]
    later = ", ".join(found["later"])
    return [
        tag("h1", "What came of it"),
        tag("p", about, badge(found["result"]), class_=f"card {'done' if good else 'failed'}"),
        table(("Who", "Step", "What"), rows) if rows else None,
        tag("p", f"Not there, and get it when they come: {later}") if later else None,
        tag("p", tag("a", "To the overlay", href="/")),
    ]
