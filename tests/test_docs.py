"""The documentation cannot lie: every table, column, finding, command and link in it is checked against the program."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from overread import findings, tables
from overread.protocol.schema import Protocol

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GENERATED = {DOCS / "_build", DOCS / "notebooks", DOCS / "reference/api"}  # by `make docs`
PAGES = sorted([*(p for p in DOCS.rglob("*.md") if not GENERATED & set(p.parents)), ROOT / "README.md"])


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
    text = (DOCS / "reference/findings.md").read_text().partition("## Findings of your own")[0]
    rows = [tuple(c.strip(" `") for c in line.split("|")[1:5]) for line in text.splitlines() if line.startswith("| `")]
    assert rows == [(f.name, f.title, f.code, ", ".join(f.parents)) for f in findings.load().findings]


def _documented(page, columns):
    """The rows of a page's tables whose first cell is one name in backticks: their first cells, by name."""
    rows = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in page.read_text().splitlines()]
    return {row[0].strip("`"): row[1:columns] for row in rows if row and re.fullmatch(r"`\w+`", row[0])}


def test_the_training_page_has_every_key_of_the_configuration_and_its_default():
    config = get_type_hints(Protocol)["training"]()
    documented = _documented(DOCS / "reference/training.md", 2)
    strengths = {f.name for f in fields(config.strengths)}
    expected = {f.name: getattr(config, f.name) for f in fields(config)} | {
        name: getattr(config.strengths, name) for name in strengths
    }
    expected["vocabulary"] = config.vocabulary.name
    assert documented.keys() >= expected.keys()
    shown = {name: documented[name][0].strip("`") for name in expected}
    assert {n: tomllib.loads(f"x = {shown[n]}")["x"] for n in expected.keys() - {"weights", "augmentation"}} == {
        n: list(v) if isinstance(v, tuple) else v for n, v in expected.items() if n not in ("weights", "augmentation")
    }
    assert (config.weights, shown["weights"]) == (None, "none")


def test_the_definitions_page_defines_every_metric_of_the_estimates_pages():
    estimates = "".join((DOCS / f"reference/{name}.md").read_text() for name in ("estimates", "estimates-readers"))
    metrics = set(re.findall(r"^\| \w+ \| (\w+) \|", estimates, flags=re.MULTILINE)) - {"metric", "at"}  # headings
    headings = re.findall(r"^### (.*)$", (DOCS / "reference/definitions.md").read_text(), flags=re.MULTILINE)
    assert {"auc", "underdiagnosis", "gwet_ac1"} <= metrics
    assert {name for heading in headings for name in re.findall(r"`([a-z_0-9]+)`", heading)} == metrics


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
