"""Evaluate files and frames from Python: the same numbers, with or without a folder."""

import filecmp
import re

import numpy as np
import polars as pl
import pytest

import overread as ov
from overread import ledger, runs, tables
from overread.errors import InputError
from overread.protocol import report_stage

pytestmark = pytest.mark.slow  # every test evaluates

N = 60
SETTINGS = {"replicates": 100, "subgroups": ()}


@pytest.fixture(scope="module")
def truth():
    ids = [f"c{i:02d}" for i in range(N)]
    return pl.DataFrame({"image_id": ids, "patient_id": ids, "edema": [i % 2 for i in range(N)]})


@pytest.fixture(scope="module")
def scores(truth):
    return truth.select("image_id", edema=pl.Series([((i * 37) % N) / N + 0.3 * (i % 2) for i in range(N)]))


@pytest.fixture(scope="module")
def evidence(truth, scores):
    return ov.evaluate(images=truth, labels={"chart": truth}, predictions={"acme": scores}, **SETTINGS)


def _files(folder, truth, scores):
    tables.write_frame(truth, folder / "chart.csv")
    tables.write_frame(scores, folder / "acme.csv")
    return folder / "chart.csv", folder / "chart.csv", [folder / "acme.csv"]


def test_frames_and_files_give_the_same_estimates(evidence, truth, scores, tmp_path):
    from_files = ov.evaluate(*_files(tmp_path, truth, scores), **SETTINGS)
    assert evidence.estimates.equals(from_files.estimates, null_equal=True)
    assert from_files.folder is None
    assert {p.name for p in tmp_path.iterdir()} == {"chart.csv", "acme.csv"}


def test_pandas_frames_give_the_same_estimates(evidence, truth, scores):
    pd = pytest.importorskip("pandas")
    one, other = (pd.DataFrame(frame.to_dict(as_series=False)) for frame in (truth, scores))
    made = ov.evaluate(one, {"chart": one}, {"acme": other.set_index("image_id")}, **SETTINGS)
    assert made.estimates.equals(evidence.estimates, null_equal=True)


def test_report_writes_what_the_command_writes(truth, scores, tmp_path):
    files = _files(tmp_path, truth, scores)
    ov.evaluate(*files, out=tmp_path / "at-once", **SETTINGS)
    ov.evaluate(*files, **SETTINGS).report(tmp_path / "later")
    at_once, later = (
        {p.relative_to(tmp_path / d).as_posix() for p in (tmp_path / d).rglob("*") if p.is_file()}
        for d in ("at-once", "later")
    )
    assert at_once == later
    same = ["estimates.parquet", "curves.parquet", "joined.parquet", "account.csv", "verdicts.parquet"]
    assert filecmp.cmpfiles(tmp_path / "at-once", tmp_path / "later", same, shallow=False)[0] == same
    assert [e.kind for e in ledger.read(tmp_path / "later/ledger.jsonl")] == [ledger.ACCESS]
    assert all(each.unchanged for each in ov.verify(tmp_path / "later"))


def test_the_record_keeps_the_hashes_of_frames(evidence, truth, scores, tmp_path):
    evidence.report(tmp_path / "out")
    frames = runs.read(tmp_path / "out")["notes"]["frames"]
    assert frames == {
        "images": runs.frame_hash(truth),
        "labels": runs.frame_hash(truth),
        "predictions acme": runs.frame_hash(scores),
    }


def test_the_evidence_prints_its_study_and_its_aucs(evidence):
    text = str(evidence)
    assert text.startswith("Evaluation of 60 cases of 60 patients\nRaters: acme\nPopulations: one test set, ")
    auc = evidence.estimates.filter((pl.col("metric") == "auc") & (pl.col("finding") == "edema")).row(0, named=True)
    line = re.escape(f"{auc['estimate']:.3f} (95% CI {auc['low']:.3f} to {auc['high']:.3f})")
    assert re.search(rf"edema +acme +internal +30 +60 +{line}\n", text)
    html = evidence._repr_html_()
    assert html.count("<tr>") == 3
    assert f"{auc['estimate']:.3f} (95% CI" in html


def test_html_of_names_is_escaped(truth, scores):
    made = ov.evaluate(truth, truth, {"<b>x</b>": scores}, **SETTINGS)
    assert "<b>" not in made._repr_html_()


def test_a_seed_and_a_generator_decide_the_resamples(truth, scores):
    given = (truth, truth, {"acme": scores})
    one, same = (ov.evaluate(*given, rng=7, **SETTINGS) for _ in range(2))
    assert one.estimates.equals(same.estimates, null_equal=True)
    assert one.config.seed == 7
    drawn = ov.evaluate(*given, rng=np.random.default_rng(1), **SETTINGS)
    again = ov.evaluate(*given, rng=drawn.config.seed, **SETTINGS)
    assert drawn.estimates.equals(again.estimates, null_equal=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"replicate": 100}, "replicates"), ({"rng": -1}, "seed"), ({"replicates": "many"}, "replicates")],
)
def test_wrong_settings_are_refused(truth, scores, change, message):
    with pytest.raises(InputError, match=message):
        ov.evaluate(truth, truth, {"acme": scores}, **{**SETTINGS, **change})


def test_columns_of_lists_are_refused_as_in_a_file(truth, scores):
    odd = truth.with_columns(more=pl.lit([1, 2]))
    with pytest.raises(InputError, match="images"):
        ov.evaluate(odd, truth, {"acme": scores}, **SETTINGS)


@pytest.mark.parametrize(
    ("analyses", "title"),
    [
        (["readers", "agreement"], "Evaluation of readers"),
        (["readers", "standalone"], "Evaluation of models and readers"),
        (["standalone"], "Evaluation of predictions"),
    ],
)
def test_an_untitled_report_names_what_was_evaluated(tmp_path, analyses, title):
    pl.DataFrame({"analysis": analyses}).write_parquet(tmp_path / "estimates.parquet")
    assert report_stage._untitled(tmp_path) == title
