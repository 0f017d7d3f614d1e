"""
C{hermes ndn key}: keys and certificates, as C{ndnsec} has them.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from rich.console import Console

from hermes.commands.ndn.common import FAILED, OK, certificate, keychain, keychainArguments, number, tell
from hermes.commands.ndn.common import name as nameArgument
from hermes.ndn.packet.component import fromText
from hermes.ndn.security.certificate import Certificate, makeCertificate, writeTime

SUMMARY = "make keys, list them, issue certificates"


def arguments(parser: ArgumentParser) -> None:
    """
    What is to be done.
    """
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    gen = actions.add_parser("gen", help="make a key; print its certificate")
    gen.add_argument("name", metavar="IDENTITY", type=nameArgument)
    gen.add_argument(
        "-t", "--type", choices=("ecdsa", "rsa", "ed25519"), default="ecdsa", help="(default: %(default)s)"
    )
    gen.add_argument("--days", type=number(1), default=7300, help="for how long it is valid (default: %(default)s)")
    listing = actions.add_parser("list", help="list keys, newest first")
    dump = actions.add_parser("dump", help="print a certificate")
    dump.add_argument(
        "name", metavar="NAME", nargs="?", type=nameArgument, help="of an identity, a key or a certificate"
    )
    sign = actions.add_parser("sign", help="issue a certificate for somebody's key; print it")
    sign.add_argument("file", metavar="FILE", type=certificate, help="the self-signed certificate of the key")
    sign.add_argument("-s", "--signer", metavar="NAME", type=nameArgument, help="who issues it; else the newest key")
    sign.add_argument("--issuer", metavar="TEXT", default="hermes", help="what its name says of the issuer")
    sign.add_argument("--days", type=number(1), default=365, help="for how long it is valid (default: %(default)s)")
    install = actions.add_parser("install", help="use an issued certificate for its key from now on")
    install.add_argument("file", metavar="FILE", type=certificate)
    delete = actions.add_parser("delete", help="delete a key and its certificate")
    delete.add_argument("name", metavar="KEY", type=nameArgument, help="the name of the key")
    for each in (gen, listing, dump, sign, install, delete):
        keychainArguments(each)


def run(options: Namespace, console: Console) -> int:
    """
    Do it.

    @return: 0; 1 where it can't be done.
    """
    keys = keychain(options)
    now = time.time()
    try:
        if options.action == "gen":
            _print(keys.createKey(options.name, options.type, days=options.days), console)
        elif options.action == "list":
            for each in keys.certificates():
                validity = "" if each.validAt(now) else "  not valid now"
                issued = "self-signed" if each.selfSigned else f"issued by {each.data.signatureInfo.keyLocator!s}"
                until = writeTime(each.notAfter).decode()
                print(f"{each.name}  {issued}, until {until}{validity}", file=console.file)
        elif options.action == "dump":
            _print(keys.certificate(options.name), console)
        elif options.action == "sign":
            request: Certificate = options.file
            if not request.selfSigned or not request.verifies(request.data):
                raise ValueError(f"{request.name} is not signed by its own key: nobody has shown to have it")
            who = keys.signer(options.signer)
            issuer = fromText(options.issuer)
            until = now + options.days * 86400
            _print(makeCertificate(request.keyName, request.key, who, issuer, now, now - 60, until), console)
        elif options.action == "install":
            keys.install(options.file)
        else:
            keys.remove(options.name)
    except (ValueError, OSError) as error:
        tell(options, console, error)
        return FAILED
    return OK


def _print(certificate: Certificate, console: Console) -> None:
    print(certificate.toText(), end="", file=console.file)
