"""The tutorial is executed as it stands: files written, commands run and their output compared, Python run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/tutorial/first-study.md").read_text()
BLOCKS = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which every block of the page was executed in its order; what was said is checked on the way."""
    where = tmp_path_factory.mktemp("tutorial")
    for kind, name, text in BLOCKS:
        if name:
            (where / name).write_text(text)
        elif kind == "console":
            _console(text, where)
        elif kind == "python":
            done = subprocess.run([sys.executable, "-c", _together(text)], cwd=where, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    return where


def _together(text):
    """A block's own imports suffice but for those that an earlier block made."""
    earlier = [t for kind, _, t in BLOCKS if kind == "python"]
    before = earlier[: earlier.index(text)]
    imports = [line for block in before for line in block.splitlines() if re.match(r"(import|from) ", line)]
    tables = [b for b in before if "estimates = " in b and "estimates" in text and "estimates = " not in text]
    return "\n".join([*imports, *tables, text])


def _console(text, where):
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, flags=re.MULTILINE):
        program, *arguments = command.split()
        assert program == "overread"
        done = subprocess.run(
            [Path(sys.executable).parent / program, *arguments], cwd=where, capture_output=True, text=True, check=False
        )
        said = re.sub(r"\s+", " ", done.stdout + done.stderr)
        for line in expected.splitlines():
            pattern = re.sub(r"(\\ )+", r"\\s+", re.escape(line.strip()).replace("…", ".*"))
            assert re.search(pattern, said), f"{command}\nexpected: {line}\nsaid: {said[-2000:]}"
        assert (done.returncode == 0) == ("expected" not in expected), said[-2000:]


def test_every_block_of_the_tutorial_does_what_the_page_says(folder):
    assert {kind for kind, _, _ in BLOCKS} == {"toml", "console", "python"}
    for page in ("study/report/report.html", "acme/report/report.html"):
        assert "<svg" in (folder / page).read_text()


def test_the_changed_line_redid_the_evaluation_and_nothing_before_it(folder):
    trained = (folder / "study/models/pooled/seed-1/run.json").stat().st_mtime
    evaluated = (folder / "study/evaluation/run.json").stat().st_mtime
    first = (folder / "study/ledger.jsonl").read_text().splitlines()[0]
    assert trained < evaluated
    assert '"number": 1' in first
