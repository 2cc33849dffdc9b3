import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import tables
from overread.cohort import CohortConfig
from overread.cohort.patient_split import split
from overread.errors import InputError


def source(n=300, sites=("a", "b"), seed=0, **prevalence):
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for p in range(n):
        for k in range(int(rng.integers(1, 5))):
            image = f"p{p:04d}-{k}"
            rows.append({"image_id": image, "patient_id": f"p{p:04d}", "site": sites[p % len(sites)]})
            labels += [
                {
                    "case_id": image,
                    "finding": f,
                    "source": "s",
                    "state": "present" if rng.random() < share else "absent",
                }
                for f, share in (prevalence or {"edema": 0.3, "hernia": 0.04, "mass": 0.1}).items()
            ]
    images = tables.check(pl.DataFrame(rows), "images")
    return images, tables.check(pl.DataFrame(labels), "labels")


def of(images):
    return dict(images.select("image_id", pl.col("split").cast(pl.String)).rows())


def test_patients_that_look_alike_stay_in_one_split():
    images, labels = source(60)
    number = pl.col("patient_id").str.slice(1)
    written = pl.when(pl.int_range(pl.len()) % 2 == 0).then(number).otherwise(number.str.strip_chars_start("0") + ".0")
    images = images.filter(pl.col("patient_id") != "p0000").with_columns(written.alias("patient_id"))
    assert images["patient_id"].n_unique() > 80
    made, notes = split(images, labels, CohortConfig(seed=1))
    patient = pl.col("patient_id").str.replace(r"\.0$", "").cast(pl.Int64)
    assert made.group_by(patient).agg(pl.col("split").n_unique())["split"].max() == 1
    assert "the patient's identifier looks like that of another patient; kept in the same split" in set(
        pl.concat(notes)["reason"]
    )


def test_every_patient_is_in_one_split_and_the_shares_hold_by_site_and_finding():
    images, labels = source(600)
    made, _ = split(images, labels, CohortConfig(seed=1))
    per_patient = made.group_by("patient_id").agg(pl.col("split").n_unique())["split"]
    assert per_patient.max() == 1
    present = labels.filter(pl.col("state").cast(pl.String) == "present").join(made, on="case_id")
    groups = [made.group_by("site"), present.group_by("site", "finding")]
    for group in groups:
        for _, rows in group:
            patients = rows.unique("patient_id").group_by("split").len()
            total = patients["len"].sum()
            for name, share in (("train", 0.7), ("tune", 0.1), ("test", 0.2)):
                n = patients.filter(pl.col("split").cast(pl.String) == name)["len"].sum()
                assert abs(n - share * total) <= max(2.5, 0.02 * total)


def test_it_is_the_same_whatever_the_order_and_another_with_another_seed():
    images, labels = source()
    first = of(split(images, labels, CohortConfig(seed=1))[0])
    shuffled = images.sample(fraction=1, shuffle=True, seed=5), labels.sample(fraction=1, shuffle=True, seed=6)
    assert of(split(*shuffled, CohortConfig(seed=1))[0]) == first
    assert of(split(images, labels, CohortConfig(seed=2))[0]) != first


def test_external_sites_are_test_as_a_whole():
    images, labels = source()
    made, _ = split(images, labels, CohortConfig(external_sites=("b",)))
    assert made.filter(pl.col("site") == "b")["split"].cast(pl.String).unique().to_list() == ["test"]
    with pytest.raises(InputError, match=r"sites of the cohort; found 'bb'. Did you mean 'b'\?|The cohort has a, b"):
        split(images, labels, CohortConfig(external_sites=("bb",)))


def test_copies_of_one_picture_stay_together_and_are_noted():
    images, labels = source(200, sites=("a",))
    ids = images["patient_id"].unique().sort()
    group = pl.col("patient_id").replace_strict({ids[i]: f"g{i // 2}" for i in range(40)}, default=None)
    made, notes = split(images.with_columns(near_dup_group=group), labels, CohortConfig(seed=4))
    assert made.group_by("near_dup_group").agg(pl.col("split").n_unique()).drop_nulls()["split"].max() == 1
    said = pl.concat(notes).filter(pl.col("site") == "")["reason"].to_list()
    assert "duplicate of another image; kept in the same split" in said
    assert "_unit" not in made.columns


def test_a_copy_of_an_external_picture_is_not_learnt_from():
    images, labels = source(100)
    inner = images.filter(pl.col("site") == "a")["patient_id"][0]
    outer = images.filter(pl.col("site") == "b")["patient_id"][0]
    group = pl.when(pl.col("patient_id").is_in([inner, outer])).then(pl.lit("g"))
    made, notes = split(images.with_columns(near_dup_group=group), labels, CohortConfig(external_sites=("b",)))
    assert made.filter(pl.col("patient_id") == inner)["split"].cast(pl.String).unique().to_list() == ["test"]
    assert any("at an external site" in r for r in pl.concat(notes)["reason"])


def test_a_split_that_the_source_gives_is_kept_and_train_val_divided():
    images, labels = source(300, sites=("a",))
    word = pl.when(pl.col("patient_id") > "p0200").then(pl.lit("test")).otherwise(pl.lit("train_val"))
    made, _ = split(images.with_columns(official=word), labels, CohortConfig(split_column="official"))
    assert set(made.filter(pl.col("official") == "test")["split"].cast(pl.String)) == {"test"}
    patients = made.filter(pl.col("official") == "train_val").unique("patient_id")["split"].cast(pl.String)
    assert dict(patients.value_counts().rows()) == {
        "train": pytest.approx(176, abs=3),
        "tune": pytest.approx(25, abs=3),
    }


def test_the_column_split_itself_can_be_given():
    images, labels = source(30, sites=("a",))
    given = images.with_columns(
        split=pl.when(pl.col("patient_id") > "p0020").then(pl.lit("test")).otherwise(pl.lit("train"))
    )
    given = given.with_columns(pl.col("split").cast(images.schema["split"]))
    made, _ = split(given, labels, CohortConfig(split_column="split"))
    assert of(made) == of(given)


def test_a_given_split_that_is_not_whole_or_cuts_a_patient_is_refused_by_name():
    images, labels = source(20, sites=("a",))
    word = pl.when(pl.col("patient_id") > "p0010").then(pl.lit("validate"))
    with pytest.raises(InputError, match=r"one of train, tune, test, train_val .* with others \(\(empty\), validate\)"):
        split(images.with_columns(official=word), labels, CohortConfig(split_column="official"))
    cut = images.filter(pl.col("patient_id").is_duplicated())["patient_id"][0]
    index = pl.int_range(pl.len()).over("patient_id")
    word = pl.when((pl.col("patient_id") == cut) & (index == 0)).then(pl.lit("test")).otherwise(pl.lit("train"))
    with pytest.raises(
        InputError, match=rf"every patient in one split; found 1 patients in several \({cut}: test and train\)"
    ):
        split(images.with_columns(official=word), labels, CohortConfig(split_column="official"))


def test_copies_in_different_given_splits_are_noted():
    images, labels = source(20, sites=("a",))
    word = pl.when(pl.col("patient_id") == "p0000").then(pl.lit("test")).otherwise(pl.lit("train"))
    group = pl.when(pl.col("patient_id").is_in(["p0000", "p0001"])).then(pl.lit("g"))
    linked = images.with_columns(official=word, near_dup_group=group)
    _, notes = split(linked, labels, CohortConfig(split_column="official"))
    assert any("duplicate images, or patients with similar identifiers" in r for r in pl.concat(notes)["reason"])


def test_a_patient_at_two_sites_is_one_patient_and_noted():
    images, labels = source(60)
    merged = images.with_columns(patient_id=pl.col("patient_id").replace({"p0001": "p0000"}))
    made, notes = split(merged, labels, CohortConfig(seed=2))
    assert made.filter(pl.col("patient_id") == "p0000")["split"].n_unique() == 1
    assert any("more than one site" in r for r in pl.concat(notes)["reason"])


def test_stratifying_for_one_finding_balances_that_one():
    images, labels = source(400, sites=("a",))
    made, _ = split(images, labels, CohortConfig(stratify=("hernia",)))
    with_it = labels.filter((pl.col("finding") == "hernia") & (pl.col("state").cast(pl.String) == "present"))
    patients = made.join(with_it, on="case_id", how="semi").unique("patient_id")["split"].cast(pl.String)
    total = len(patients)
    assert abs(patients.to_list().count("test") - 0.2 * total) <= 1.5


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 40), seed=st.integers(0, 9), tune=st.integers(0, 30), test=st.integers(0, 30))
def test_any_cohort_is_split_whole(n, seed, tune, test):
    images, labels = source(n, seed=seed)
    made, _ = split(
        images, labels, CohortConfig(fractions=(1 - (tune + test) / 100, tune / 100, test / 100), seed=seed)
    )
    assert made.height == images.height
    assert made["split"].null_count() == 0
    assert made.columns == [*[c for c in images.columns if c != "split"], "split"]
    if tune == 0:
        assert "tune" not in made["split"].cast(pl.String).to_list()


def test_what_aucs_compare_within_is_kept_in_proportion():
    n = 300
    images = tables.check(
        pl.DataFrame(
            {
                "image_id": [f"i{i}" for i in range(n)],
                "patient_id": [f"p{i}" for i in range(n)],
                "site": ["a"] * n,
                "pairs_within": ["old" if i % 10 == 0 else "new" for i in range(n)],
            }
        ),
        "images",
    )
    made, _ = split(images, tables.empty("labels"), CohortConfig(seed=3))
    old = made.filter(pl.col("pairs_within") == "old")["split"].cast(pl.String).value_counts()
    assert dict(old.iter_rows()) == {"train": 21, "tune": 3, "test": 6}
