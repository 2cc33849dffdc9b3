"""Wide files: what is taken, what is refused, what is left and listed."""

import gzip

import polars as pl
import pytest

from overread.errors import InputError
from overread.evaluate import wide

HEAD = "Image Index,Patient ID,Patient Age,Patient Gender,View Position,Follow-up #,Effusion,Pleural_Thickening\n"


def write(path, text):
    path.write_text(text)
    return path


def test_labels_of_a_wide_file(tmp_path):
    path = write(tmp_path / "truth.csv", HEAD + "1.png,007,58,F,PA,0,1,0\n2.png,007,58,F,AP,1,-1,\n")
    made = wide.labels(path)
    assert made.unused == ("Follow-up #",)
    assert sorted(made.frame.rows()) == [
        ("1.png", "pleural_effusion", "truth", "present"),
        ("1.png", "pleural_thickening", "truth", "absent"),
        ("2.png", "pleural_effusion", "truth", "uncertain"),
    ]


def test_images_of_a_public_label_file(tmp_path):
    path = write(tmp_path / "truth.csv", HEAD + "1.png,007,058Y,F,PA,0,1,0\n2.png,8,006M,M,AP,1,0,0\n")
    made = wide.images(path).frame
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
    with pytest.raises(InputError, match=r"one of 'F', 'M' in 'sex'; found 1 row \(X\)"):
        wide.images(path)


def test_images_without_patients_are_refused(tmp_path):
    path = write(tmp_path / "t.csv", "Image Index,Effusion\n1.png,1\n")
    with pytest.raises(InputError, match="which images are of one patient"):
        wide.images(path)


def test_a_label_that_is_no_state_is_refused(tmp_path):
    path = write(tmp_path / "t.csv", "Image Index,Effusion\n1.png,2\n2.png,maybe\n")
    with pytest.raises(
        InputError, match=r"1 \(present\), 0 \(absent\).*2 other values \(2 in pleural_effusion, maybe in"
    ):
        wide.labels(path)


def test_labels_of_cases_where_the_file_names_them(tmp_path):
    path = write(tmp_path / "t.csv", "study_id,Edema\ns1,1.0\ns2,0.0\n")
    assert wide.labels(path, source="nlp").frame.rows() == [
        ("s1", "edema", "nlp", "present"), ("s2", "edema", "nlp", "absent"),
    ]  # fmt: skip


def test_predictions_take_the_model_from_the_name_of_a_packed_file(tmp_path):
    path = tmp_path / "acme.csv.gz"
    path.write_bytes(gzip.compress(b"Image Index,Effusion,Edema\n1.png,0.25,\n2.png,0.5,0.75\n"))
    frame = wide.predictions(path).frame
    assert set(frame["model"]) == {"acme"}
    assert sorted(frame.select("image_id", "finding", "score").rows()) == [
        ("1.png", "pleural_effusion", 0.25), ("2.png", "edema", 0.75), ("2.png", "pleural_effusion", 0.5),
    ]  # fmt: skip


def test_predictions_by_case(tmp_path):
    path = write(tmp_path / "acme.csv", "case_id,Edema\nc1,0.5\n")
    assert wide.predictions(path).frame.columns[0] == "case_id"


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "high"])
def test_a_score_that_is_no_finite_number_is_refused(tmp_path, cell):
    path = write(tmp_path / "acme.csv", f"Image Index,Edema\n1.png,{cell}\n2.png,0.5\n")
    with pytest.raises(InputError, match=rf"finite numbers as scores of edema; found 1 that are not \({cell}\)"):
        wide.predictions(path)


def test_a_column_that_nearly_names_a_finding_is_refused(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,Efusion,comment\n1.png,0.5,x\n")
    with pytest.raises(InputError, match=r"found 'Efusion'\. Did you mean 'effusion'\?"):
        wide.predictions(path)


def test_a_column_that_names_nothing_is_listed(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,Edema,seconds\n1.png,0.5,3\n")
    assert wide.predictions(path).unused == ("seconds",)


def test_two_columns_of_one_finding_are_refused(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,Effusion,Pleural Effusion\n1.png,0.5,0.4\n")
    with pytest.raises(InputError, match="one column per finding"):
        wide.predictions(path)


def test_the_same_image_twice_is_refused(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,Edema\n1.png,0.5\n1.png,0.4\n")
    with pytest.raises(
        InputError, match=r"one row per Image Index; found 2 rows whose key stands more than once \(1.png"
    ):
        wide.predictions(path)


def test_no_finding_at_all(tmp_path):
    path = write(tmp_path / "acme.csv", "Image Index,p1\n1.png,0.5\n")
    with pytest.raises(InputError, match="Or give a long table"):
        wide.predictions(path)


def test_long_files_pass_through(tmp_path):
    text = "image_id,finding,model,score\n1,edema,acme,0.5\n"
    frame = wide.predictions(write(tmp_path / "p.csv", text)).frame
    assert frame.row(0, named=True) == {
        "image_id": "1", "finding": "edema", "model": "acme", "shift": "none", "score": 0.5,
    }  # fmt: skip
    text = "case_id,finding,source,state\n1,edema,expert,present\n"
    assert wide.labels(write(tmp_path / "l.csv", text)).frame.rows() == [("1", "edema", "expert", "present")]


def test_a_parquet_file_reads_as_its_csv(tmp_path):
    frame = pl.DataFrame({"Image Index": ["1", "2"], "Edema": [0.5, 0.25]})
    frame.write_csv(tmp_path / "acme.csv")
    frame.write_parquet(tmp_path / "acme.parquet")
    assert wide.predictions(tmp_path / "acme.csv").frame.equals(wide.predictions(tmp_path / "acme.parquet").frame)
