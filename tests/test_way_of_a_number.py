"""A number takes a short way: few calls from the command to the statistic, and few validations of a table."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from small_studies import studies

from overread import tables
from overread.cli import main
from overread.stats import roc

SOURCE = Path(tables.__file__).resolve().parents[1]
CALLS = 7  # from the function of the command to the statistic, both included
REPEATED = "label_sensitivity.py"  # repeats the evaluation under other policies, so that its way is longer


@pytest.fixture
def command(tmp_path, monkeypatch):
    study = studies()["models"]
    study.images.write_csv(tmp_path / "images.csv")
    study.labels.filter(pl.col("source") == "report").write_csv(tmp_path / "labels.csv")
    study.predictions.write_csv(tmp_path / "predictions.csv")
    files = [f"--{name}={tmp_path / name}.csv" for name in ("images", "labels", "predictions")]
    given = ["overread", "evaluate", *files, "--set", "replicates=100", "--workers", "1", "-o", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", given)


@pytest.mark.slow
def test_a_score_reaches_its_statistic_in_seven_calls(command, monkeypatch):
    found, influence = [], roc.influence

    def counted(*given, **options):
        frames = [f for f in traceback.extract_stack() if not f.name.startswith("<")]  # a comprehension is no call
        names = [Path(f.filename) for f in frames]
        own = [path.relative_to(SOURCE) for path in names if SOURCE in path.parents]
        if not any(path.name == REPEATED for path in own):
            found.append(own[1:])  # the first is `main`, which finds the command
        return influence(*given, **options)

    monkeypatch.setattr(roc, "influence", counted)
    with pytest.raises(SystemExit):
        main()
    assert len(found) > 10
    longest = max(found, key=len)
    assert len(longest) + 1 <= CALLS, [str(path) for path in longest]


@pytest.mark.slow
def test_a_table_is_validated_where_it_is_read_and_where_it_is_evaluated(command, monkeypatch):
    counts, check = Counter(), tables.check

    def counted(frame, table, **options):
        counts[table] += 1
        return check(frame, table, **options)

    monkeypatch.setattr(tables, "check", counted)
    with pytest.raises(SystemExit):
        main()
    assert {name: counts[name] for name in ("labels", "predictions")} == {"labels": 2, "predictions": 2}
