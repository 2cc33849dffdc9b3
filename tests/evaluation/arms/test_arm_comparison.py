"""Comparison of arms from a table of reads: published studies, missing reads, designs, margins, weights."""

import numpy as np
import polars as pl
import pytest
from arms.arm_tables import EXPECTED, FINDING, from_reference, labels_of, pick, simulated, study

from overread.errors import InputError
from overread.stats.multiplicity import holm
from overread.stats.reader_studies import mrmc

CROSSED, U = "test=obuchowski-rockette", "test=u-statistic"
MEAN = "(readers)"
COMPONENTS = {
    "var_reader": "VarR",
    "var_arm_reader": "VarTR",
    "var_error": "Var_error",
    "cov1": "Cov1",
    "cov2": "Cov2",
    "cov3": "Cov3",
}


def shaped(reads, labels, arms):
    """The arrays of a reads table: truth (n_cases,) and scores (n_arms, n_readers, n_cases)."""
    cases = sorted(labels["case_id"])
    readers = sorted(reads["reader"].unique())
    values = np.full((len(arms), len(readers), len(cases)), np.nan)
    for reader, case, arm, score in reads.select("reader", "case_id", "arm", "score").rows():
        values[arms.index(arm), readers.index(reader), cases.index(case)] = score
    truth = dict(labels.select("case_id", "state").rows())
    return np.array([truth[c] == "present" for c in cases]), values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "file"), [("crossed_imrmc_example", "imrmc_example.csv"), ("crossed_synth_crossed", "synth_crossed.csv")]
)
def test_published_studies_from_a_table_of_reads(case, file):
    """MRMCaov 0.3.0 and RJafroc 2.1.3 (tests/reference/mrmc): AUCs, differences, ANOVA, components, F test."""
    expected = EXPECTED[case]
    arms, readers = (list(map(str, expected[k])) for k in ("modality_order", "reader_order"))
    reads, labels = from_reference(file)
    found = study(reads, labels, baseline_arm=arms[0])
    near = {"rel": 1e-7, "abs": 1e-9}
    for arm, aucs, mean in zip(arms, expected["auc"], expected["modality_means"], strict=True):
        assert pick(found, metric="auc", at=CROSSED, rater=MEAN, arm=arm)["estimate"] == pytest.approx(mean, **near)
        for reader, auc in zip(readers, aucs, strict=True):
            assert pick(found, metric="auc", at="", rater=reader, arm=arm)["estimate"] == pytest.approx(auc, **near)
    jackknife = expected["jackknife"]
    for d in jackknife["RRRC"]["differences"]:
        a, b = (arms[d[k] - 1] if isinstance(d[k], int) else d[k] for k in ("modality_1", "modality_2"))
        row = pick(found, metric="auc_difference", at=CROSSED, rater=MEAN, arm=b, contrast=f"arm:{a}")
        assert [row[k] for k in ("estimate", "se", "p")] == pytest.approx([-d["estimate"], d["se"], d["p"]], **near)
        assert [row["low"], row["high"]] == pytest.approx([-d["ci95"][1], -d["ci95"][0]], **near)
    for d in jackknife["FRRC"]["reader_differences"]:
        a, b = (arms[d[k] - 1] if isinstance(d[k], int) else d[k] for k in ("modality_1", "modality_2"))
        reader = readers[d["reader"] - 1] if isinstance(d["reader"], int) else d["reader"]
        row = pick(found, metric="auc_difference", rater=reader, arm=b, contrast=f"arm:{a}")
        assert [row[k] for k in ("estimate", "se", "p")] == pytest.approx([-d["estimate"], d["se"], d["p"]], **near)
    values = {m: jackknife["OR_components"][k] for m, k in COMPONENTS.items()}
    values |= {m: expected["MS"][k] for m, k in (("ms_arm", "T"), ("ms_reader", "R"), ("ms_arm_reader", "TR"))}
    values |= {"f_statistic": jackknife["RRRC"]["F"], "df_numerator": jackknife["RRRC"]["df1"]}
    values |= {"df_denominator": jackknife["RRRC"]["df2_ddfH"]}
    for metric, value in values.items():
        assert pick(found, metric=metric, arm="all", rater=MEAN)["estimate"] == pytest.approx(value, **near), metric
    assert pick(found, metric="f_statistic")["p"] == pytest.approx(jackknife["RRRC"]["p"], **near)


def test_one_missing_read_does_not_cost_the_difference():
    """The difference is that of the centred U-statistics; the row names the method and counts the missing read."""
    reads, labels = simulated()
    found = study(reads, labels)
    whole = pick(found, metric="auc_difference", at=CROSSED, rater=MEAN)
    one = reads.with_row_index().filter(pl.col("index") != 3).drop("index")
    found = study(one, labels)
    row = pick(found, metric="auc_difference", rater=MEAN)
    y, values = shaped(one, labels, ["aided", "unaided"])
    expected = mrmc.compare_arms(y, values, covariance="u-centred").difference
    assert row["at"] == U
    assert (row["estimate"], row["p"]) == (pytest.approx(expected.value), pytest.approx(expected.p))
    assert row["estimate"] == pytest.approx(whole["estimate"], abs=0.005)
    assert "1 of 800 reads missing" in row["note"]
    assert "centred U-statistics" in row["method"]
    assert found.estimates.filter(metric="ms_arm").is_empty()


@pytest.mark.slow
def test_missing_reads_of_imrmc_have_the_aucs_of_imrmc():
    reads, labels = from_reference("synth_missing.csv")
    found = study(reads, labels, baseline_arm="m1")
    for row in EXPECTED["synth_missing"]["iMRMC"]["Ustat"][:2]:
        mean = pick(found, metric="auc", at=U, rater=MEAN, arm=row["modalityID.1"])
        assert mean["estimate"] == pytest.approx(row["AUC.1"], rel=1e-9)


def test_the_baseline_decides_the_sign():
    reads, labels = simulated(arms=("cine", "spin echo"))
    first, second = (study(reads, labels, baseline_arm=arm) for arm in ("cine", "spin echo"))
    a, b = (pick(e, metric="auc_difference", rater=MEAN) for e in (first, second))
    assert (a["arm"], a["contrast"], b["arm"], b["contrast"]) == ("spin echo", "arm:cine", "cine", "arm:spin echo")
    assert [a[k] for k in ("estimate", "low", "p")] == pytest.approx([-b["estimate"], -b["high"], b["p"]])


def test_arms_without_a_baseline_are_refused_with_the_option_that_states_it():
    reads, labels = simulated(arms=("cine", "spin echo"))
    with pytest.raises(InputError, match=r"--baseline-arm") as problem:
        study(reads, labels)
    assert "cine" in str(problem.value)
    assert "spin echo" in str(problem.value)
    with pytest.raises(InputError, match="spin ecco"):
        study(reads, labels, baseline_arm="spin ecco")


def test_three_arms_are_compared_pair_by_pair_with_holm():
    arms = ("unaided", "aided:map", "aided:score")
    reads, labels = simulated(arms=arms)
    found = study(reads, labels)
    rows = found.estimates.filter(metric="auc_difference", rater=MEAN)
    pairs = set(rows.select("arm", "contrast").rows())
    assert pairs == {
        ("aided:map", "arm:unaided"),
        ("aided:score", "arm:unaided"),
        ("aided:score", "arm:aided:map"),
    }
    assert rows["p_adjusted"].to_list() == pytest.approx(holm(rows["p"].to_numpy()).tolist())
    assert rows["family"].unique().to_list() == ["arms, AUC, ct: 3 tests"]
    y, values = shaped(reads, labels, list(arms))
    joint = mrmc.compare_arms(y, values)
    assert pick(found, metric="f_statistic")["p"] == pytest.approx(joint.p)
    each = rows.filter(arm="aided:map").row(0, named=True)
    assert each["estimate"] == pytest.approx(-joint.pairs[0, 1].value)


def test_a_margin_adds_the_test_of_non_inferiority():
    reads, labels = simulated()
    found = study(reads, labels, margin=0.05)
    plain, tested = (pick(found, metric="auc_difference", rater=MEAN, at=f"{m}{CROSSED}") for m in ("", "margin=0.05;"))
    y, values = shaped(reads, labels, ["aided", "unaided"])
    expected = mrmc.compare_arms(y, values, margin=0.05).difference
    assert (tested["p"], tested["null"]) == (pytest.approx(expected.p), -0.05)
    assert (tested["low"], tested["estimate"]) == (plain["low"], plain["estimate"])
    assert (tested["p"] < 0.025) == (tested["low"] > -0.05)
    with pytest.raises(InputError, match=r"evaluation\.margin"):
        study(reads, labels, margin=-0.1)


def test_ratings_have_rates_only_at_a_stated_cutoff():
    """A rating of at least 4 is a call of present; the rates of r0 are counted by hand from the table."""
    reads, labels = simulated()
    plain = study(reads, labels)
    assert (
        plain.estimates.filter(pl.col("metric").is_in(["sensitivity", "specificity"]), reference="ct")
        .filter(pl.col("estimate").is_not_nan())
        .is_empty()
    )
    found = study(reads, labels, rating_cutoffs={FINDING: 4})
    mine = reads.filter(reader="r0", arm="aided").join(labels, on="case_id")
    positive = mine.filter(state="present")
    row = pick(found, metric="sensitivity", at="rating_cutoff=4", rater="r0", arm="aided")
    assert row["estimate"] == pytest.approx((positive["score"] >= 4).mean())
    y, values = shaped(reads, labels, ["aided", "unaided"])
    expected = mrmc.compare_arms(y, (values >= 4).astype(float), metric="specificity", covariance="u-centred")
    row = pick(found, metric="specificity_difference", at=f"rating_cutoff=4;{U}", rater=MEAN)
    assert (row["estimate"], row["p"]) == (
        pytest.approx(expected.difference.value),
        pytest.approx(expected.difference.p),
    )


@pytest.mark.parametrize(
    ("cutoffs", "message"),
    [({"nodle": 3}, "nodle"), ({FINDING: 6}, "above 1 and at most 5"), ({FINDING: 1}, "above 1"), (9.0, "at most 5")],
)
def test_cutoffs_off_the_scale_or_of_unknown_findings_are_refused(cutoffs, message):
    reads, labels = simulated()
    with pytest.raises(InputError, match=message):
        study(reads, labels, rating_cutoffs=cutoffs)


def test_a_reader_of_one_arm_is_left_out_and_named():
    reads, labels = simulated()
    one = reads.filter(~((pl.col("reader") == "r4") & (pl.col("arm") == "aided")))
    row = pick(study(one, labels), metric="auc_difference", rater=MEAN)
    y, values = shaped(one.filter(pl.col("reader") != "r4"), labels, ["aided", "unaided"])
    expected = mrmc.compare_arms(y, values).difference
    assert (row["estimate"], row["p"], row["n_readers"]) == (
        pytest.approx(expected.value),
        pytest.approx(expected.p),
        4,
    )
    assert "readers with reads in only one of the arms: r4" in row["note"]
    assert row["at"] == CROSSED


@pytest.mark.parametrize(("n_readers", "part"), [(3, 2), (2, 1)])
def test_a_reader_without_a_class_has_no_part_in_the_mean_and_is_named(n_readers, part):
    reads, labels = simulated(calls=True, n_readers=n_readers)
    present = labels.filter(state="present")["case_id"]
    found = study(reads.filter((pl.col("reader") != "r0") | ~pl.col("case_id").is_in(present.implode())), labels)
    row = pick(found, metric="sensitivity_difference", rater=MEAN)
    arms = [pick(found, metric="sensitivity", rater=MEAN, arm=a, at=U)["n_readers"] for a in ("unaided", "aided")]
    assert (row["n_readers"], arms) == (part, [part, part])
    assert "readers without reads of cases with the finding in one of the arms: r0" in row["note"]
    assert np.isnan(row["low"]) == ("fewer than two readers" in row["note"]) == (part == 1)
    assert pick(found, metric="specificity_difference", rater=MEAN)["n_readers"] == n_readers
    assert found.estimates.filter(metric="sensitivity_difference", rater="r0", reference="ct").is_empty()


def test_readers_of_one_arm_each_are_compared_between_readers():
    reads, labels = simulated(n_readers=6)
    early = pl.col("reader").is_in(["r0", "r1", "r2"])
    split = reads.filter(early == (pl.col("arm") == "unaided"))
    row = pick(study(split, labels), metric="auc_difference", rater=MEAN)
    y, values = shaped(split, labels, ["aided", "unaided"])
    expected = mrmc.compare_arms(y, values, covariance="u-centred").difference
    assert (row["estimate"], row["p"]) == (pytest.approx(expected.value), pytest.approx(expected.p))
    assert row["n_readers"] == 6
    assert "every reader read in one arm only" in row["note"]


@pytest.mark.parametrize(("cases", "note"), [("readers", "read by one reader"), ("arms", "read in one arm")])
def test_split_plot_designs_are_recognised(cases, note):
    """Each reader, or each arm, has its own cases: the analysis of Obuchowski and Rockette for that design."""
    reads, labels = simulated(n_cases=120)
    number = pl.col("case_id").str.slice(1).cast(pl.Int64) // 2  # the classes alternate
    if cases == "readers":
        own = number % 5 == pl.col("reader").str.slice(1).cast(pl.Int64)
    else:
        own = (number % 2 == 0) == (pl.col("arm") == "aided")
    split = reads.filter(own)
    row = pick(study(split, labels), metric="auc_difference", rater=MEAN)
    y, values = shaped(split, labels, ["aided", "unaided"])
    expected = mrmc.compare_arms(y, values, cases=f"within {cases}").difference
    assert (row["estimate"], row["p"], row["at"]) == (pytest.approx(expected.value), pytest.approx(expected.p), CROSSED)
    assert note in row["note"]


def test_weights_reach_every_comparison_of_arms():
    reads, labels = simulated()
    cases = labels["case_id"]
    weight = 1.0 + np.arange(cases.len()) % 3
    images = pl.DataFrame({"image_id": cases, "case_id": cases, "patient_id": cases, "site": "", "weight": weight})
    row = pick(study(reads, labels, images), metric="auc_difference", rater=MEAN)
    y, values = shaped(reads, labels, ["aided", "unaided"])
    expected = mrmc.compare_arms(y, values, covariance="u-centred", weights=weight).difference
    assert (row["estimate"], row["p"], row["at"]) == (pytest.approx(expected.value), pytest.approx(expected.p), U)
    assert not np.isnan(row["low"])
    assert "weighted" in row["method"]


def test_intervals_of_arms_stay_below_one():
    """Two readers who almost never err: the Wald limit of the mean is above 1."""
    rng = np.random.default_rng(3)
    y = np.arange(40) % 2 == 0
    frames = []
    for arm in ("unaided", "aided"):
        for r in range(2):
            score = np.where(y, 4, 1) + rng.integers(0, 2, 40)
            score[[0, 3][r]] = [1, 4][r]
            frames.append(
                pl.DataFrame(
                    {"reader": f"r{r}", "case_id": [f"c{i:02d}" for i in range(40)], "finding": FINDING, "arm": arm}
                ).with_columns(score=pl.Series(score.astype(float)))
            )
    found = study(pl.concat(frames), labels_of((f"c{i:02d}", t) for i, t in enumerate(y)))
    means = found.estimates.filter(pl.col("rater") == MEAN, metric="auc", contrast="")
    assert means.height == 2
    assert (means["high"] < 1).all()
    assert (means["low"] > 0).all()


def test_the_curve_of_the_average_reader_has_the_mean_auc():
    reads, labels = simulated()
    found = study(reads, labels)
    curve = found.curves.filter(curve="roc", rater=MEAN, arm="aided", reference="ct").sort("order")
    x, y = curve["x"].to_numpy(), curve["y"].to_numpy()
    mean = pick(found, metric="auc", at=CROSSED, rater=MEAN, arm="aided")["estimate"]
    assert np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) == pytest.approx(mean, abs=1e-9)
    single = found.curves.filter(curve="roc", rater="r1", arm="unaided").sort("order")
    x, y = single["x"].to_numpy(), single["y"].to_numpy()
    own = pick(found, metric="auc", at="", rater="r1", arm="unaided")["estimate"]
    assert np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) == pytest.approx(own, abs=1e-9)


def test_one_arm_of_ratings_has_the_mean_reader_and_no_difference():
    reads, labels = simulated(arms=("unaided",))
    found = study(reads, labels)
    y, values = shaped(reads, labels, ["unaided"])
    expected = mrmc.compare_arms(y, values, interval="logit").arms[0]
    row = pick(found, metric="auc", at=CROSSED, rater=MEAN)
    assert (row["estimate"], row["low"]) == (pytest.approx(expected.value), pytest.approx(expected.low))
    assert found.estimates.filter(pl.col("contrast").str.starts_with("arm:")).is_empty()
