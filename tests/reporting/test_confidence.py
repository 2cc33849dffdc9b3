"""The level of the intervals is read from the estimates: no text of a report states one of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import overread as ov

SOURCE = Path(__file__).parents[2] / "src" / "overread"
LEVEL = re.compile(r"\b9[05]\s?% (interval|CI|confidence)|\b\d+\s?% level|\bP (below|<|of less than) 0\.")


def stated(source: str) -> list[str]:
    """The texts of a module that state a level, docstrings apart."""
    tree = ast.parse(source)
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(node.body[0], ast.Expr)
    }
    texts = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return [n.value for n in texts if id(n) not in documents and LEVEL.search(n.value)]


def test_no_text_of_the_report_states_a_level():
    files = sorted((SOURCE / "reporting").rglob("*.py"))
    assert {file.name: found for file in files if (found := stated(file.read_text(encoding="utf-8")))} == {}
    texts = [*(SOURCE / "codes/text").glob("*.toml"), *(SOURCE / "reporting").rglob("*.j2")]
    assert [file.name for file in texts if LEVEL.search(file.read_text(encoding="utf-8"))] == []
    assert stated('"""Of 95% interval."""\nx = f"With {y} 95% interval."') == [" 95% interval."]
    assert stated('x = "at the 5% level"\ny = f"Holm-adjusted P below 0.05 for {n}"') != []


def compared(source: str) -> list[str]:
    """The comparisons of P values with a number that the source states."""
    found = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Compare))
    texts = [ast.unparse(n) for n in found if any(isinstance(c, ast.Constant) and c.value for c in n.comparators)]
    return [t for t in texts if "'p_adjusted'" in t or "'p'" in t]


def test_no_p_value_is_counted_at_a_level_of_the_source():
    files = sorted((SOURCE / "reporting").rglob("*.py"))
    assert {file.name: found for file in files if (found := compared(file.read_text(encoding="utf-8")))} == {}
    assert compared('clear = sum(number(r["p_adjusted"]) < 0.05 for r in rows)') == ["number(r['p_adjusted']) < 0.05"]


@pytest.mark.slow
@pytest.mark.parametrize("given", ["models", "reads", "both"])
def test_a_report_at_another_level_states_that_level_only(tmp_path, given):
    rng = np.random.default_rng(4)
    cases, truth = [f"c{k}" for k in range(80)], np.arange(80) % 2
    pl.DataFrame({"case_id": cases, "mass": truth}).write_csv(tmp_path / "labels.csv")
    for name in ("acme", "beta"):
        scores = 1 / (1 + np.exp(-(truth + rng.normal(size=80))))
        pl.DataFrame({"case_id": cases, "mass": scores}).write_csv(tmp_path / f"{name}.csv")
    calls = [np.where(rng.random(80) < 0.8, truth, 1 - truth) for _ in range(6)]
    rows = {"case_id": cases * 6, "reader": [f"R{k // 2}" for k in range(6) for _ in cases]}
    rows |= {"arm": [("unaided", "aided")[k % 2] for k in range(6) for _ in cases], "mass": np.concatenate(calls)}
    pl.DataFrame(rows).write_csv(tmp_path / "reads.csv")
    models = [tmp_path / "acme.csv", tmp_path / "beta.csv"] if given != "reads" else None
    reads = tmp_path / "reads.csv" if given != "models" else None
    ov.evaluate(
        None,
        tmp_path / "labels.csv",
        models,
        reads=reads,
        out=tmp_path / "e",
        confidence=0.9,
        replicates=100,
        workers=1,
    )
    ov.report(tmp_path / "e", tmp_path / "r")
    page = re.sub(r"<svg.*?</svg>", " ", (tmp_path / "r/report.html").read_text(encoding="utf-8"), flags=re.S)
    figures = " ".join(f.read_text(encoding="utf-8") for f in (tmp_path / "r/figures").glob("*.svg"))
    assert "90% interval" in page
    assert not re.search(r"95\s?%", re.sub(r"95% specificity|95% sensitivity", "", page + figures))
