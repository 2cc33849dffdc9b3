"""Wide files: what is taken, what is refused, what is left and listed."""

import gzip
import re

import polars as pl
import pytest

from overread import tables
from overread.errors import InputError
from overread.evaluation.join import layouts
from overread.tables.text.missing import PROGRAMS

HEAD = "Image Index,Patient ID,Patient Age,Patient Gender,View Position,Follow-up #,Effusion,Pleural_Thickening\n"


def write(path, text):
    path.write_text(text)
    return path


def test_labels_of_a_wide_file(tmp_path):
    path = write(tmp_path / "truth.csv", HEAD + "1.png,007,58,F,PA,0,1,0\n2.png,007,58,F,AP,1,-1,\n")
    made = layouts.labels(path)
    assert made.unused == ("Patient ID", "Patient Age", "Patient Gender", "View Position", "Follow-up #")
    assert sorted(made.frame.rows()) == [
        ("1.png", "pleural_effusion", "truth", "present"),
        ("1.png", "pleural_thickening", "truth", "absent"),
        ("2.png", "pleural_effusion", "truth", "uncertain"),
    ]


def test_a_table_that_names_no_finding_is_of_the_stated_one(tmp_path):
    scores = layouts.predictions(write(tmp_path / "acme.csv", "image,score\n1.png,0.25\n2.png,0.5\n"), only="mass")
    assert scores.frame.select("image_id", "finding", "model", "score").rows() == [
        ("1.png", "mass", "acme", 0.25),
        ("2.png", "mass", "acme", 0.5),
    ]
    assert scores.columns == {"image": "image_id", "score": "finding mass"}
    truth = layouts.labels(write(tmp_path / "t.csv", "case,truth,reader\n7,1,a\n7,1,b\n8,0,a\n"), only="mass")
    assert truth.frame.select("case_id", "finding", "state").rows() == [
        ("7", "mass", "present"),
        ("8", "mass", "absent"),
    ]
    assert truth.unused == ("reader",)


def test_a_stated_finding_does_not_rename_columns_of_findings(tmp_path):
    read = layouts.labels(write(tmp_path / "t.csv", "image,Edema,truth\n1.png,1,0\n"), only="mass")
    assert read.frame["finding"].to_list() == ["edema"]
    assert read.unused == ("truth",)


def test_a_table_that_names_no_finding_says_how_to_state_it(tmp_path):
    with pytest.raises(InputError, match=r"The finding of a table that names none is stated by --finding FINDING"):
        layouts.predictions(write(tmp_path / "acme.csv", "image,probability_of_disease\n1.png,0.25\n"))


LISTS = "Image Index,Finding Labels\n1.png,Cardiomegaly|Emphysema\n2.png,No Finding\n3.png, Emphysema\n4.png,\n"


def test_labels_in_one_column_of_lists(tmp_path):
    made = layouts.labels(write(tmp_path / "nih.csv", LISTS))
    stated = {(image, finding): state for image, finding, _, state in made.frame.rows()}
    assert {k for k, state in stated.items() if state == "present"} == {
        ("1.png", "cardiomegaly"),
        ("1.png", "emphysema"),
        ("2.png", "no_finding"),
        ("3.png", "emphysema"),
    }
    assert len(stated) == 9  # three findings of three images; an empty cell states nothing
    assert made.columns == {"Image Index": "case_id", "Finding Labels": "findings"}
    told = {d.reason.codes[0].name: (d.unit, d.count) for d in made.dropped}
    assert told["not_listed_is_absent"] == ("labels", 5)


def test_a_column_of_lists_is_not_used_beside_columns_of_findings(tmp_path):
    made = layouts.labels(write(tmp_path / "t.csv", "Image Index,Finding Labels,Edema\n1.png,Emphysema,1\n"))
    assert made.unused == ("Finding Labels",)
    assert made.frame["finding"].to_list() == ["edema"]


def test_a_listed_word_that_is_no_finding_is_refused(tmp_path):
    path = write(tmp_path / "nih.csv", "Image Index,Finding Labels\n1.png,Cardiomegly|Emphysema\n2.png,Halo sign\n")
    with pytest.raises(InputError, match=r"2 other words \('Cardiomegly', 'Halo sign'\)\. Did you mean 'cardiomegaly'"):
        layouts.labels(path)


def test_images_of_a_public_label_file(tmp_path):
    path = write(tmp_path / "truth.csv", HEAD + "1.png,007,058Y,F,PA,0,1,0\n2.png,8,006M,M,AP,1,0,0\n")
    made = layouts.images(path).frame
    assert made["image_id"].to_list() == ["1.png", "2.png"]
    assert made["case_id"].to_list() == ["1.png", "2.png"]
    assert made["patient_id"].to_list() == ["007", "8"]
    assert made["age_years"].to_list() == [58.0, 0.5]
    assert made["sex"].cast(pl.String).to_list() == ["F", "M"]
    assert made["view"].cast(pl.String).to_list() == ["PA", "AP"]
    assert made["site"].to_list() == ["", ""]
    assert "Follow-up #" in made.columns


def test_a_strange_sex_is_refused_with_the_value(tmp_path):
    path = write(tmp_path / "t.csv", "Image Index,Patient ID,Patient Gender\n1.png,1,X\n")
    with pytest.raises(InputError, match=r"a sex: F, M, female, male, or empty; found 1 other spellings \(X\)"):
        layouts.images(path)


def test_images_without_patients_are_refused(tmp_path):
    path = write(tmp_path / "t.csv", "Image Index,Effusion\n1.png,1\n")
    with pytest.raises(InputError, match="which images are of the same patient"):
        layouts.images(path)


def test_a_label_that_is_no_state_is_refused(tmp_path):
    path = write(tmp_path / "t.csv", "Image Index,Effusion\n1.png,2\n2.png,maybe\n")
    with pytest.raises(
        InputError, match=r"1 \(present\), 0 \(absent\).*2 other values \(2 in pleural_effusion, maybe in"
    ):
        layouts.labels(path)


def test_labels_of_cases_where_the_file_names_them(tmp_path):
    path = write(tmp_path / "t.csv", "study_id,Edema\ns1,1.0\ns2,0.0\n")
    assert layouts.labels(path, source="nlp").frame.rows() == [
        ("s1", "edema", "nlp", "present"),
        ("s2", "edema", "nlp", "absent"),
    ]


def test_predictions_take_the_model_from_the_name_of_a_packed_file(tmp_path):
    path = tmp_path / "acme.csv.gz"
    path.write_bytes(gzip.compress(b"Image Index,Effusion,Edema\n1.png,0.25,\n2.png,0.5,0.75\n"))
    frame = layouts.predictions(path).frame
    assert set(frame["model"]) == {"acme"}
    assert sorted(frame.select("image_id", "finding", "score").rows()) == [
        ("1.png", "pleural_effusion", 0.25),
        ("2.png", "edema", 0.75),
        ("2.png", "pleural_effusion", 0.5),
    ]


def test_predictions_by_case(tmp_path):
    path = write(tmp_path / "acme.csv", "case_id,Edema\nc1,0.5\n")
    assert layouts.predictions(path).frame.columns[0] == "case_id"


@pytest.mark.parametrize("cell", ["inf", "-inf", "high", "unknown", "-"])
def test_a_score_that_is_no_finite_number_is_refused(tmp_path, cell):
    path = write(tmp_path / "acme.csv", f"Image Index,Edema\n1.png,{cell}\n2.png,0.5\n")
    with pytest.raises(InputError, match=rf"finite numbers as scores of edema; found 1 that are not \({cell}\)"):
        layouts.predictions(path)


PRESENT = "present: 1, yes, y, true, t, positive, pos, present; absent: 0, no, n, false, f, negative, neg, absent"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "image_id,Edema\na,present\nb,absent\nc,maybe\n",
            "scores of edema; found 3 that are not (present, absent, maybe)",
        ),
        ("image_id,Edema\na,pos\nb,2\n", "scores of edema; found 1 that are not (pos)"),
        ("image_id,call_Edema\na,1\nb,2\n", "decisions in 'call_Edema'"),
        ("image_id,finding,model,call\na,edema,m,1\nb,edema,m,perhaps\n", "found 1 other values ('perhaps')"),
        (
            "image_id,finding,model,score\na,edema,m,yes\nb,edema,m,0.5\n",
            "numbers in 'score'; found 1 that are not (yes)",
        ),
    ],
)
def test_a_refused_decision_names_every_valid_word(tmp_path, text, found):
    with pytest.raises(InputError) as refused:
        layouts.predictions(write(tmp_path / "acme.csv", text))
    assert found in str(refused.value)
    assert PRESENT in str(refused.value)
    words = re.findall(r"[a-z0-9]+(?=[,;]|$)", PRESENT.replace("present: ", "").replace("absent: ", ""))
    read = layouts.predictions(write(tmp_path / "a.csv", "case_id,call_Edema\n" + "".join(f"{w},{w}\n" for w in words)))
    assert read.frame["score"].to_list() == [1.0] * 8 + [0.0] * 8


def test_a_column_that_nearly_names_a_finding_is_refused(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,Efusion,comment\n1.png,0.5,x\n")
    with pytest.raises(InputError, match=r"found 'Efusion'\. Did you mean 'Effusion'\?"):
        layouts.predictions(path)


def test_a_column_that_names_nothing_is_listed(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,Edema,seconds\n1.png,0.5,3\n")
    assert layouts.predictions(path).unused == ("seconds",)


def test_two_columns_of_one_finding_are_refused(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,Effusion,Pleural Effusion\n1.png,0.5,0.4\n")
    with pytest.raises(InputError, match=r"one column for pleural_effusion; .* \('Effusion', 'Pleural Effusion'\)"):
        layouts.predictions(path)


def test_the_same_image_twice_is_refused(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,Edema\n1.png,0.5\n1.png,0.4\n")
    with pytest.raises(InputError, match=r"one row per Image Index; found 2 rows with a repeated key \(1.png"):
        layouts.predictions(path)


def test_no_finding_at_all(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,p1\n1.png,0.5\n")
    with pytest.raises(InputError, match="Or give a long table"):
        layouts.predictions(path)


def test_long_files_pass_through(tmp_path):
    text = "image_id,finding,model,score\n1,edema,acme,0.5\n"
    frame = layouts.predictions(write(tmp_path / "p.csv", text)).frame
    assert frame.row(0, named=True) == {
        "image_id": "1",
        "finding": "edema",
        "model": "acme",
        "shift": "none",
        "score": 0.5,
    }
    text = "case_id,finding,source,state\n1,edema,expert,present\n"
    assert layouts.labels(write(tmp_path / "l.csv", text)).frame.rows() == [("1", "edema", "expert", "present")]


def test_a_parquet_file_reads_as_its_csv(tmp_path):
    frame = pl.DataFrame({"Image Index": ["1", "2"], "Edema": [0.5, 0.25]})
    frame.write_csv(tmp_path / "acme.csv")
    frame.write_parquet(tmp_path / "acme.parquet")
    assert layouts.predictions(tmp_path / "acme.csv").frame.equals(layouts.predictions(tmp_path / "acme.parquet").frame)


def test_a_table_with_our_columns_may_be_spelt_as_people_do(tmp_path):
    (tmp_path / "t.csv").write_text(
        "image_id,patient_id,site,view,sex,age_years,acquired\n01,1,a,portable,female,057Y,31.01.2017\n"
        "02,2,a,Posteroanterior,M,12M,20170201\n"
    )
    made = layouts.images(tmp_path / "t.csv").frame
    assert made.select("image_id", "view", "sex", "age_years").rows() == [
        ("01", "UNKNOWN", "F", 57.0),
        ("02", "PA", "M", 1.0),
    ]
    assert [str(d) for d in made["acquired"]] == ["2017-01-31", "2017-02-01"]
    assert "portable" in made["source_note"][0]
    made.write_parquet(tmp_path / "t.parquet")
    assert layouts.images(tmp_path / "t.parquet").frame.equals(made)


@pytest.mark.parametrize(
    ("column", "meaning"),
    [
        ("Study", "case_id"),
        ("StudyInstanceUID", "case_id"),
        ("Accession Number", "case_id"),
        ("study-id", "case_id"),
        ("Image Index", "image_id"),
        ("IMAGE_ID", "image_id"),
        ("SOPInstanceUID", "image_id"),
        ("filename", "image_id"),
    ],
)
def test_column_names_of_the_field(tmp_path, column, meaning):
    made = layouts.predictions(write(tmp_path / "acme.csv", f"{column},Edema\n1,0.5\n"))
    assert made.frame.columns[0] == meaning
    assert made.columns == {column: meaning, "Edema": "finding edema"}


@pytest.mark.parametrize(
    "column",
    [
        "prob_Effusion",
        "p_Effusion",
        "Effusion_prob",
        "pred-effusion",
        "score Effusion",
        "EFFUSION_SCORE",
        "p(Pleural Effusion)",
        "logit_effusion",
        "Effusion.pred",
    ],
)
def test_affixes_of_scores(tmp_path, column):
    frame = layouts.predictions(write(tmp_path / "acme.csv", f"Image Index,{column}\n1,0.5\n")).frame
    assert frame["finding"].to_list() == ["pleural_effusion"]


def test_scores_beside_labels_are_not_taken_for_labels(tmp_path):
    path = write(tmp_path / "t.csv", "Image Index,Edema,prob_Edema,prob_Mass,Geschlecht\n1,1,0.5,0.2,W\n")
    made = layouts.labels(path)
    assert made.frame.select("finding", "state").rows() == [("edema", "present")]
    assert made.unused == ("prob_Edema", "prob_Mass", "Geschlecht")
    with pytest.raises(InputError, match=r"one column for edema; found 2 \('Edema', 'prob_Edema'\)"):
        layouts.predictions(path)


def test_two_columns_of_one_meaning_are_refused_unless_one_has_its_name(tmp_path):
    path = write(tmp_path / "acme.csv", "Study,Accession Number,Edema\n1,2,0.5\n")
    with pytest.raises(InputError, match=r"with the meaning 'case_id'; found 2 \('Study', 'Accession Number'\)"):
        layouts.predictions(path)
    path = write(tmp_path / "acme.csv", "Study,case_id,Edema\n1,2,0.5\n")
    assert layouts.predictions(path).frame["case_id"].to_list() == ["2"]


def test_words_of_the_field(tmp_path):
    text = "Study,Patient ID,Sex,View,Age,Edema\n1,1,W,p.a.,155,t\n"
    path = write(
        tmp_path / "t.csv", text.replace("50+", "155") + "2,2,M,AP,NaN,False\n3,3,unk,,45,unk\n4,4,f,LL,045Y,NA\n"
    )
    made = layouts.images(path)
    assert made.frame.select("image_id", "case_id", "sex", "view", "age_years").rows() == [
        ("1", "1", "F", "PA", None),
        ("2", "2", "M", "AP", None),
        ("3", "3", None, "UNKNOWN", 45.0),
        ("4", "4", "F", "LATERAL", 45.0),
    ]
    assert made.frame["source_note"].to_list() == ["age 155 is above 120 years: not stated", None, None, None]
    labels = layouts.labels(path)
    assert labels.frame.select("case_id", "state").rows() == [("1", "present"), ("2", "absent")]
    assert [(d.count, d.examples) for d in labels.dropped] == [(2, "'unk'; 'NA'")]


def test_an_impossible_age_is_missing_wherever_a_table_is_checked():
    frame = pl.DataFrame({"image_id": ["a", "b"], "patient_id": ["1", "2"], "site": "s", "age_years": [155.0, 119.0]})
    made = tables.check(frame, "images")
    assert made["age_years"].to_list() == [None, 119.0]
    assert made["source_note"].to_list() == ["age 155 is above 120 years: not stated", None]


def test_spellings_are_those_of_the_owner(tmp_path):
    path = write(tmp_path / "t.csv", "Image Index,Patient ID,Sex,Erguss\n1,1,1,+\n2,2,2,-\n")
    spellings = {
        "sex": {"1": "M", "2": "F"},
        "state": {"+": "present", "-": "absent"},
        "finding": {"Erguss": "pleural_effusion"},
    }
    assert layouts.images(path, spellings=spellings).frame["sex"].to_list() == ["M", "F"]
    made = layouts.labels(path, spellings=spellings).frame
    assert made.select("finding", "state").rows() == [("pleural_effusion", "present"), ("pleural_effusion", "absent")]
    with pytest.raises(InputError, match="a column 'vew', which spellings refer to"):
        layouts.images(path, spellings={"vew": {"x": "PA"}})


def test_exact_repeats_of_a_row_are_dropped_and_counted(tmp_path):
    long = "case_id,finding,source,state\n1,edema,a,present\n1,edema,a,present\n"
    made = layouts.labels(write(tmp_path / "l.csv", long))
    assert made.frame.height == 1
    assert [(d.unit, d.count, d.examples) for d in made.dropped] == [("rows", 1, "1")]
    with pytest.raises(InputError, match="one row per case_id, finding, source"):
        layouts.labels(write(tmp_path / "l.csv", long[:-8] + "absent\n"))


def test_a_studys_labels_beside_each_of_its_images_are_one(tmp_path):
    made = layouts.labels(write(tmp_path / "l.csv", "Study,Image Index,Edema\ns,1,1\ns,2,1\n"))
    assert made.frame.select("case_id", "state").rows() == [("s", "present")]
    assert [(d.unit, d.count) for d in made.dropped] == [("labels", 1)]


def test_long_files_may_use_the_words_of_public_sets_and_leave_out_their_own_name(tmp_path):
    made = layouts.labels(write(tmp_path / "nlp.csv", "Study,Finding,State\n1,Effusion,yes\n2,Effusion,NaN\n"))
    assert made.frame.rows() == [("1", "pleural_effusion", "nlp", "present")]
    made = layouts.predictions(write(tmp_path / "acme.csv", "Image Index;Finding;Score\n1;Effusion;0,5\n"))
    assert made.frame.select("finding", "model", "score").row(0) == ("pleural_effusion", "acme", 0.5)


@pytest.mark.parametrize(
    ("name", "models"), [("model", ["a", "b"]), ("Model Name", ["a", "b"]), ("Algorithm", ["b", "c"])]
)
def test_a_wide_file_of_several_models_keeps_them_apart(tmp_path, name, models):
    rows = "".join(f"{k}.png,{m},0.{k}\n" for k in (1, 2) for m in models)
    made = layouts.predictions(write(tmp_path / "scores.csv", f"Image Index,{name},Edema\n{rows}"))
    assert sorted(made.frame.select("image_id", "model").rows()) == [(f"{k}.png", m) for k in (1, 2) for m in models]
    assert made.columns[name] == "model"


def test_shifts_of_a_wide_file_are_used(tmp_path):
    rows = "1.png,none,0.5\n1.png,blur,0.4\n2.png,none,0.3\n"
    made = layouts.predictions(write(tmp_path / "acme.csv", f"Image Index,Shift,Edema\n{rows}"))
    assert sorted(made.frame.select("shift", "score").rows()) == [("blur", 0.4), ("none", 0.3), ("none", 0.5)]


def test_a_wide_row_is_unique_per_model(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,model,Edema\n1.png,a,0.5\n1.png,b,0.5\n1.png,a,0.4\n")
    with pytest.raises(
        InputError, match=r"one row per Image Index, model; found 2 rows .*\(1.png a\).*different values"
    ):
        layouts.predictions(path)


def test_sources_of_a_wide_file_are_used(tmp_path):
    path = write(tmp_path / "l.csv", "Image Index,Label Source,Edema\n1.png,report,1\n1.png,expert,0\n")
    assert sorted(layouts.labels(path, source="other").frame.rows()) == [
        ("1.png", "edema", "expert", "absent"),
        ("1.png", "edema", "report", "present"),
    ]


@pytest.mark.parametrize("name", ["Effusion_label", "Reader ID", "Patient ID", "Label Source", "site"])
def test_a_known_column_that_predictions_cannot_use_is_named(tmp_path, name):
    path = write(tmp_path / "acme.csv", f"Image Index,Edema,{name}\n1.png,0.5,1\n")
    assert layouts.predictions(path).unused == (name,)


@pytest.mark.parametrize("word", PROGRAMS)
def test_a_missing_score_is_left_out_and_counted(tmp_path, word):
    cells = f"1.png,0.5,{word}\n2.png, {word.upper()} ,0.25\n"
    made = layouts.predictions(write(tmp_path / "acme.csv", f"Image Index,Edema,Mass\n{cells}"))
    assert made.frame.select("image_id", "score").rows() == [("1.png", 0.5), ("2.png", 0.25)]
    long = "image_id,finding,model,score\n1.png,edema,acme,0.5\n2.png,edema,acme,{w}\n3.png,edema,acme,{w}\n"
    rows = layouts.predictions(write(tmp_path / "long.csv", long.format(w=word)))
    assert rows.frame["image_id"].to_list() == ["1.png"]
    for read in (made, rows):
        assert [(d.count, d.reason) for d in read.dropped] == [
            (2, "cells with a word for a missing value, which hold no score")
        ]


def test_an_empty_score_of_a_long_file_is_refused(tmp_path):
    text = "image_id,finding,model,score\n1.png,edema,acme,0.5\n2.png,edema,acme,\n"
    with pytest.raises(InputError, match="a value in every row of 'score'"):
        layouts.predictions(write(tmp_path / "long.csv", text))
