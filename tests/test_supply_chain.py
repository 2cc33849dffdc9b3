"""What an installation takes: exact versions, each with the hashes of its files; licences that the program knows."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def _plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    return {_plain(n): v for n, v in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, flags=re.MULTILINE)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_hashes_and_the_tested_version(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    pins, tested = _pins(lock), _pins("constraints.txt")
    assert {n: v for n, v in pins.items() if tested.get(n) != v} == {}


def test_the_locks_hold_all_that_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for lock, declared in (
        (LOCKS[0], [*project["dependencies"], *extras["train"]]),
        (LOCKS[1], [*project["dependencies"], *extras["train"], *extras["test"], *extras["dev"][1:]]),
    ):
        names = {_plain(re.match(r"[A-Za-z0-9._-]+", d)[0]) for d in declared}
        assert names - set(_pins(lock)) == {"torch"}  # its file depends on the index


@pytest.mark.slow
def test_no_default_dependency_is_under_the_gpl_and_every_bundled_library_is_known():
    done = subprocess.run(
        [sys.executable, ROOT / "validation" / "audit.py"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("imagecodecs", "pillow", "numpy"):
        assert f"{name} {importlib.metadata.version(name)}: " in done.stdout
    assert "libjpeg (imagecodecs)" in done.stdout
