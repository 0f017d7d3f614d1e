"""
C{hermes pki init} and C{hermes pki issue}.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.config.types import parseName

SUMMARY = "make an overlay's certificate authority, and certificates for its nodes"


def arguments(parser: ArgumentParser) -> None:
    """
    What is to be made.
    """
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    init = actions.add_parser("init", help="make an authority", description="make an authority in a directory")
    init.add_argument("directory", metavar="DIRECTORY", help="where its certificate and key are kept")
    init.add_argument("--name", default="Hermes overlay", help="what it is called (default: %(default)s)")
    init.add_argument("--days", type=int, default=3650, help="how long it is good for (default: %(default)s)")
    issue = actions.add_parser(
        "issue", help="make a node's certificate", description="make a certificate and key that name a node"
    )
    issue.add_argument("directory", metavar="DIRECTORY", help="where the authority is")
    issue.add_argument("node", metavar="NODE", help="the node's name")
    issue.add_argument(
        "--name",
        action="append",
        default=[],
        dest="names",
        metavar="NAME",
        help="a DNS name or address that it is reached at, for clients that are no Hermes nodes; may be repeated",
    )
    issue.add_argument("--days", type=int, default=397, help="how long it is good for (default: %(default)s)")


def run(options: Namespace, console: Console) -> int:
    """
    Print the paths of what was made; for C{issue} as the C{identity} of a node's configuration.
    """
    from hermes.net.authority import OverlayAuthority

    directory = os.path.abspath(options.directory)
    try:
        if options.action == "init":
            authority = OverlayAuthority.create(directory, options.name, options.days)
            print(authority.trustFile, file=console.file)
            return 0
        authority = OverlayAuthority.load(directory)
        certificate, key = authority.issue(parseName(options.node), options.names, options.days)
    except (OSError, ValueError) as error:
        print(f"hermes pki: {error}", file=console.file)
        return 1
    identity = f"{{certificate: {certificate}, key: {key}, trust: {authority.trustFile}}}"
    print(f"identity: {identity}", file=console.file)
    return 0
