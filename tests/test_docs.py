"""The documentation cannot lie: every table, column, finding, command and link in it is checked against the program."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from overread import findings, tables

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])


def _section(table):
    text = (DOCS / "reference/tables.md").read_text()
    found = re.search(rf"^## {table}$(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


def _rows(table):
    """The documented columns with their cell on type."""
    rows = {}
    for line in _section(table).splitlines():
        if line.startswith("| `"):
            names, kind = line.split("|")[1:3]
            rows |= dict.fromkeys(re.findall(r"`(\w+)`", names), kind)
    return rows


@pytest.mark.parametrize("table", [t for t in tables.SCHEMAS if t != "case_predictions"])
def test_the_tables_page_has_every_column_and_no_other(table):
    documented = set(_rows(table)) - ({"case_id", "logit"} if table == "predictions" else set())
    assert documented == set(tables.SCHEMAS[table].columns())


@pytest.mark.parametrize("table", [t for t in tables.SCHEMAS if t not in ("case_predictions", "predictions")])
def test_the_tables_page_marks_the_key(table):
    marked = {name for name, kind in _rows(table).items() if "key" in kind}
    assert marked == set(tables.SCHEMAS[table].primary_key())


def test_the_findings_page_is_the_vocabulary():
    text = (DOCS / "reference/findings.md").read_text()
    rows = [tuple(c.strip(" `") for c in line.split("|")[1:5]) for line in text.splitlines() if line.startswith("| `")]
    assert rows == [(f.name, f.title, f.code, f.parent) for f in findings.VOCABULARY]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    missing = [t for t in targets if not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if "```console" in p.read_text() and "tutorial" not in p.parts])
def test_every_command_shown_says_what_the_page_says(page, tmp_path):
    """Lines may be left out, "…" stands for anything; spaces are those of a narrower or wider terminal."""
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL):
        for command, lines in re.findall(r"^\$ overread (.*)\n((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE):
            done = subprocess.run(
                [Path(sys.executable).parent / "overread", *command.split()],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | {"COLUMNS": "120"},
            )
            said = " ".join((done.stdout + done.stderr).split())
            for line in filter(None, map(str.strip, lines.splitlines())):
                pattern = re.escape(" ".join(line.split())).replace("…", ".*")
                assert re.search(pattern, said), f"{command}\nexpected: {line}\nsaid: {said}"
            assert (done.returncode == 0) == ("expected" not in lines), said
