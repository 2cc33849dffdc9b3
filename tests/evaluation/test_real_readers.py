"""Two public networks beside the radiologists who read the same images: what the files hold, and what comes out."""

import time
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from overread import evaluation as ev
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join import layouts, read_layouts
from overread.tables.records.configuration import parse_section

pytestmark = pytest.mark.slow

MODELS = ("zech_densenet121", "haooyuee_nih_25")
MAIN = "uncertain=ignore;uncertain_call=absent"


@pytest.fixture(scope="module")
def real(shared):
    predictions, readers = shared("real/predictions"), shared("real/readers")
    labels = pl.concat(
        [layouts.labels(predictions / "truth.csv.gz", source="nih14").frame]
        + [layouts.labels(readers / f"{n}_labels.csv.gz", source="adjudicated").frame for n in ("test", "validation")]
    )
    stated = tomllib.loads((Path(__file__).parents[2] / "protocols/nih-readers.toml").read_text(encoding="utf-8"))
    quick = {"replicates": 200, "subgroups": [], "hypotheses": ["H2"]}
    config = parse_section(EvaluationConfig, stated["evaluation"] | quick, "evaluation")
    images = layouts.images(predictions / "truth.csv.gz").frame
    scores = pl.concat([layouts.predictions(predictions / f"{n}.csv.gz").frame for n in MODELS])
    reads = read_layouts.reads(readers / "individual_readers.csv.gz").frame
    start = time.perf_counter()
    evidence = ev.evaluate(images, labels, scores, config, rng=np.random.default_rng(1), reads=reads)
    return evidence, reads, time.perf_counter() - start


def _account(evidence):
    rows = (
        evidence.account.filter(pl.col("stage").is_in(["reads", "unmatched"])).select("unit", "reason", "count").rows()
    )
    return {(u, r): n for u, r, n in rows}


def test_what_the_files_hold(real):
    """935 images of 353 patients, 924 with three reads, 21 readers with 4 to 515 reads, four pairs read twice."""
    evidence, reads, _ = real
    joined = evidence.joined.filter(arm="unaided", finding="pneumothorax")
    assert joined["case_id"].n_unique() == 935
    assert joined["patient_id"].n_unique() == 353
    read = reads.filter(finding="pneumothorax").filter(pl.col("case_id").is_in(joined["case_id"].unique().to_list()))
    per_case = read.group_by("case_id").len()["len"].value_counts()
    assert dict(per_case.rows()) == {3: 924, 2: 10, 4: 1}
    per_reader = read.group_by("reader").len()["len"]
    assert (per_reader.len(), per_reader.min(), per_reader.max(), per_reader.sum()) == (21, 4, 515, 2796)
    assert joined.select("case_id", "patient_id").unique().group_by("patient_id").len()["len"].max() == 45
    account = _account(evidence)
    again = "a further reading of a case by the same reader in the same arm: used for intra-reader agreement only"
    assert account["reads", again] == 1
    assert account["reads", "reads: not in the images table (79% of 13,081)"] == 13_081 - 2_796
    assert account["cases", "without a read"] == 22_433 - 935
    assert account["findings", "read, but not scored by any model: evaluated for the readers only"] == 1
    assert account["reads", "pneumothorax: uncertain calls, taken as absent (alternatives are shown beside it)"] == 21
    assert account["reads", "lung_lesion: uncertain calls, taken as absent (alternatives are shown beside it)"] == 52


def _rows(evidence, **equals):
    return evidence.estimates.filter(**{"analysis": "readers", "reference": "adjudicated", "policy": MAIN, **equals})


def test_pneumothorax_against_the_adjudicated_answer(real):
    """46 of 935 images present; 144 of the 2,796 reads are of these. Pooled rates counted straight from the files."""
    evidence, reads, _ = real
    pooled = _rows(evidence, finding="pneumothorax", rater="(readers)", at="").sort("metric")
    assert pooled["n_present"].to_list() == [46, 46]
    assert pooled["n_absent"].to_list() == [889, 889]
    joined = evidence.joined.filter(arm="unaided", finding="pneumothorax").select("case_id", "truth").unique()
    first = reads.filter(pl.col("round") == 1)  # one image of these was read twice by one reader
    both = first.filter(finding="pneumothorax").join(joined, on="case_id")
    with_reads = [both.filter(pl.col("truth") == k)["reader"].n_unique() for k in (1, 0)]
    assert pooled["n_readers"].to_list() == with_reads == [14, 21]
    called = both["call"].cast(pl.String) == "present"
    assert pooled["estimate"].to_list() == pytest.approx(
        [called.filter(both["truth"]).mean(), 1 - called.filter(~both["truth"]).mean()]
    )
    assert both["truth"].sum() == 138
    read = [both.filter(truth=present)["reader"].n_unique() for present in (True, False)]
    assert pooled["n_readers"].to_list() == read == [14, 21]  # 7 readers read no case with a pneumothorax
    counted = _rows(evidence, finding="pneumothorax", metric="readers_below_curve", at="cases=read")
    assert counted["n_readers"].to_list() == [4, 4]


def test_everything_asked_for_is_there(real):
    evidence, _, _ = real
    raters = set(_rows(evidence, metric="auc")["rater"])
    assert raters == {
        *MODELS,
        *(f"{m} [{n}]" for m in MODELS for n in ("consolidation", "max of five", "max of nodule and mass")),
    }
    references = set(evidence.estimates.filter(analysis="readers", metric="auc")["reference"])
    assert references == {"adjudicated", "majority", "dawid-skene", "nih14"}
    assert set(evidence.estimates.filter(analysis="agreement", at="")["finding"]) == {
        "pneumothorax",
        "lung_opacity",
        "lung_lesion",
        "fracture",
    }
    read = evidence.estimates.filter(subgroup="read")
    assert not set(read["metric"]) & {"ppv", "npv"}
    assert read.filter(pl.col("at").str.contains("obuchowski")).is_empty()  # calls, and no crossed design
    verdict = evidence.verdicts.filter(hypothesis="H2").row(0, named=True)
    assert verdict["verdict"] == "cannot tell"
    assert "there is no external site" in verdict["reason"]


def test_whose_word_is_truth_decides(real):
    """For pneumothorax no counted reader lies below the curves under the adjudicated answer; under nih14 all do."""
    evidence, _, _ = real
    below = evidence.estimates.filter(
        metric="readers_below_curve", at="cases=read", finding="pneumothorax", policy=MAIN
    ).filter(pl.col("reference").is_in(["adjudicated", "nih14"]))
    by = {(r, ref): (int(v), n) for r, ref, v, n in below.select("rater", "reference", "estimate", "n_readers").rows()}
    assert [by[m, "adjudicated"] for m in MODELS] == [(0, 4), (0, 4)]
    assert [by[m, "nih14"] for m in MODELS] == [(5, 5), (5, 5)]
    gap = evidence.estimates.filter(
        analysis="H2",
        metric="auc_difference",
        reference="adjudicated",
        contrast="reference:nih14",
        finding="lung_opacity",
    )
    assert (gap["low"] > 0).all()


def test_every_interval_holds_its_estimate_and_every_gap_has_a_note(real):
    evidence, _, _ = real
    read = evidence.estimates.filter(subgroup="read")
    whole = read.filter(pl.col("low").is_not_nan())
    outside = whole.filter((pl.col("estimate") < pl.col("low") - 1e-9) | (pl.col("estimate") > pl.col("high") + 1e-9))
    assert outside.height <= 0.01 * whole.height
    bare = read.filter(pl.col("low").is_nan() & (pl.col("note") == "") & (pl.col("metric") != "readers_below_curve"))
    assert bare.is_empty(), bare.select("analysis", "metric", "at", "rater", "reference").head(5)


def test_it_takes_seconds(real):
    """On two idle cores about ten seconds with 200 replicates; the bound leaves room for a busy machine."""
    assert real[2] < 90
