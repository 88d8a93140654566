"""The wheel and the sdist: built without a network, complete, and working without the checkout."""

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def test_the_wheel_works_where_there_is_no_checkout(built: Path, tmp_path: Path):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    smoke = [sys.executable, str(ROOT / "tests" / "running" / "smoke.py")]
    ended = subprocess.run(smoke, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert f"from {tmp_path / 'site' / 'mahavishnu'} works" in ended.stdout


def test_the_metadata_is_complete(built: Path):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        said = Parser().parsestr(archive.read(name).decode())
        assert any(each.endswith("licenses/LICENSE") for each in archive.namelist())
        tops = {each.split("/")[0].partition("-")[0] for each in archive.namelist()}
    assert tops == {
        "mahavishnu", "mahavishnu_agno", "mahavishnu_flows", "mahavishnu_llamaindex", "mahavishnu_local",
        "mahavishnu_openai", "mahavishnu_prefect",
    }  # fmt: skip
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Description-Content-Type"] == "text/markdown"
    assert {"Author", "Maintainer", "Summary", "Keywords", "Requires-Python", "Classifier"} <= set(said.keys())


def test_the_sdist_has_what_a_build_and_a_test_run_need(built: Path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = ["LICENSE", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "Makefile", "requirements.lock"]
    assert {*wanted, "tests/conftest.py", "config/mahavishnu.toml", "docs/money.md"} <= names
    assert not [name for name in names if name.startswith((".venv", "dist/", ".git/"))]
