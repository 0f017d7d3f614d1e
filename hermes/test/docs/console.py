"""
Runs what a page tells its reader to type, and compares what is printed with what the page says.

A line of a C{console} block that begins with C{$} is a command; the lines below it are its output, where C{...} stands
for anything, and alone on a line for any lines. C{twistd}, a server of a page's own, and what ends with C{& echo $! >
NAME.pid}, run on until they are told to end. A file is written where the page includes one after the words that name
it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

from attrs import define, field, frozen

from hermes.test.docs.pages import blocks
from hermes.test.processes import PATIENCE, freePort

_RUNS_ON = re.compile(r"(?:twistd .*--pidfile=|python (?=(?:hello|flaky)\.py))(\S+)")
_BEHIND = re.compile(r"(.*) & echo \$! > (\S+)")
_KILL = re.compile(r"kill (-HUP )?\$\(cat (\S+)\)")
_FILE_NAME = re.compile(r"`([\w.-]+\.(?:yaml|py|rego))`")


@frozen
class Command:
    """
    @ivar text: what to type.
    @ivar output: what the page says is printed, a line each.
    """

    text: str
    output: tuple[str, ...]


@frozen
class File:
    """
    @ivar name: what the reader is to call it.
    @ivar example: where it is.
    """

    name: str
    example: Path


def steps(page: Path) -> Iterator[Command | File]:
    """
    What a page tells its reader to do, in order.
    """
    for block in blocks(page):
        if block.info == "console":
            yield from _commands(block.body)
        elif block.info.startswith("{literalinclude}"):
            names = _FILE_NAME.findall(block.before)
            assert names, f"{page}:{block.line}: the text before does not say what the file is called"
            yield File(names[-1], page.parent / block.info.removeprefix("{literalinclude}").strip())


def _commands(body: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        text, *output = part.rstrip("\n").split("\n")
        yield Command(text, tuple(output))


def pattern(output: tuple[str, ...]) -> re.Pattern[str]:
    """
    What a command's whole output must match.
    """
    parts = [
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r" *\n" for line in output
    ]
    return re.compile("".join(parts))


@define(eq=False)
class Running:
    """
    A program that runs on.

    @ivar seen: what it has printed, as far as that was read.
    """

    process: subprocess.Popen[str]
    seen: list[str] = field(factory=list)

    def until(self, wanted: re.Pattern[str]) -> None:
        """
        Read its output to the first line that C{wanted} matches.
        """
        assert self.process.stdout is not None
        start = len(self.seen)
        watchdog = Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                self.seen.append(line)
                if wanted.search(line):
                    return
        finally:
            watchdog.cancel()
        raise AssertionError(f"{wanted.pattern!r} was not printed, but:\n{''.join(self.seen[start:])}")

    def end(self) -> None:
        """
        Wait for its end.
        """
        self.seen.append(self.process.communicate(timeout=PATIENCE)[0])

    def stop(self) -> None:
        """
        End it at once, if it still runs.
        """
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stdout is not None and not self.process.stdout.closed:
            self.end()


@define(eq=False)
class Reader:
    """
    Somebody who does what a page says, in a directory of their own, on ports that are free.

    @ivar path: where Python finds more packages.
    """

    directory: Path
    path: list[str] = field(factory=list)
    ports: dict[str, str] = field(factory=dict)
    running: dict[str, Running] = field(factory=dict)

    def substitute(self, *numbers: int) -> None:
        """
        Use free ports in place of these.
        """
        for number in numbers:
            self.ports[str(number)] = str(freePort())

    def _here(self, text: str) -> str:
        if not self.ports:
            return text
        return re.sub(rf"(?<!\d)({'|'.join(self.ports)})(?!\d)", lambda found: self.ports[found[1]], text)

    def environment(self) -> dict[str, str]:
        """
        As in a virtual environment with Hermes: C{hermes} and C{twistd} are there.
        """
        commands = self.directory.parent / f"{self.directory.name}-bin"
        if not commands.is_dir():
            commands.mkdir()
            for name, program in (
                ("hermes", "from hermes.cli import main; sys.exit(main())"),
                ("twistd", "from twisted.scripts.twistd import run; sys.exit(run())"),
            ):
                script = commands / name
                script.write_text(f"#!{sys.executable}\nimport sys\nsys.argv[0] = {name!r}\n{program}\n")
                script.chmod(0o755)
        path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        python = os.pathsep.join([*self.path, *filter(None, sys.path)])
        without = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return {**without, "PATH": path, "PYTHONPATH": python, "PYTHONUNBUFFERED": "1"}

    def follow(self, page: Path) -> None:
        """
        Do all that a page says.
        """
        for step in steps(page):
            self.do(step)

    def do(self, step: Command | File) -> None:
        """
        Do one thing.
        """
        if isinstance(step, File):
            (self.directory / step.name).write_text(self._here(step.example.read_text()))
        else:
            self._type(Command(self._here(step.text), tuple(map(self._here, step.output))))

    def _type(self, command: Command) -> None:
        """
        Type one command and look at what it prints.
        """
        if command.text.startswith("cd "):
            self.directory /= command.text.removeprefix("cd ")
        elif found := _BEHIND.fullmatch(command.text):
            self._start(found[2], Command(found[1], command.output))
            (self.directory / found[2]).write_text(f"{self.running[found[2]].process.pid}\n")
        elif found := _RUNS_ON.match(command.text):
            self._start(found[1], command)
        else:
            done = self._run(command)
            if found := _KILL.fullmatch(command.text):
                running = self.running[found[2]]
                if found[1]:
                    running.until(re.compile("reloaded: "))
                else:
                    running.end()
            elif not pattern(command.output).fullmatch(done):
                self.stop()
                others = "".join(f"\n{name} has said:\n{''.join(each.seen)}" for name, each in self.running.items())
                raise AssertionError(
                    f"$ {command.text}\nis said to print:\n"
                    + "\n".join(command.output)
                    + f"\nand printed:\n{done}{others}"
                )

    def _start(self, name: str, command: Command) -> None:
        running = Running(
            subprocess.Popen(
                ["bash", "-c", f"exec {command.text}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=self.directory,
                env=self.environment(),
            )
        )
        self.running[name] = running
        running.until(pattern(command.output))

    def _run(self, command: Command) -> str:
        done = subprocess.run(
            ["bash", "-c", command.text],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            cwd=self.directory,
            env=self.environment(),
        )
        return done.stdout

    def stop(self) -> None:
        """
        End what still runs.
        """
        for running in self.running.values():
            running.stop()
