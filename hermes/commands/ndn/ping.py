"""
C{hermes ndn ping PREFIX}: how long Data takes, as C{ndnping} does.
"""

from __future__ import annotations

import random
import time
from argparse import ArgumentParser, Namespace

from rich.console import Console
from twisted.internet.defer import Deferred

from hermes.commands.ndn.common import FAILED, OK, USAGE, forwarderArguments, number, perform, tell
from hermes.commands.ndn.common import name as nameArgument
from hermes.ndn.app.client import Client
from hermes.ndn.app.ping import Answer, Pinger, PingReport
from hermes.ndn.packet.lp import NACK_TEXTS

SUMMARY = "measure the round trip to who answers pings under a prefix"


def arguments(parser: ArgumentParser) -> None:
    """
    Whom, and how often.
    """
    parser.add_argument("prefix", metavar="PREFIX", type=nameArgument)
    parser.add_argument("-i", "--interval", type=number(1), default=1000, metavar="MS", help="(default: %(default)s)")
    parser.add_argument("-o", "--timeout", type=number(1), default=4000, metavar="MS", help="(default: %(default)s)")
    parser.add_argument("-c", "--count", type=number(1), metavar="N", help="how many; without it, until interrupted")
    parser.add_argument(
        "-n", "--start", type=number(0, (1 << 64) - 1), metavar="N", help="the first number; else random"
    )
    parser.add_argument("-p", "--identifier", metavar="TEXT", help="what comes before the number in names")
    parser.add_argument("-a", "--cache", action="store_true", help="let caches answer")
    parser.add_argument("-t", "--timestamp", action="store_true", help="print the time with each")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the end only")
    forwarderArguments(parser)


def run(options: Namespace, console: Console) -> int:
    """
    Print a line for each, and what they were like together.

    @return: see L{hermes.commands.ndn.run}; 1 where one was not answered.
    """
    if options.identifier == "":
        tell(options, console, "an identifier has at least one letter")
        return USAGE
    return perform(options, console, lambda client: ping(client, options, console))


async def ping(client: Client, options: Namespace, console: Console) -> int:
    """
    Ping.
    """

    def told(answer: Answer) -> None:
        if not options.quiet:
            stamp = f"{time.time():.6f} - " if options.timestamp else ""
            print(stamp + line(options, answer), file=console.file, flush=True)

    pinger = Pinger(
        client,
        options.prefix,
        random.getrandbits(64) if options.start is None else options.start,
        told,
        options.interval / 1000,
        options.timeout,
        options.count,
        None if options.identifier is None else options.identifier.encode(),
        options.cache,
    )
    if not options.quiet:
        print(f"PING {options.prefix}", file=console.file, flush=True)
    running = Deferred.fromCoroutine(pinger.run())
    stopping = getattr(client.clock, "addSystemEventTrigger", None)
    if stopping is not None:
        # Interrupted, it says how it went until then.
        stopping("before", "shutdown", lambda: None if running.called else _say(options, console, pinger.report))
    report = await running
    _say(options, console, report)
    return OK if report.received == report.sent else FAILED


def line(options: Namespace, answer: Answer) -> str:
    """
    What is printed of one.
    """
    if answer.seconds is not None:
        return f"content from {options.prefix}: seq={answer.number} time={answer.seconds * 1000:.3f} ms"
    if answer.nack is not None:
        return f"nack from {options.prefix}: seq={answer.number} reason={NACK_TEXTS.get(answer.nack, answer.nack)}"
    return f"timeout from {options.prefix}: seq={answer.number}"


def _say(options: Namespace, console: Console, report: PingReport) -> None:
    if not report.sent:
        return
    lost = report.sent - report.received - report.nacked
    print(f"--- ping statistics for {options.prefix} ---", file=console.file)
    print(
        f"{report.sent} packets transmitted, {report.received} received, {report.nacked} nacked, "
        f"{lost / report.sent:.0%} lost, {report.nacked / report.sent:.0%} nacked, time {report.elapsed * 1000:.3f} ms",
        file=console.file,
    )
    if report.received:
        times = (report.shortest, report.average, report.longest, report.deviation)
        print("rtt min/avg/max/mdev = " + "/".join(f"{each * 1000:.3f}" for each in times) + " ms", file=console.file)
