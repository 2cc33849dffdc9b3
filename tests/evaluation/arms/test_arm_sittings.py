"""Reading time and trust by arm."""

import numpy as np
import polars as pl
import pytest
from arms.arm_tables import pick, simulated, study

from overread import codes
from overread.errors import InputError
from overread.evaluation import EvaluationConfig, evaluate
from overread.stats.reader_studies import trust_difference
from overread.stats.reading_time import reading_time_ratio

MEAN = "(readers)"


def sittings(reads: pl.DataFrame, seed=1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = reads.select("reader", "case_id", "arm")
    aided = (rows["arm"] != rows["arm"].min()).to_numpy()
    seconds = np.exp(3 + 0.3 * rng.normal(size=rows.height) - 0.2 * aided)
    return rows.with_columns(round=1, seconds=pl.Series(seconds), trust=pl.Series(rng.integers(1, 6, rows.height)))


def test_reading_time_and_trust_are_those_of_the_statistics():
    reads, labels = simulated(n_readers=4, n_cases=30, arms=("cine", "spin echo"))
    sat = sittings(reads)
    found = study(reads, labels, sittings=sat, baseline_arm="spin echo")
    columns = {k: sat[c].to_numpy() for k, c in (("arm", "arm"), ("reader", "reader"), ("case", "case_id"))}
    ratio = reading_time_ratio(sat["seconds"].to_numpy(), **columns, baseline="spin echo").ratio
    row = pick(found, metric="reading_time_ratio", reference="")
    assert (row["arm"], row["contrast"], row["null"], row["rater"]) == ("cine", "arm:spin echo", 1.0, MEAN)
    assert [row[k] for k in ("estimate", "low", "high", "p")] == pytest.approx(
        [ratio.value, ratio.low, ratio.high, ratio.p]
    )
    trust = trust_difference(sat["trust"].to_numpy(), **columns, baseline="spin echo").mean
    row = pick(found, metric="trust_difference", reference="")
    assert [row[k] for k in ("estimate", "low", "p")] == pytest.approx([trust.value, trust.low, trust.p])
    median = sat.filter(arm="cine")["seconds"].median()
    assert pick(found, metric="median_seconds", rater=MEAN, arm="cine", reference="")["estimate"] == median
    by_reader = sat.filter(arm="cine", reader="r2")["seconds"].median()
    assert pick(found, metric="median_seconds", rater="r2", arm="cine", reference="")["estimate"] == by_reader


def test_practice_and_repeats_are_left_out_and_counted():
    reads, labels = simulated(n_readers=3, n_cases=20)
    sat = sittings(reads).with_columns(role=pl.lit("study"))
    practice = sat.head(5).with_columns(role=pl.lit("practice"), seconds=pl.lit(900.0), round=pl.lit(3))
    again = sat.head(7).with_columns(round=pl.lit(2), seconds=pl.lit(1.0))
    elsewhere = sat.head(1).with_columns(case_id=pl.lit("another"))
    found = study(reads, labels, sittings=pl.concat([sat, practice, again, elsewhere]))
    plain = study(reads, labels, sittings=sat)
    names = ["metric", "rater", "arm", "estimate", "low", "p"]
    own = pl.col("metric").is_in(["reading_time_ratio", "median_seconds", "mean_trust", "trust_difference"])
    assert found.estimates.filter(own).select(names).equals(plain.estimates.filter(own).select(names))
    counted = dict(found.account.filter(unit="sittings").select("reason", "count").rows())
    assert counted == {
        "practice sittings excluded": 5,
        "repeated readings excluded from reading time and trust": 7,
        "sittings of cases without an evaluated read excluded": 1,
    }


def test_where_the_first_round_was_practice_reads_and_sittings_of_the_second_count():
    reads, labels = simulated(n_readers=3, n_cases=20)
    sat = sittings(reads).with_columns(role=pl.lit("study"))
    mine = (pl.col("reader") == "r1") & pl.col("case_id").is_in(reads["case_id"].unique().sort().head(5).to_list())
    second = [f.with_columns(round=pl.when(mine).then(2).otherwise(1)) for f in (reads, sat)]
    practice_reads = reads.filter(mine).with_columns(round=pl.lit(1, pl.Int32), score=pl.lit(0.0))
    practice = sat.filter(mine).with_columns(role=pl.lit("practice"), seconds=pl.lit(900.0))
    found = study(pl.concat([second[0], practice_reads], how="diagonal_relaxed"), labels,
                  sittings=pl.concat([second[1], practice.select(second[1].columns)]))  # fmt: skip
    plain = study(reads, labels, sittings=sat)
    names = ["analysis", "metric", "rater", "arm", "at", "reference", "estimate", "low", "p"]
    assert found.estimates.select(names).equals(plain.estimates.select(names))
    counted = found.account.filter(pl.col("unit").is_in(["reads", "sittings"])).select("unit", "reason", "count").rows()
    assert [row for row in counted if row not in plain.account.select("unit", "reason", "count").rows()] == [
        ("reads", "reads in practice sittings excluded", 10),
        ("sittings", "practice sittings excluded", 10),
    ]


def test_sittings_without_reads_are_refused():
    reads, labels = simulated(n_readers=2, n_cases=20)
    predictions = labels.select("case_id", "finding", model=pl.lit("acme"), score=pl.lit(0.5))
    images = labels.select(image_id="case_id", case_id="case_id", patient_id="case_id", site=pl.lit("a"))

    with pytest.raises(InputError, match="reads beside sittings"):
        evaluate(images, labels, predictions, EvaluationConfig(), rng=0, sittings=sittings(reads))


def test_a_read_that_was_practice_is_not_missing():
    reads, labels = simulated(n_readers=3, n_cases=20)
    sat = sittings(reads)
    first, last = reads["arm"].min(), reads["arm"].max()
    learnt = (pl.col("reader") == "r0") & (pl.col("arm") == first) & (pl.col("case_id") < "c004")
    sat = sat.with_columns(role=pl.when(learnt).then(pl.lit("practice")).otherwise(pl.lit("main")))
    lost = (pl.col("reader") == "r1") & (pl.col("arm") == last) & (pl.col("case_id") == "c005")
    row = pick(study(reads.filter(~lost), labels, sittings=sat), metric="auc_difference", rater=MEAN)
    found = {c.name: dict(c.parameters) for c in codes.decode(row["note_codes"])}
    assert found["reads_missing"] == {"n": 1, "total": 120}
    assert found["reads_of_practice"] == {"n": 4, "total": 120}
