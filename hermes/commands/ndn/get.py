"""
C{hermes ndn get NAME}: fetch an object, as C{ndncatchunks} does.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from typing import BinaryIO

from rich.console import Console

from hermes.commands.ndn.common import (
    OK,
    PART,
    USAGE,
    decimal,
    forwarderArguments,
    notes,
    number,
    perform,
    tell,
    trustArguments,
    verifier,
)
from hermes.commands.ndn.common import name as nameArgument
from hermes.commands.ndn.progress import Progress, summary
from hermes.ndn.app.client import Client
from hermes.ndn.app.consumer import fetch
from hermes.ndn.app.fetching import RETRIES, FetchOptions
from hermes.ndn.app.windows import DEFAULT_SIZE, INITIAL, AimdWindow, CubicWindow, FixedWindow, Window
from hermes.ndn.packet.typenumbers import DEFAULT_LIFETIME

SUMMARY = "fetch an object, in its newest version where the name has none"


def arguments(parser: ArgumentParser) -> None:
    """
    What, and how.
    """
    parser.add_argument("name", metavar="NAME", type=nameArgument, help="with or without a version")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it; standard output where not given")
    parser.add_argument("-f", "--fresh", action="store_true", help="take from caches only what is fresh")
    parser.add_argument(
        "-l",
        "--lifetime",
        type=number(1),
        default=DEFAULT_LIFETIME,
        metavar="MS",
        help="of Interests (default: %(default)s)",
    )
    parser.add_argument(
        "-r",
        "--retries",
        type=number(-1),
        default=RETRIES,
        metavar="N",
        help="how often a segment is asked for again; -1 for as often as it takes (default: %(default)s)",
    )
    parser.add_argument(
        "--discover",
        choices=("metadata", "prefix", "none"),
        default="metadata",
        help="how the newest version is found: by metadata, or else what is under the name; by the latter; not at all",
    )
    parser.add_argument(
        "-D",
        "--no-version-discovery",
        dest="discover",
        action="store_const",
        const="none",
        help="the same as --discover none",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but what goes wrong")
    trustArguments(parser)
    forwarderArguments(parser)
    _pipelineArguments(parser)


def _pipelineArguments(parser: ArgumentParser) -> None:
    pipeline = parser.add_argument_group("pipeline")
    pipeline.add_argument(
        "-p",
        "--pipeline",
        "--pipeline-type",
        choices=("fixed", "aimd", "cubic"),
        default="cubic",
        help="how many segments are asked for at once (default: %(default)s)",
    )
    pipeline.add_argument(
        "-s",
        "--window",
        "--pipeline-size",
        type=number(1),
        default=DEFAULT_SIZE,
        metavar="N",
        help="fixed: how many (20)",
    )
    pipeline.add_argument("--init-cwnd", type=decimal, default=INITIAL, metavar="N", help="aimd, cubic: at first (2)")
    pipeline.add_argument(
        "--init-ssthresh", type=decimal, default=inf, metavar="N", help="aimd, cubic: slow start up to"
    )
    pipeline.add_argument("--aimd-step", type=decimal, default=1.0, metavar="N", help="more in each round trip (1)")
    pipeline.add_argument("--aimd-beta", type=decimal, default=0.5, metavar="X", help="what is left after a loss (0.5)")
    pipeline.add_argument("--reset-cwnd-to-init", action="store_true", help="aimd: begin anew after a loss")
    pipeline.add_argument(
        "--cubic-beta", type=decimal, default=0.7, metavar="X", help="what is left after a loss (0.7)"
    )
    pipeline.add_argument("--fast-conv", action="store_true", help="cubic: fast convergence")
    pipeline.add_argument("--disable-hystart", action="store_true", help="slow start until something is lost")
    pipeline.add_argument("--ignore-marks", action="store_true", help="take congestion marks for nothing")
    pipeline.add_argument("--disable-cwa", action="store_true", help="reduce at each loss, not once for each window")


def window(options: Namespace) -> Window:
    """
    The window that is meant.

    @raise ValueError: with a sentence for the user.
    """
    if options.pipeline == "fixed":
        return FixedWindow(options.window)
    if options.pipeline == "aimd":
        return AimdWindow(
            options.init_cwnd,
            options.init_ssthresh,
            options.aimd_step,
            options.aimd_beta,
            options.reset_cwnd_to_init,
            not options.disable_hystart,
        )
    return CubicWindow(
        options.init_cwnd, options.init_ssthresh, options.cubic_beta, options.fast_conv, not options.disable_hystart
    )


def run(options: Namespace, console: Console) -> int:
    """
    Fetch it; say how it went.

    @return: see L{hermes.commands.ndn.run}.
    """
    console = notes(console)
    if options.rule and not options.anchor:
        tell(options, console, "--rule says whom to believe beside an --anchor: give one")
        return USAGE
    return perform(options, console, lambda client: get(client, options, console))


async def get(client: Client, options: Namespace, console: Console) -> int:
    """
    Fetch it.
    """
    chosen = window(options)
    fetchOptions = FetchOptions(
        options.lifetime,
        options.fresh,
        options.retries,
        ignoreMarks=options.ignore_marks,
        everyLoss=options.disable_cwa,
    )
    progress = Progress(client.clock, console, options.quiet)
    with _output(options.output) as file, progress:
        report = await fetch(
            client,
            options.name,
            file.write,
            chosen,
            fetchOptions,
            verifier(options, client, options.lifetime),
            options.discover,
            progress.watch,
        )
        file.flush()
    if not options.quiet:
        console.print(summary(report, bool(options.anchor)), highlight=False, soft_wrap=True)
    return OK


@contextmanager
def _output(path: str | None) -> Iterator[BinaryIO]:
    """
    Where it goes. A file has its name only once all of it is there.
    """
    if path is None or path == "-":
        yield sys.stdout.buffer
        return
    beside = path + PART
    try:
        with open(beside, "wb") as file:
            yield file
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
