"""
The programs of C{native/}, compiled when they are first wanted: beside them the proxies are what is slow.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent / "native"


@cache
def program(name: str) -> Path:
    """
    @param name: of C{native/NAME.c}.
    @return: the executable, kept in the user's cache for as long as the sources stay the same.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("the HTTP measures need a C compiler and OpenSSL: apt-get install build-essential libssl-dev")
    sources = [SOURCES / f"{name}.c", *sorted(SOURCES.glob("*.h"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hermes-benchmarks"
    executable = directory / f"{name}-{digest}"
    if not executable.exists():
        directory.mkdir(parents=True, exist_ok=True)
        fresh = executable.with_suffix(f".{os.getpid()}")
        command = [compiler, "-O2", "-Wall", "-o", str(fresh), str(sources[0]), "-lssl", "-lcrypto"]
        if subprocess.run(command).returncode:
            raise SystemExit("is OpenSSL's header package there? apt-get install libssl-dev")
        fresh.rename(executable)
    return executable
