"""The commands of README and docs, run as they are written, in order, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mahavishnu.cli.targets import sandbox_settings
from tests.integration.conftest import Engines
from tests.integration.pages import Block, Shell, blocks_of, commands_of

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what a page exports and imports does not outlive it."""
    before = dict(os.environ)
    modules = set(sys.modules)
    for name in [each for each in os.environ if each.startswith("MAHAVISHNU_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in {"pipelines"} & (set(sys.modules) - modules):
        del sys.modules[name]
    os.environ.clear()
    os.environ.update(before)


def with_sandbox(engines: Engines) -> Shell:
    """`engines up` writes the configuration of the engines that the tests share."""
    written = Path("mahavishnu-engines/mahavishnu.toml")
    return Shell({"mahavishnu engines up": lambda: sandbox_settings.write(written, list(engines.values()))})


def test_the_readme_runs_from_top_to_bottom(engines: Engines):
    with_sandbox(engines).run(ROOT / "README.md")


def test_the_page_on_engines_runs_from_top_to_bottom(engines: Engines):
    with_sandbox(engines).run(ROOT / "docs" / "engines.md")


@pytest.mark.parametrize("page", [each.name for each in PAGES if each.name != "engines.md"])
def test_a_page_runs_from_top_to_bottom(page: str):
    Shell().run(ROOT / "docs" / page)


def test_the_readmes_code_and_the_templates_pass_mypy_strict(folder: Path):
    code = {block.file or f"block_{block.line}.py": block.text for block in python_of(ROOT / "README.md")}
    assert {"hello.py", "hello_async.py", "pipelines.py"} <= code.keys()
    for name, text in code.items():
        (folder / name).write_text(text)
    templates = [ROOT / "docs/examples/third_party_adapter", ROOT / "docs/examples/third_party_policy"]
    packages = [str(package) for template in templates for package in template.glob("mahavishnu_*")]
    checking = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(folder / "cache")]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    ended = subprocess.run([*checking, *code, *packages], capture_output=True, text=True, env=environment, timeout=200)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def python_of(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.language == "python"]


def test_a_command_that_fails_is_told_with_its_place(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n```sh\nmahavishnu targets list\nmahavishnu targets show nosuch\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:3: 'mahavishnu targets show nosuch' exited with 2, not 0"):
        Shell().run(page)


def test_a_command_that_is_not_run_must_exist(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: it stays -->\n```sh\nmahavishnu schedule serve --nosuch\n```\n")
    with pytest.raises(AssertionError, match="there is no option --nosuch"):
        Shell().run(page)


def test_a_script_is_split_as_a_shell_would():
    script = "a \\\n  b\n# nothing\ncat > x <<'END'\none\nEND\nc; d\n"
    assert list(commands_of(script)) == ["a b", "cat > x <<'END'\none\nEND", "c; d"]


def test_no_page_has_commands_that_no_test_would_see():
    for page in [ROOT / "README.md", *PAGES]:
        languages = {block.language for block in blocks_of(page)}
        assert languages <= {"sh", "python", "toml", "sql", "json", ""}, page.name
