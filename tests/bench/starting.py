"""What a command costs before it does anything: CPU seconds of a whole process, the least of several.

The floor is what the libraries under every reading command cost alone: typer, pydantic and SQLAlchemy.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

TIMES = 7
SCRIPT = str(Path(sys.executable).with_name("mahavishnu"))
SUBJECTS = {
    "python": [sys.executable, "-c", "pass"],
    "floor": [sys.executable, "-c", "import asyncio, typer._adapters, sqlalchemy.dialects.sqlite"],
    "--help": [SCRIPT, "--help"],
    "decisions": [SCRIPT, "decisions"],
    "targets list": [SCRIPT, "targets", "list"],
}
# Where no compiled code may be kept, every process compiles all that it imports; a user's does so once.
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def cpu_s(command: list[str], folder: str) -> float:
    """User and system time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=ENVIRON, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for subject, command in SUBJECTS.items():
            cpu_s(command, folder)  # makes the store, and the compiled code
            least = min(cpu_s(command, folder) for _ in range(TIMES))
            print(json.dumps({"bench": "starting", "subject": subject, "cpu_s": round(least, 3)}))


if __name__ == "__main__":
    main()
