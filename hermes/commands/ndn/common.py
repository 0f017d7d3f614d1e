"""
What the tools have in common: the forwarder, keys, trust anchors, how they end.
"""

from __future__ import annotations

import base64
import binascii
import os
import random
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from rich.console import Console
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import react

from hermes.ndn.app.client import Client, connect
from hermes.ndn.app.consumer import certificateFetch
from hermes.ndn.app.errors import AppError, InterestNack, InterestTimeout
from hermes.ndn.app.fetching import Verifier
from hermes.ndn.app.transport import VARIABLE, forwarderURI
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.ndn.packet.signatureinfo import Signer
from hermes.ndn.security.certificate import Certificate
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.integrity import IntegrityVerifier
from hermes.ndn.security.keychain import Keychain
from hermes.ndn.security.policy import HierarchicalPolicy, Rule
from hermes.ndn.security.signedinterest import InterestSigner
from hermes.ndn.security.signers import DigestSigner, HmacSigner
from hermes.ndn.security.validator import Validator

OK, FAILED, USAGE, TIMEOUT, NACK, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""
Exit statuses.
"""

CLOSING = 5.0
"""
For how long what was written may take to be sent, in seconds.
"""

KEYCHAIN = "~/.hermes/ndn"

PART = ".part"
"""
What the name of a file ends with that is not whole yet.
"""

DIGEST_IDENTITY = "/localhost/identity/digest-sha256"
"""
What NDN's tools call a signature that is a digest only.
"""


def name(text: str) -> Name:
    """
    An argument that is a name.
    """
    try:
        return Name.fromText(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def rule(text: str) -> Rule:
    """
    An argument that says who may sign what.
    """
    try:
        return Rule.fromText(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def number(least: int, most: int | None = None) -> Callable[[str], int]:
    """
    An argument that is a whole number between two others.
    """

    def parse(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            raise ArgumentTypeError(f"{value} is not {least} or more" + ("" if most is None else f", up to {most}"))
        return value

    parse.__name__ = "number"
    return parse


def decimal(text: str) -> float:
    """
    An argument that is a number, infinity among them.
    """
    value = float(text)
    if value != value:
        raise ArgumentTypeError(f"{text} is no number")
    return value


def certificate(path: str) -> Certificate:
    """
    An argument that is the file of a certificate.
    """
    try:
        with open(path, "rb") as file:
            return Certificate.fromText(file.read())
    except OSError as error:
        raise ArgumentTypeError(f"{path}: {error.strerror}") from error
    except PacketError as error:
        raise ArgumentTypeError(f"{path}: {error}") from error


def forwarderArguments(parser: ArgumentParser) -> None:
    """
    Which forwarder.
    """
    parser.add_argument(
        "--forwarder",
        metavar="URI",
        help=f"unix:///PATH or tcp://HOST:PORT; where not given, {VARIABLE}, client.conf, or a socket of this host",
    )


def keychainArguments(parser: ArgumentParser) -> None:
    """
    Where keys are.
    """
    parser.add_argument(
        "--keychain", metavar="DIRECTORY", default=KEYCHAIN, help=f"where keys are (default {KEYCHAIN})"
    )


def signerArguments(parser: ArgumentParser) -> None:
    """
    Who signs.
    """
    parser.add_argument(
        "-S",
        "--signing-info",
        metavar="WHO",
        help="id:/NAME, key:/NAME or cert:/NAME, from the keychain; hmac-sha256:BASE64; digest. Where not given, the"
        " newest key, or a digest where there is none",
    )
    keychainArguments(parser)


def trustArguments(parser: ArgumentParser) -> None:
    """
    Whom to believe.
    """
    parser.add_argument(
        "--anchor",
        action="append",
        default=[],
        type=certificate,
        metavar="FILE",
        help="a certificate to believe: whatever comes is verified up to it; may be repeated",
    )
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        type=rule,
        metavar="/PREFIX=/SIGNERS",
        help="keys under /SIGNERS may sign what is under /PREFIX; without it, keys sign what is under their own name",
    )


def keychain(options: Namespace) -> Keychain:
    """
    The keychain that is meant.
    """
    return Keychain(os.path.expanduser(options.keychain), time.time)


def signer(options: Namespace) -> tuple[Signer, Certificate | None]:
    """
    Who signs, and the certificate, where there is one.

    @raise ValueError: with a sentence for the user.
    """
    who = options.signing_info
    keys = keychain(options)
    if who is None:
        if not keys.certificates():
            return DigestSigner(), None
        found = keys.certificate()
        return keys.signer(found.name), found
    kind, _, rest = who.partition(":")
    if who == "digest" or who == f"id:{DIGEST_IDENTITY}":
        return DigestSigner(), None
    if kind == "hmac-sha256" and rest:
        try:
            return HmacSigner(base64.b64decode(rest, validate=True)), None
        except binascii.Error as error:
            raise ValueError(f"{rest!r} is not base64: {error}") from error
    if kind in ("id", "key", "cert") and rest:
        found = keys.certificate(Name.fromText(rest))
        return keys.signer(found.name), found
    raise ValueError(f"{who!r} says not who signs: write id:/NAME, key:/NAME, cert:/NAME, hmac-sha256:BASE64 or digest")


def verifier(options: Namespace, client: Client, lifetime: int) -> Verifier:
    """
    What believes packets: up to the anchors, or, without any, what is whole.
    """
    if not options.anchor:
        return IntegrityVerifier()
    policy = HierarchicalPolicy(options.rule)
    return Validator(options.anchor, time.time, certificateFetch(client, lifetime), policy)


def commandSigner() -> InterestSigner:
    """
    What commands to the forwarder are signed with: it asks of local applications no more than a digest.
    """
    return InterestSigner(DigestSigner(), time.time, os.urandom)


def notes(console: Console) -> Console:
    """
    Where to write what is no result, while results are written to standard output.
    """
    return Console(stderr=True, highlight=False) if console.file in (sys.stdout, sys.__stdout__) else console


def tell(options: Namespace, console: Console, text: object) -> None:
    """
    Say what went wrong.
    """
    print(f"hermes ndn {options.toolName}: {text}", file=console.file)


def statusOf(error: BaseException) -> int:
    """
    The exit status that an error means.
    """
    if isinstance(error, InterestTimeout):
        return TIMEOUT
    if isinstance(error, InterestNack):
        return NACK
    return FAILED


async def serving(client: Client, options: Namespace, console: Console) -> int:
    """
    Go on until this program is told to end, or the forwarder goes away.

    @return: the exit status.
    """
    await client.closed
    if not getattr(client.clock, "running", True):
        return INTERRUPTED
    tell(options, console, "the connection to the forwarder has ended")
    return FAILED


Work = Callable[[Client], Awaitable[int]]


async def attempt(options: Namespace, console: Console, work: Callable[[], Awaitable[int]]) -> int:
    """
    Do it; where it fails, say why.

    @return: the exit status.
    """
    try:
        return await work()
    except ValueError as error:
        # Of what the user has said: what comes from the network raises others.
        tell(options, console, error)
        return FAILED if isinstance(error, PacketError) else USAGE
    except (AppError, Untrusted, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        if isinstance(error, OSError) and isinstance(error.filename, str):
            tell(options, console, f"{error.filename.removesuffix(PART)}: {error.strerror}")
        else:
            tell(options, console, error)
        return statusOf(error)


def perform(options: Namespace, console: Console, work: Work) -> int:
    """
    Connect to the forwarder, and do something there.

    @param console: where errors go.
    @return: the exit status.
    """
    status = INTERRUPTED
    broken: list[BaseException] = []

    async def whole(reactor: Any) -> int:
        uri = options.forwarder or forwarderURI(os.environ)
        client = await connect(reactor, uri, lambda: random.getrandbits(32))
        try:
            return await work(client)
        except AppError:
            if getattr(reactor, "running", True):
                raise
            # It is the end of this program that has ended the connection.
            tell(options, console, "interrupted")
            return INTERRUPTED
        finally:
            # The reactor sends nothing more once it is told to end.
            client.close()
            await DeferredList([client.closed, client.wait(CLOSING)], fireOnOneCallback=True)

    def main(reactor: Any) -> Deferred[None]:
        async def ending() -> None:
            nonlocal status
            try:
                status = await attempt(options, console, lambda: whole(reactor))
            except BrokenPipeError as error:
                broken.append(error)
            except Exception:
                status = FAILED
                raise

        return Deferred.fromCoroutine(ending())

    with suppress(SystemExit):
        react(main)
    if broken:
        raise broken[0]
    return status
