"""Reads in several files, and reads as the arrays of the statistics of reader studies."""

import numpy as np
import polars as pl
import pytest

import overread as ov
from overread.errors import InputError

CASES = [f"c{i}" for i in range(6)]
TRUTH = [1, 1, 1, 0, 0, 0]
GRADES = {
    ("r1", "unaided"): "543211",
    ("r1", "aided"): "443122",
    ("r2", "unaided"): "355211",
    ("r2", "aided"): "2531.1",
}
SETTINGS = {"replicates": 100, "minimum_present": 1, "minimum_absent": 1, "subgroups": []}


def graded():
    rows = [
        (case, reader, arm, float(g))
        for (reader, arm), row in GRADES.items()
        for case, g in zip(CASES, row, strict=True)
        if g != "."
    ]
    return pl.DataFrame(rows, schema=["case_id", "reader", "arm", "Effusion"], orient="row")


def labels(**more):
    return pl.DataFrame({"case_id": CASES, "Effusion": TRUTH} | more)


def images():
    return pl.DataFrame({"case_id": CASES, "patient_id": ["p1", "p1", "p2", "p3", "p4", "p4"]})


def two_patients():
    """Two images of the first case, each of another patient."""
    more = pl.concat([images(), images()[:1].with_columns(patient_id=pl.lit("p9"))])
    return more.with_columns(image_id=pl.int_range(7).cast(pl.String))


def called(calls, column="Effusion"):
    return pl.DataFrame({"case_id": CASES, column: [int(c) for c in calls]})


def test_arrays_by_hand():
    arrays = ov.read_arrays(graded(), labels(), images(), finding="effusion")
    assert (arrays.arms, arrays.readers, arrays.cases) == (("unaided", "aided"), ("r1", "r2"), tuple(CASES))
    assert arrays.y.tolist() == [True] * 3 + [False] * 3
    expected = [[[5, 4, 3, 2, 1, 1], [3, 5, 5, 2, 1, 1]], [[4, 4, 3, 1, 2, 2], [2, 5, 3, 1, np.nan, 1]]]
    np.testing.assert_array_equal(arrays.scores, expected)
    assert arrays.cluster.tolist() == [0, 0, 1, 2, 3, 3]
    assert arrays.graded
    assert arrays.account.is_empty()
    # r2, aided: of 3 x 2 pairs all are in order: AUC 1; r1: 4, 4, 3 above 1, 2, 2: AUC 1.
    study = ov.stats.compare_arms(arrays.y, arrays.scores[1:], covariance="u-statistic")
    assert study.arms[0].value == 1.0


def test_arms_are_in_the_order_asked_for_and_cases_in_that_of_their_names():
    shuffled = graded().sample(fraction=1.0, shuffle=True, seed=1)
    arrays = ov.read_arrays(shuffled, labels(), finding="Effusion", arms=["aided", "unaided"])
    usual = ov.read_arrays(graded(), labels(), finding="Effusion")
    assert arrays.arms == ("aided", "unaided")
    np.testing.assert_array_equal(arrays.scores, usual.scores[::-1])
    assert arrays.cluster is None
    one = ov.read_arrays(graded(), labels(), finding="Effusion", arms="aided")
    np.testing.assert_array_equal(one.scores, usual.scores[1:])


def test_the_arrays_give_the_rates_of_the_evaluation(tmp_path):
    reads = {"r1": called("110010"), "r2": called("111000"), "r3": called("100001")}
    made = ov.evaluate(None, labels(), reads=reads, **SETTINGS)
    arrays = ov.read_arrays(reads, labels(), finding="pleural_effusion")
    assert not arrays.graded
    for reader, calls in zip(arrays.readers, arrays.scores[0], strict=True):
        rows = made.estimates.filter(analysis="readers", rater=reader, reference="labels", at="")
        assert rows.filter(metric="sensitivity")["estimate"].item() == calls[arrays.y].mean()
        assert rows.filter(metric="specificity")["estimate"].item() == (1 - calls)[~arrays.y].mean()


def test_what_is_left_out_of_the_arrays_is_counted():
    reads = pl.DataFrame(
        {
            "case_id": ["c0", "c0", "c1", "c3", "x"],
            "reader": ["r"] * 5,
            "Effusion": ["1", "0", "-1", "0", "1"],
        }
    )
    arrays = ov.read_arrays(reads, labels(), images()[:5], finding="effusion")
    assert dict(zip(arrays.cases, arrays.scores[0, 0], strict=True)) == {"c0": 1.0, "c1": 0.0, "c3": 0.0}
    counted = {(u, n, e) for u, n, e in arrays.account.select("unit", "count", "examples").rows()}
    assert counted == {
        ("reads", 1, "r c0 unaided"),
        ("reads", 1, "r c1 unaided"),
        ("labels", 1, "c5"),
        ("cases", 1, "x"),
    }
    without = ov.read_arrays(reads, labels(), finding="effusion", uncertain_calls="ignore")
    assert without.cases == ("c0", "c3")


def test_a_finding_of_the_study_is_turned_into_arrays():
    reads = {"r1": called("110010", "Abnormal"), "r2": called("111000", "Abnormal")}
    truth = pl.DataFrame({"case_id": CASES, "Abnormal": TRUTH})
    arrays = ov.read_arrays(reads, truth, finding="Abnormal", extra_findings="Abnormal")
    assert arrays.scores[0].tolist() == [[1, 1, 0, 0, 1, 0], [1, 1, 1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"finding": "edema"}, r"reads of edema; found none \(pleural_effusion\)"),
        ({"finding": "efusion"}, "Did you mean"),
        ({"arms": ["aidet"]}, "reads in the arm 'aidet'; found arms unaided, aided. Did you mean 'aided'"),
        ({"reference": "panel"}, "labels of pleural_effusion by 'panel'; found sources labels"),
        ({"labels": labels(case_id=[f"k{i}" for i in range(6)])}, "reads of cases with a truth of pleural_effusion"),
        ({"labels": {"a": labels(), "b": labels()}}, r"one label per case; found several sources \(a, b\)"),
        ({"images": two_patients()}, "one patient per case"),
    ],
)
def test_arrays_that_cannot_be_made_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        ov.read_arrays(**{"reads": graded(), "labels": labels(), "finding": "effusion"} | change)


def test_a_file_per_reader_gives_the_numbers_of_one_table(tmp_path):
    calls = {"r1": "110010", "r2": "111000", "r3": "100001"}
    for reader, row in calls.items():
        called(row).write_csv(tmp_path / f"{reader}.csv")
    apart = ov.evaluate(None, labels(), reads=[tmp_path / f"{r}.csv" for r in calls], **SETTINGS)
    named = ov.evaluate(None, labels(), reads=[f"{r}={tmp_path / r}.csv" for r in calls], **SETTINGS)
    whole = pl.concat(called(row).with_columns(reader=pl.lit(reader)) for reader, row in calls.items())
    together = ov.evaluate(None, labels(), reads=whole, **SETTINGS)
    assert apart.estimates.equals(together.estimates, null_equal=True)
    assert named.estimates.equals(together.estimates, null_equal=True)
    told = apart.account.filter(pl.col("reason").str.contains("no column of readers"))
    assert told.select("unit", "count").rows() == [("rows", 6)] * 3


def test_two_files_of_arms_are_named_as_the_arms():
    parts = {arm: graded().filter(arm=arm).drop("arm") for arm in ("unaided", "aided")}
    arrays = ov.read_arrays(parts, labels(), finding="effusion")
    np.testing.assert_array_equal(arrays.scores, ov.read_arrays(graded(), labels(), finding="effusion").scores)


def test_two_readers_of_one_name_in_two_files_are_refused(tmp_path):
    (tmp_path / "b").mkdir()
    for file in ("r.csv", "b/r.csv"):
        called("110010").write_csv(tmp_path / file)
    files = [tmp_path / "r.csv", tmp_path / "b/r.csv"]
    with pytest.raises(InputError, match=r"files with the same name \(r\)\. .*NAME=FILE"):
        ov.evaluate(None, labels(), reads=files, **SETTINGS)
    for file in files:
        called("110010").with_columns(reader=pl.lit("Smith")).write_csv(file)
    told = r"6 reads in several \(6 by Smith, such as of case c0, in r.csv and b/r.csv\)"
    with pytest.raises(InputError, match=told):
        ov.evaluate(None, labels(), reads=files, **SETTINGS)


def test_a_reader_may_be_in_two_files_of_different_cases():
    part = called("110010").with_columns(reader=pl.lit("Smith"))
    arrays = ov.read_arrays([part[:4], part[4:]], labels(), finding="effusion")
    assert arrays.readers == ("Smith",)
    assert arrays.scores[0, 0].tolist() == [1, 1, 0, 0, 1, 0]


def test_calls_of_one_reader_and_grades_of_another_are_refused():
    reads = {"a": called("543211"), "b": called("110010"), "c": called("111000")}
    message = (
        r"reads of pleural_effusion: expected calls of every reader.*calls .* of 2 readers and grades of 1 \(b: calls"
    )
    with pytest.raises(InputError, match=message):
        ov.evaluate(None, labels(), reads=reads, **SETTINGS)


def test_labels_of_unread_cases_only_are_refused():
    other = labels(case_id=[f"k{i}" for i in range(6)])
    with pytest.raises(InputError, match="6 cases that were read and 6 with a label, none of them the same"):
        ov.evaluate(None, other, reads={"r": called("110010")}, **SETTINGS)


def test_columns_that_look_like_findings_come_first_in_the_account_with_all_names(tmp_path):
    names = [f"Sign {letter}" for letter in "abcdefg"]
    truth = labels(**dict.fromkeys(names, TRUTH), **{"Follow-up #": list(range(6))})
    reads = {"r1": called("110010").with_columns(pl.lit(1).alias("Sign a")), "r2": called("111000")}
    made = ov.evaluate(None, {"truth": truth}, reads=reads, **SETTINGS)
    rows = made.account.select("reason", "count", "examples").rows()
    assert rows[0][0].startswith("truth: not analysed, although the cells look like those of findings: state them")
    assert rows[0][1:] == (7, "; ".join(names))
    assert rows[1][1:] == (1, "Sign a")  # constant in this file, but it looks like a finding in the other
    assert ("truth: not used", 1, "Follow-up #") in rows
    stated = ov.evaluate(None, {"truth": truth}, reads=reads, extra_findings=names, **SETTINGS)
    assert "not analysed" not in "".join(stated.account["reason"])
    assert "sign_a" in set(stated.estimates["finding"])


def test_an_unknown_finding_of_a_long_table_is_refused_with_the_way_out():
    long = pl.DataFrame({"case_id": CASES, "finding": "Abnormal", "state": "present", "source": "a"})
    with pytest.raises(InputError, match=r'1 unknown \(Abnormal\).*--extra-findings "Abnormal"'):
        ov.evaluate(None, long, reads={"r": called("110010")}, **SETTINGS)


def named(frame, patients="aabbcc"):
    """The table with a column of patients."""
    return frame.join(pl.DataFrame({"case_id": CASES, "PatientID": list(patients)}), on="case_id")


def test_patients_in_the_reads_or_labels_are_used_where_there_are_no_images():
    pictures = pl.DataFrame({"case_id": CASES, "patient_id": list("aabbcc")})
    wanted = ov.evaluate(pictures, {"truth": labels()}, reads=graded(), **SETTINGS)
    alone = ov.evaluate(None, {"truth": labels()}, reads=graded(), **SETTINGS)
    assert not alone.estimates.equals(wanted.estimates)
    for truth, reads in ((labels(), named(graded())), (named(labels()), graded())):
        found = ov.evaluate(None, {"truth": truth}, reads=reads, **SETTINGS)
        assert found.estimates.equals(wanted.estimates)
        line = found.account.filter(pl.col("reason").str.contains("no images table")).row(0, named=True)
        assert (line["unit"], line["count"]) == ("cases", 6)
        assert line["reason"].endswith("no images table: the patients of the cases were taken from column 'PatientID'")
        assert not found.account["reason_code"].str.contains("case_is_own_patient").any()
        assert not found.account["unit"].str.contains("columns").any()


def test_patients_of_some_cases_only_are_not_used_and_a_case_of_two_is_refused():
    some = named(graded()).with_columns(pl.when(pl.col("case_id") != "c0").then("PatientID").alias("PatientID"))
    found = ov.evaluate(None, {"truth": labels()}, reads=some, **SETTINGS)
    assert found.estimates.equals(ov.evaluate(None, {"truth": labels()}, reads=graded(), **SETTINGS).estimates)
    [reason] = found.account.filter(pl.col("reason").str.contains("names patients"))["reason"]
    assert "column 'PatientID' names patients and was not used: 1 case has no patient in the tables" in reason
    assert found.account["reason_code"].str.contains("case_is_own_patient").any()
    with pytest.raises(InputError, match=r"one patient per case; found 1 cases of several \(c0\)"):
        ov.evaluate(None, {"truth": named(labels(), "xabbcc")}, reads=named(graded()), **SETTINGS)
