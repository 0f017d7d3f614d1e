"""
No file is above 400 lines: each is one concept.
"""

import subprocess
import sys
from pathlib import Path

LIMIT = 400


def main() -> int:
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    large = {name: len(Path(name).read_text().splitlines()) for name in files if Path(name).exists()}
    large = {name: size for name, size in large.items() if size > LIMIT}
    for name, size in sorted(large.items()):
        print(f"{name}: {size} lines; is it still one concept?")
    return bool(large)


if __name__ == "__main__":
    sys.exit(main())
