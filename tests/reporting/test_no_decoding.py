"""Nothing in reporting or evaluation decodes text: methods, notes and reasons are printed, decisions are on codes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "overread"
COLUMNS = {"method", "note", "reason", "at", "family"}
PATTERNS = {
    "contains", "contains_any", "count_matches", "endswith", "ends_with", "extract", "extract_all", "find", "findall",
    "fullmatch", "index", "match", "partition", "removeprefix", "removesuffix", "replace_all", "rpartition", "search",
    "split", "startswith", "starts_with", "strip_prefix", "strip_suffix", "sub",
}  # fmt: skip
# The parser of the structured column `at` and of `policy`, of the form KEY=VALUE;KEY=VALUE.
PARSER = "report_data.py"


def named(node: ast.AST) -> set[str]:
    """The columns that an expression refers to: pl.col("note"), row["note"], a variable of that name."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and inner.value in COLUMNS:
            found.add(inner.value)
        if isinstance(inner, ast.Name) and inner.id in COLUMNS:
            found.add(inner.id)
        if isinstance(inner, ast.Attribute) and inner.attr in COLUMNS:
            found.add(inner.attr)
    return found


def decoded(source: str) -> list[str]:
    """The places in which a text of these columns is searched for a pattern."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PATTERNS:
            regex = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
            parts = node.args if regex else [node.func.value]
            columns = set().union(*(named(part) for part in parts)) if parts else set()
            found += [f"line {node.lineno}: {ast.unparse(node)}"] if columns else []
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            searched = [c for c in node.comparators if isinstance(c, ast.Name | ast.Subscript) and named(c)]
            literal = isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
            found += [f"line {node.lineno}: {ast.unparse(node)}"] if searched and literal else []
    return found


@pytest.mark.parametrize("package", ["reporting", "evaluation"])
def test_no_text_of_an_estimate_is_searched_for_a_pattern(package):
    files = [p for p in (SOURCE / package).rglob("*.py") if p.name != PARSER]
    assert len(files) > 20
    places = {str(p.relative_to(SOURCE)): found for p in files if (found := decoded(p.read_text(encoding="utf-8")))}
    assert places == {}


@pytest.mark.parametrize(
    "source",
    [
        'rows.filter(pl.col("note").str.contains("DeLong"))',
        'rows["method"].str.starts_with("Wilson")',
        'row["note"].startswith("mean over")',
        're.search("threshold [0-9]+", row["note"])',
        'x = "H1" in note',
        'reason.partition(" Not evaluable: ")',
        'pl.col("at").str.extract("bins=([0-9]+)")',
    ],
)
def test_the_search_finds_what_it_is_for(source):
    assert decoded(source)


def test_texts_that_are_printed_are_no_finding():
    assert decoded('Cell(row["note"])\ncodes.decode(row["note_codes"])\nx = "auc" in names') == []
