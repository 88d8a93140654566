"""What an installed mahavishnu must do at the least; `make dist` runs it in a clean environment, off the checkout."""

import io
import os
import tempfile
from contextlib import redirect_stdout
from importlib.metadata import entry_points, metadata
from importlib.resources import files
from pathlib import Path

import mahavishnu
from mahavishnu import Task, target
from mahavishnu.cli.main import run

PACKAGES = ("mahavishnu", "mahavishnu_agno", "mahavishnu_flows", "mahavishnu_llamaindex", "mahavishnu_local",
            "mahavishnu_openai", "mahavishnu_prefect")  # fmt: skip


def greet(text: str) -> str:
    return f"Hello {text}"


def command(*arguments: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        assert run(list(arguments)) == 0
    return out.getvalue()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        # Not where it is defined: tests collect this file as well, and would have one more target.
        target(task_types=["greet"])(greet)
        with mahavishnu.open() as app:
            assert app.execute(Task(type="greet", text="Ann")).value == "Hello Ann"
        assert command("--version") == f"mahavishnu {mahavishnu.__version__}\n"
        command("init")
        assert Path("config/mahavishnu.toml").is_file()
        command("store", "info")
        assert all(files(name).joinpath("py.typed").is_file() for name in PACKAGES if found(name))
        adapters = {entry.name for entry in entry_points(group="mahavishnu.adapters")}
        assert adapters >= {"local", "prefect", "agno", "llamaindex", "openai"}
        assert metadata("mahavishnu")["License-Expression"] == "Apache-2.0"
        os.chdir("/")
    print(f"mahavishnu {mahavishnu.__version__} from {Path(mahavishnu.__file__).parent} works")


def found(name: str) -> bool:
    """A package is there also where the library of its engine is not: importing it may fail then."""
    try:
        files(name)
    except ModuleNotFoundError as absent:
        if absent.name == name:
            raise
        return False
    return True


if __name__ == "__main__":
    main()
