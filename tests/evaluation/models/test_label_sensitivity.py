"""Uncertain labels and label sources side by side: each as an evaluation of its own would give it, and what changes."""

import numpy as np
import polars as pl
import pytest

from overread import evaluation as ev
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.stats import roc

pytestmark = pytest.mark.slow


def evaluated(m, labels, seed=1, **options):
    config = EvaluationConfig(**({"replicates": 200, "subgroups": ()} | options))
    return ev.evaluate(m.images, labels, m.predictions, config, rng=np.random.default_rng(seed))


def run(m, labels, seed=1, **options):
    return evaluated(m, labels, seed, **options).estimates


def one(frame, **equals):
    found = frame.filter(**({"at": ""} | equals))
    assert found.height == 1, (equals, found.height)
    return found.row(0, named=True)


@pytest.fixture(scope="module")
def doubtful(made):
    """A tenth of the labels of edema is uncertain, among them the only case of one patient."""
    m = made(raters={"acme": 1.5}, sites={"": 200})
    rng = np.random.default_rng(5)
    chosen = rng.choice(m.images["image_id"].to_numpy(), 40, replace=False).tolist()
    alone = m.images.filter(patient_id="-7")["image_id"].to_list()
    state = (
        pl.when((pl.col("finding") == "edema") & pl.col("case_id").is_in(chosen + alone))
        .then(pl.lit("uncertain"))
        .when((pl.col("finding") == "mass") & pl.col("case_id").is_in(alone))
        .then(pl.lit("uncertain"))
        .otherwise(pl.col("state").cast(pl.String))
    )
    labels = m.labels.with_columns(state=state)
    return m, labels, run(m, labels).filter(analysis="policies")


def test_each_policy_is_what_an_evaluation_under_it_gives(doubtful):
    m, labels, e = doubtful
    of = {"metric": "auc", "rater": "acme", "contrast": ""}
    for word in ("ignore", "absent", "present"):
        alone = run(m, labels, uncertain=word).filter(analysis="standalone")
        for finding in ("edema", "mass"):
            row = one(e, finding=finding, policy=f"uncertain={word}", **of)
            same = one(alone, finding=finding, **of)
            for column in ("estimate", "low", "high", "n_present", "n_cases", "n_patients"):
                assert row[column] == pytest.approx(same[column]), (word, finding, column)
        assert one(e, finding="(mean)", policy=f"uncertain={word}", **of)["estimate"] == pytest.approx(
            one(alone, finding="(mean)", **of)["estimate"]
        )


def test_the_difference_is_that_of_the_values_with_an_interval_of_paired_draws(doubtful):
    _, _, e = doubtful
    for finding in ("edema", "(mean)"):
        value = {w: one(e, metric="auc", finding=finding, policy=f"uncertain={w}") for w in ("ignore", "present")}
        row = one(e, metric="auc_difference", finding=finding, policy="uncertain=present")
        assert row["contrast"] == "policy:uncertain=ignore"
        assert row["estimate"] == pytest.approx(value["present"]["estimate"] - value["ignore"]["estimate"])
        assert row["low"] < row["estimate"] < row["high"]
        unpaired = np.hypot(*(v["high"] - v["low"] for v in value.values()))
        assert row["high"] - row["low"] < 0.75 * unpaired


def test_rates_stand_at_the_thresholds_that_were_frozen(doubtful):
    _, _, e = doubtful
    at = "operating_point=spec90"
    both = [
        one(e, metric="sensitivity", finding="edema", at=at, policy=f"uncertain={w}", contrast="")
        for w in ("present", "ignore")
    ]
    row = one(e, metric="sensitivity_difference", finding="edema", at=at, policy="uncertain=present")
    assert row["estimate"] == pytest.approx(both[0]["estimate"] - both[1]["estimate"])
    assert both[0]["n_present"] > both[1]["n_present"]


def test_the_interval_is_that_of_a_slow_bootstrap(doubtful):
    m, labels, e = doubtful
    frame = (
        m.predictions.filter(finding="edema")
        .join(labels.filter(finding="edema"), left_on="image_id", right_on="case_id")
        .join(m.images, on="image_id")
    )
    patient, score, state = (frame[c].cast(pl.String).to_numpy() for c in ("patient_id", "image_id", "state"))
    score = frame["score"].to_numpy()
    rng, drawn = np.random.default_rng(9), []
    members = {p: np.flatnonzero(patient == p) for p in np.unique(patient)}
    for _ in range(400):
        i = np.concatenate([members[p] for p in rng.choice(list(members), len(members))])
        sure = i[state[i] != "uncertain"]
        present = roc.auc(np.isin(state[i], ["present", "uncertain"]), score[i]).value
        drawn.append(present - roc.auc(state[sure] == "present", score[sure]).value)
    row = one(e, metric="auc_difference", finding="edema", policy="uncertain=present")
    assert row["se"] == pytest.approx(np.std(drawn), rel=0.2)
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.012)


def test_findings_without_an_uncertain_label_are_left_out(made):
    m = made(sites={"": 100})
    assert run(m, m.labels).filter(analysis="policies").is_empty()
    first = (pl.col("finding") == "mass") & (pl.col("case_id") == "000003")
    state = pl.when(first).then(pl.lit("uncertain")).otherwise(pl.col("state").cast(pl.String))
    e = run(m, m.labels.with_columns(state=state)).filter(analysis="policies")
    assert set(e["finding"]) == {"mass", "(mean)"}


def second_source(m, share, flipped, seed=3):
    """Another source that states a share of the cases and says otherwise on some of them."""
    rng = np.random.default_rng(seed)
    cases = m.images["case_id"].to_numpy()
    stated = rng.choice(cases, int(share * cases.size), replace=False).tolist()
    turned = rng.choice(stated, flipped, replace=False).tolist()
    other = m.labels.filter(pl.col("case_id").is_in(stated)).with_columns(
        source=pl.lit("panel"),
        state=pl.when(pl.col("case_id").is_in(turned))
        .then(pl.when(pl.col("state") == "present").then(pl.lit("absent")).otherwise(pl.lit("present")))
        .otherwise(pl.col("state").cast(pl.String)),
    )
    columns = ["case_id", "finding", "source", "state"]
    return pl.concat([m.labels.select(columns).with_columns(pl.col("state").cast(pl.String)), other.select(columns)])


def test_another_source_is_compared_on_the_cases_that_both_state(made):
    m = made(sites={"": 200})
    labels = second_source(m, 0.6, 30)
    e = run(m, labels, reference="expert").filter(analysis="policies")
    assert set(e["reference"]) == {"panel"}
    row = one(e, metric="auc", finding="edema")
    assert row["n_cases"] == 240
    assert row["note"].endswith("on the 240 cases that expert labels too")
    auc = {}
    for source in ("panel", "expert"):
        frame = m.predictions.filter(finding="edema").join(
            labels.filter(finding="edema", source=source), left_on="image_id", right_on="case_id"
        )
        frame = frame.filter(pl.col("image_id").is_in(labels.filter(source="panel")["case_id"].to_list()))
        auc[source] = roc.auc(frame["state"] == "present", frame["score"]).value
    assert row["estimate"] == pytest.approx(auc["panel"])
    change = one(e, metric="auc_difference", finding="edema", contrast="reference:expert")
    assert change["estimate"] == pytest.approx(auc["panel"] - auc["expert"])
    assert change["low"] < change["estimate"] < change["high"]


def test_references_name_which_sources_are_compared(made):
    m = made(sites={"": 100})
    labels = second_source(m, 0.8, 10)
    e = run(m, labels, reference="expert", references=("expert",))
    assert e.filter(analysis="policies").is_empty()


def test_a_number_under_another_source_counts_its_own_cases_and_the_uncertain_ones(made):
    m = made(sites={"": 200})
    doubtful = m.images["case_id"].to_list()[:35]
    unclear = (pl.col("source") == "panel") & (pl.col("finding") == "edema") & pl.col("case_id").is_in(doubtful)
    labels = second_source(m, 1.0, 30).with_columns(
        state=pl.when(unclear).then(pl.lit("uncertain")).otherwise(pl.col("state"))
    )
    found = evaluated(m, labels, reference="expert")
    n = labels["case_id"].n_unique()
    e = found.estimates.filter(analysis="policies")
    for metric in ("auc", "auc_difference"):
        assert one(e, metric=metric, finding="edema")["note"].endswith(f"on the {n - 35} cases that expert labels too")
        mean = one(e, metric=metric, finding="(mean)")["note"]
        assert mean.endswith(f"on the cases that expert labels too: {n - 35} to {n}, by finding")
    counted = found.account.filter(pl.col("reason").str.starts_with("uncertain"))
    assert counted.select("reason", "count").rows() == [
        ("uncertain in source 'panel': excluded where it is the reference standard", 35)
    ]
