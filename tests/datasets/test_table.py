import json

import polars as pl
import pytest

from overread.datasets import table
from overread.errors import InputError

COLUMNS = {"image_id": "file", "path": "file", "patient_id": "patient", "site": "hospital"}
ROWS = {
    "file": ["a.png", "b.png", "c.png"],
    "patient": ["00000001", "2", "2"],
    "hospital": ["north", "north", "south"],
    "projection": ["PA", "weird", None],
    "gender": ["F", "male", None],
    "age": ["57", "61.0", None],
    "Effusion": ["1", "0", None],
    "Pleural_Thickening": ["-1.0", None, "0"],
    "batch": ["x", "y", "z"],
}


def write(root, **changes):
    frame = pl.DataFrame(ROWS | changes)
    frame.write_csv(root / "t.csv")
    return root


def test_columns_are_mapped_and_text_stays_text(tmp_path):
    columns = COLUMNS | {"view": "projection", "sex": "gender", "age_years": "age", "pairs_within": "batch"}
    source = table.read(write(tmp_path), images="t.csv", columns=columns, keep=["batch"])
    images = source.images
    assert images["patient_id"].to_list() == ["00000001", "2", "2"]
    assert images["case_id"].to_list() == images["image_id"].to_list()
    assert images["view"].to_list() == ["PA", "UNKNOWN", "UNKNOWN"]
    assert images["sex"].to_list() == ["F", "M", None]
    assert images["age_years"].to_list() == [57.0, 61.0, None]
    assert images["batch"].to_list() == images["pairs_within"].to_list() == ["x", "y", "z"]
    assert images["source_note"].null_count() == 2
    assert source.labels.height == 0


def test_wide_labels_empty_is_no_row(tmp_path):
    source = table.read(write(tmp_path), images="t.csv", columns=COLUMNS, labels=["Effusion", "Pleural_Thickening"])
    assert sorted(source.labels.rows()) == [
        ("a.png", "pleural_effusion", "stated", "present"),
        ("a.png", "pleural_thickening", "stated", "uncertain"),
        ("b.png", "pleural_effusion", "stated", "absent"),
        ("c.png", "pleural_thickening", "stated", "absent"),
    ]


def test_wide_labels_with_own_names_and_values(tmp_path):
    spec = {"form": "wide", "columns": {"Effusion": "mass"}, "present": ["Y"], "absent": "N", "source": "panel"}
    write(tmp_path, Effusion=["Y", "N", None])
    source = table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=spec)
    assert source.labels.rows() == [("a.png", "mass", "panel", "present"), ("b.png", "mass", "panel", "absent")]


def test_list_labels_state_the_whole_vocabulary(tmp_path):
    write(tmp_path, Effusion=["Mass|Edema", "No Finding", None])
    spec = {"form": "list", "column": "Effusion", "vocabulary": ["Mass", "Edema", "No Finding"]}
    labels = table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=spec).labels
    assert labels.height == 6
    present = labels.filter(pl.col("state").cast(pl.String) == "present").select("case_id", "finding")
    assert sorted(present.rows()) == [("a.png", "edema"), ("a.png", "mass"), ("b.png", "no_finding")]
    with pytest.raises(InputError, match=r"others \(Edema\)"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=spec | {"vocabulary": ["Mass", "No Finding"]})


def test_long_labels_from_a_file_of_their_own(tmp_path):
    write(tmp_path)
    rows = {"study": ["a.png", "b.png"], "what": ["Effusion", "Edema"], "value": ["present", "-1"]}
    pl.DataFrame(rows).write_csv(tmp_path / "l.csv")
    spec = {"form": "long", "file": "l.csv", "columns": {"case_id": "study", "finding": "what", "state": "value"}}
    labels = table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=spec).labels
    assert labels.select("case_id", "finding", "state").rows() == [
        ("a.png", "pleural_effusion", "present"),
        ("b.png", "edema", "uncertain"),
    ]


def test_parquet_reads_as_csv_does(tmp_path):
    write(tmp_path)
    typed = pl.DataFrame(ROWS).with_columns(pl.col("Effusion").cast(pl.Float64), pl.col("age").cast(pl.Float64))
    typed.write_parquet(tmp_path / "t.parquet")
    options = {"columns": COLUMNS | {"age_years": "age"}, "labels": ["Effusion"]}
    csv, parquet = (table.read(tmp_path, images=f, **options) for f in ("t.csv", "t.parquet"))
    assert csv.images.equals(parquet.images)
    assert csv.labels.equals(parquet.labels)


def test_where_chooses_rows_and_says_what_there_is(tmp_path):
    write(tmp_path)
    source = table.read(tmp_path, images="t.csv", columns=COLUMNS, where={"hospital": ["north"]}, labels=["Effusion"])
    assert source.images["image_id"].to_list() == ["a.png", "b.png"]
    with pytest.raises(
        InputError, match=r"rows with hospital = nort; found others only \(north, south\). Did you mean 'north'"
    ):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, where={"hospital": "nort"})
    with pytest.raises(InputError, match=r"a column 'hospitl'; found none. Did you mean 'hospital'"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, where={"hospitl": "north"})


def test_all_problems_of_the_columns_are_said_at_once(tmp_path):
    write(tmp_path)
    columns = {"image_id": "fil", "path": "file", "patent_id": "patient"}
    with pytest.raises(InputError) as caught:
        table.read(tmp_path, images="t.csv", columns=columns, keep=["site"], defaults={"path": "x"})
    message = str(caught.value)
    for line in (
        "expected a column 'fil'; found none. Did you mean 'file'?",
        "'patent_id'. Did you mean 'patient_id'?",
        "expected a column for patient_id; found none.",
        "expected a column for site; found none.",
        "keep: expected columns with names of their own; found 'site', a column of ours.",
        "expected path once; found it in `columns` too",
    ):
        assert line in message, line


def test_unreadable_ages_and_sexes_are_refused_together(tmp_path):
    write(tmp_path, age=["old", "5", "6"], gender=["F", "?", "M"])
    columns = COLUMNS | {"age_years": "age", "sex": "gender"}
    with pytest.raises(InputError) as caught:
        table.read(tmp_path, images="t.csv", columns=columns)
    assert "found 1 others (a.png: old)" in str(caught.value)
    assert "found 1 other spellings (?)" in str(caught.value)


def test_unknown_findings_states_and_forms(tmp_path):
    write(tmp_path, Efusion=["1", "0", "0"], Mass=["1", "maybe", "0"])
    with pytest.raises(InputError, match=r"a known finding; found 'Efusion'. Did you mean 'Effusion'\?"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=["Efusion"])
    with pytest.raises(InputError, match=r"label values .* or empty; found 1 others \(b.png, mass: 'maybe'\)"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=["Mass"])
    with pytest.raises(InputError, match=r"a form, one of wide, list, long; found 'wid'. Did you mean 'wide'"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, labels={"form": "wid"})
    with pytest.raises(InputError, match=r"unknown keys \(column\). Did you mean 'columns'"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, labels={"form": "wide", "column": ["Mass"]})


def test_a_case_of_two_images_states_once_or_is_refused(tmp_path):
    write(tmp_path, Effusion=["1", "1", "1"])
    columns = COLUMNS | {"case_id": "patient"}
    assert table.read(tmp_path, images="t.csv", columns=columns, labels=["Effusion"]).labels.height == 2
    write(tmp_path, Effusion=["1", "1", "0"])
    with pytest.raises(
        InputError, match=r"one state per case and finding; found 2 rows that contradict.*2, pleural_effusion"
    ):
        table.read(tmp_path, images="t.csv", columns=columns, labels=["Effusion"])


def test_the_four_public_sources_give_their_counts(shared):
    root = shared("real/cxr/metadata.csv").parent
    columns = {"image_id": "image", "path": "image", "patient_id": "patient_id", "site": "source", "view": "view",
               "sex": "sex", "age_years": "age", "pairs_within": "collection"}  # fmt: skip
    counts = {}
    for site in ("nih", "guangzhou", "cohen_covid", "tbx11k"):
        source = table.read(root, images="metadata.csv", columns=columns, where={"source": site},
                            labels=["Pneumonia", "COVID-19", "Viral Pneumonia"], keep=["near_dup_group"])  # fmt: skip
        states = source.labels.group_by("finding", "state").len().rows()
        counts[site] = (
            source.images.height,
            source.images["patient_id"].n_unique(),
            {f"{f} {s}": n for f, s, n in states},
        )
    expected = {
        "nih": (2316, 1487, {"pneumonia absent": 1864, "pneumonia present": 452}),
        "guangzhou": (752, 629, {"pneumonia absent": 330, "pneumonia present": 422, "viral_pneumonia absent": 555,
                                 "viral_pneumonia present": 197}),
        "cohen_covid": (131, 79, {"pneumonia absent": 2, "pneumonia present": 126, "covid_19 absent": 39,
                                  "covid_19 present": 79, "viral_pneumonia absent": 34, "viral_pneumonia present": 84}),
        "tbx11k": (137, 137, {}),
    }  # fmt: skip
    assert json.dumps(counts, sort_keys=True) == json.dumps(expected, sort_keys=True)


def test_what_numbers_stand_for_is_said_by_the_user(tmp_path):
    columns = COLUMNS | {"sex": "gender", "view": "projection"}
    write(tmp_path, gender=["1", "2", None])
    with pytest.raises(InputError, match=r"found 2 other spellings \(1, 2\). Say what they stand for"):
        table.read(tmp_path, images="t.csv", columns=columns)
    spellings = {"sex": {"1": "M", "2": "F"}, "view": {"weird": "AP"}}
    images = table.read(tmp_path, images="t.csv", columns=columns, spellings=spellings).images
    assert images["sex"].to_list() == ["M", "F", None]
    assert images["view"].to_list() == ["PA", "AP", "UNKNOWN"]
    with pytest.raises(InputError, match=r"spellings: expected columns that are mapped; found 'sexes'"):
        table.read(tmp_path, images="t.csv", columns=columns, spellings={"sexes": {}})


def test_dates_of_a_table_are_read_in_the_usual_forms(tmp_path):
    columns = COLUMNS | {"acquired": "day"}
    write(tmp_path, day=["31.01.2017", "2017-02-03", "20170204"])
    images = table.read(tmp_path, images="t.csv", columns=columns).images
    assert [str(d) for d in images["acquired"]] == ["2017-01-31", "2017-02-03", "2017-02-04"]
    write(tmp_path, day=["3/4/2017", None, None])
    with pytest.raises(InputError, match="1 dates of which day and month cannot be told"):
        table.read(tmp_path, images="t.csv", columns=columns)
