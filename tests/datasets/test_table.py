import json

import numpy as np
import polars as pl
import pytest

from overread import findings
from overread.cohort import merge
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
    with pytest.raises(InputError, match=r"1 other words \(Edema\). .* \{ \"Edema\" = \"edema\" \}"):
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
        "keep: expected columns that the table of images does not have; found 'site', a column of the table of images.",
        "expected path once; found it in `columns` too",
    ):
        assert line in message, line


def test_unreadable_ages_and_sexes_are_refused_together(tmp_path):
    write(tmp_path, age=["old", "5", "6"], gender=["F", "x", "M"])
    columns = COLUMNS | {"age_years": "age", "sex": "gender"}
    with pytest.raises(InputError) as caught:
        table.read(tmp_path, images="t.csv", columns=columns)
    assert "found 1 others (a.png: old)" in str(caught.value)
    assert "found 1 other spellings (x)" in str(caught.value)


def test_unknown_findings_states_and_forms(tmp_path):
    write(tmp_path, Efusion=["1", "0", "0"], Mass=["1", "maybe", "0"])
    with pytest.raises(InputError, match=r"a known finding; found 'Efusion'. Did you mean 'Effusion'\?"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=["Efusion"])
    with pytest.raises(InputError, match=r"label values .* or empty; found 1 others \(b.png, mass: 'maybe'\)"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=["Mass"])
    with pytest.raises(
        InputError, match=r"a form, one of wide, list, long, constant; found 'wid'. Did you mean 'wide'"
    ):
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


@pytest.mark.slow
def test_the_four_public_sources_give_their_counts(shared):
    root = shared("real/cxr/metadata.csv").parent
    columns = {
        "image_id": "image",
        "path": "image",
        "patient_id": "patient_id",
        "site": "source",
        "view": "view",
        "sex": "sex",
        "age_years": "age",
        "pairs_within": "collection",
    }
    counts = {}
    for site in ("nih", "guangzhou", "cohen_covid", "tbx11k"):
        source = table.read(
            root,
            images="metadata.csv",
            columns=columns,
            where={"source": site},
            labels=["Pneumonia", "COVID-19", "Viral Pneumonia"],
            keep=["near_dup_group"],
        )
        states = source.labels.group_by("finding", "state").len().rows()
        counts[site] = (
            source.images.height,
            source.images["patient_id"].n_unique(),
            {f"{f} {s}": n for f, s, n in states},
        )
    expected = {
        "nih": (2316, 1487, {"pneumonia absent": 1864, "pneumonia present": 452}),
        "guangzhou": (
            752,
            629,
            {
                "pneumonia absent": 330,
                "pneumonia present": 422,
                "viral_pneumonia absent": 555,
                "viral_pneumonia present": 197,
            },
        ),
        "cohen_covid": (
            131,
            79,
            {
                "pneumonia absent": 2,
                "pneumonia present": 126,
                "covid_19 absent": 39,
                "covid_19 present": 79,
                "viral_pneumonia absent": 34,
                "viral_pneumonia present": 84,
            },
        ),
        "tbx11k": (137, 137, {}),
    }
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
    with pytest.raises(InputError, match="1 dates whose order of day and month is ambiguous"):
        table.read(tmp_path, images="t.csv", columns=columns)


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def test_a_path_is_made_from_columns_and_a_missing_one_is_the_image_id(tmp_path):
    write(tmp_path, file=["1", "2", "3"])
    for name in ("png/1.png", "png/2.png", "png/3.png", "mask/1.png"):
        picture(tmp_path / name)
    columns = {
        "image_id": "file",
        "patient_id": "patient",
        "site": "hospital",
        "path": "png/{image_id}.png",
        "case_id": "{patient}_{batch}",
    }
    source = table.read(tmp_path, images="t.csv", columns=columns, labels=["Effusion"])
    assert source.images["path"].to_list() == ["png/1.png", "png/2.png", "png/3.png"]
    assert source.images["case_id"].to_list() == ["00000001_x", "2_y", "2_z"]
    assert source.labels["case_id"].to_list() == ["00000001_x", "2_y"]
    assert source.notes == ()
    (tmp_path / "mask/1.png").unlink()
    without = {k: v for k, v in columns.items() if k != "path"}
    source = table.read(tmp_path, images="t.csv", columns=without)
    assert source.images["path"].to_list() == ["png/1.png", "png/2.png", "png/3.png"]
    assert source.notes[0].startswith("3 files were found by their name without folder or extension ('1' is png/1.png")
    with pytest.raises(InputError, match=r"columns of the table in 'png/{imge}.png'; found '{imge}'"):
        table.read(tmp_path, images="t.csv", columns=columns | {"path": "png/{imge}.png"})


def test_only_what_is_there_of_a_larger_set(tmp_path):
    write(tmp_path)
    picture(tmp_path / "b.png")
    options = {"images": "t.csv", "columns": COLUMNS, "labels": ["Effusion"]}
    assert table.read(tmp_path, **options).images.height == 3
    source = table.read(tmp_path, **options, subset=True)
    assert source.images["image_id"].to_list() == ["b.png"]
    assert source.labels["case_id"].to_list() == ["b.png"]
    assert source.excluded.select("path", "site", "reason", "unreadable").rows() == [
        (name, site, "no file there: the folder holds a part of the set", False)
        for name, site in (("a.png", "north"), ("c.png", "south"))
    ]
    (tmp_path / "b.png").unlink()
    with pytest.raises(InputError, match=r"files of some of the images below the root; found none of 3 \(a.png"):
        table.read(tmp_path, **options, subset=True)


def test_labels_of_a_long_file_go_with_the_images_that_are_not_there(tmp_path):
    write(tmp_path)
    picture(tmp_path / "b.png")
    (tmp_path / "l.csv").write_text("case_id,finding,state\na.png,Mass,1\nb.png,Mass,0\nother,Mass,0\n")
    labels = {"form": "long", "file": "l.csv"}
    source = table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=labels, subset=True)
    assert source.labels["case_id"].to_list() == ["b.png", "other"]


def test_a_constant_label_and_constant_columns(tmp_path):
    write(tmp_path)
    columns = {"image_id": "file", "patient_id": "patient"}
    labels = {"form": "constant", "findings": {"Tuberculosis": "present", "No Finding": "absent"}, "source": "owner"}
    constants = {"site": "x", "view": "posteroanterior", "collection": "A"}
    source = table.read(tmp_path, images="t.csv", columns=columns, defaults=constants, labels=labels)
    assert source.images.select("site", "view", "collection").unique().rows() == [("x", "PA", "A")]
    assert source.labels.height == 6
    assert source.labels.filter(case_id="c.png").rows() == [
        ("c.png", "tuberculosis", "owner", "present"),
        ("c.png", "no_finding", "owner", "absent"),
    ]
    for wrong, message in (
        ({"Mass": "yes"}, "states present, absent, uncertain; found 1 others"),
        ({}, "findings and"),
    ):
        with pytest.raises(InputError, match=message):
            table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=labels | {"findings": wrong})
    with pytest.raises(InputError, match=r"defaults: .*found 'viw'. Did you mean 'view'"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, defaults={"viw": "PA"})


def test_a_map_of_the_words_of_a_table_to_findings(tmp_path):
    write(tmp_path, Effusion=["Pneumonia/Viral/COVID-19", "Normal", "todo"])
    words = {"Pneumonia/Viral/COVID-19": ["covid_19", "pneumonia"], "Normal": "no_finding", "todo": ""}
    labels = {"form": "list", "column": "Effusion", "vocabulary": words}
    source = table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=labels)
    present = source.labels.filter(pl.col("state").cast(pl.String) == "present").select("case_id", "finding")
    assert present.rows() == [("a.png", "covid_19"), ("a.png", "pneumonia"), ("b.png", "no_finding")]
    assert source.labels.height == 9
    with pytest.raises(InputError, match=r"found 1 other words \(todo\). Add each .*: \{ \"todo\" = \"\" \}."):
        table.read(
            tmp_path,
            images="t.csv",
            columns=COLUMNS,
            labels=labels | {"vocabulary": {w: f for w, f in words.items() if f}},
        )
    (tmp_path / "l.csv").write_text("case_id,finding,state\na.png,TB,1\nb.png,odd,1\n")
    long = {"form": "long", "file": "l.csv", "vocabulary": {"TB": "tuberculosis", "odd": ""}}
    both = table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=[labels, long | {"source": "lab"}]).labels
    assert both.filter(source="lab").select("case_id", "finding").rows() == [("a.png", "tuberculosis")]
    with pytest.raises(InputError, match=r"findings of the vocabulary; found 1 other words \(odd\)"):
        table.read(tmp_path, images="t.csv", columns=COLUMNS, labels=long | {"vocabulary": {"TB": "tuberculosis"}})


def test_an_encoding_and_ages_that_are_approximate(tmp_path):
    text = "file,patient,hospital,age,part\na.png,1,Köln,early 40s,Thorax\nb.png,2,Köln,50+,Hand\nc.png,3,Köln,7,\n"
    (tmp_path / "t.csv").write_bytes(text.encode("cp1252"))
    columns = COLUMNS | {"age_years": "age", "body_part": "part"}
    images = table.read(tmp_path, images="t.csv", columns=columns, encoding="cp1252").images
    assert images["site"].unique().to_list() == ["Köln"]
    assert images["age_years"].to_list() == [42.0, 50.0, 7.0]
    assert images["body_part"].to_list() == ["CHEST", "HAND", None]
    assert images["source_note"].to_list() == [
        "age 'early 40s' is approximate: 42 is taken",
        "age '50+' is approximate: 50 is taken",
        "body part not stated",
    ]
    with pytest.raises(InputError, match=r"an encoding that Python knows; found 'cp12520'"):
        table.read(tmp_path, images="t.csv", columns=columns, encoding="cp12520")


@pytest.mark.slow
def test_computed_tomography_of_a_table_is_left_out_by_the_cohort(tmp_path):
    from PIL import Image

    from overread.cohort import CohortConfig, build
    from overread.images.recipe.pixel_recipe import Recipe

    write(tmp_path, modality=["X-ray", "CT", ""])
    for n, name in enumerate("abc"):
        values = np.arange(81, dtype=np.uint8).reshape(9, 9) + 60 * n
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    source = table.read(tmp_path, images="t.csv", columns=COLUMNS | {"modality": "modality"})
    assert source.images["modality"].to_list() == ["RG", "CT", None]
    cohort = build(source, tmp_path, tmp_path / "out", CohortConfig(recipe=Recipe(8), fractions=(1, 0, 0)))
    assert cohort.images["image_id"].to_list() == ["a.png", "c.png"]
    flow = cohort.flow.filter(step="modality", site="").select("reason", "unit", "count").rows()
    assert flow == [("modality CT", "images", 1), ("", "images", 2), ("", "cases", 2), ("", "patients", 2)]


def test_folders_as_classes_need_no_table(tmp_path):
    files = ("NORMAL/IM-0115-0001.jpeg", "PNEUMONIA/person1_bacteria_1.jpeg", "PNEUMONIA/person1_bacteria_2.jpeg")
    for name in (*(f"train/{file}" for file in files), "test/NORMAL/IM-0001-0001.jpeg", "train/notes.txt"):
        picture(tmp_path / name)
    columns = {"image_id": "stem", "patient_id": "{stem:^(?:person|IM-)[0-9]+}"}
    labels = {"form": "list", "column": "folder", "vocabulary": {"NORMAL": "no_finding", "PNEUMONIA": "pneumonia"}}
    options = {"columns": columns, "labels": labels, "defaults": {"site": "guangzhou"}}
    source = table.read(tmp_path, images="train/*/*.jpeg", **options)
    assert source.images.select("image_id", "patient_id", "path").rows() == [
        ("IM-0115-0001", "IM-0115", "train/NORMAL/IM-0115-0001.jpeg"),
        ("person1_bacteria_1", "person1", "train/PNEUMONIA/person1_bacteria_1.jpeg"),
        ("person1_bacteria_2", "person1", "train/PNEUMONIA/person1_bacteria_2.jpeg"),
    ]
    assert source.labels.filter(case_id="IM-0115-0001").select("finding", "state").rows() == [
        ("no_finding", "present"),
        ("pneumonia", "absent"),
    ]
    with pytest.raises(InputError, match=r"files of the pattern 'val/\*'; found none of 4. Images .* are test/"):
        table.read(tmp_path, images="val/*", **options)
    with pytest.raises(InputError, match=r"columns, patient_id: expected a regular expression; found '\(\['"):
        table.read(tmp_path, images="train/*", **options | {"columns": columns | {"patient_id": "{stem:([}"}})
    with pytest.raises(InputError, match="a value in every row of 'patient_id'"):
        table.read(
            tmp_path, images="train/*", **options | {"columns": columns | {"patient_id": "{stem:^person[0-9]+}"}}
        )


LONG = {"form": "long", "file": "labels.csv"}


@pytest.mark.slow
@pytest.mark.parametrize("case", [None, "patient"])
def test_one_file_of_labels_serves_sources_that_where_tells_apart(tmp_path, case):
    write(tmp_path, patient=["1 ", "2", "3"])
    names = ("1", "2", "3", "9") if case else ("a.png", "b.png", "c.png", "lost.png")
    rows = {"case_id": names, "finding": ["Effusion"] * 4, "state": ["1", "0", "1", "1"]}
    pl.DataFrame(rows).write_csv(tmp_path / "labels.csv")
    columns = COLUMNS | ({"case_id": case} if case else {})
    read = [
        table.read(tmp_path, images="t.csv", columns=columns, where={"hospital": h}, labels=LONG)
        for h in ("north", "south")
    ]
    assert [s.labels["case_id"].to_list() for s in read] == [[*names[:2], names[3]], [names[2], names[3]]]
    for source, left in zip(read, (1, 2), strict=True):
        assert f"{left:,} labels are about rows of the table that `where` leaves out: left out" in source.notes
    whole = merge.merged(merge.rooted(read, [tmp_path] * 2, vocabulary=findings.load())[0])
    assert whole.labels["case_id"].to_list() == [*names[:2], names[3], names[2]]  # one the table lacks counts once
    every = table.read(tmp_path, images="t.csv", columns=columns, labels=LONG)
    assert every.labels.height == 4
    assert not any("leaves out" in str(note) for note in every.notes)
