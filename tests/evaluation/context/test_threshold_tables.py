"""How files of thresholds, and decisions in files of predictions, are read."""

from __future__ import annotations

import polars as pl
import pytest

from overread.errors import InputError
from overread.evaluation.context.threshold_tables import thresholds
from overread.evaluation.join.label_states import decided_pairs
from overread.evaluation.join.layouts import predictions


def written(folder, text: str, name: str = "thresholds.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_long_file_of_thresholds(tmp_path):
    path = written(
        tmp_path, "Model name,Pathology,operating point,cut-off\nacme,Effusion,youden,0.37\nacme,Mass,youden,0.4\n"
    )
    frame = thresholds(path).frame
    assert frame.select("model", "finding", "name", "threshold", "source").rows() == [
        ("acme", "pleural_effusion", "youden", 0.37, "thresholds.csv"),
        ("acme", "mass", "youden", 0.4, "thresholds.csv"),
    ]


def test_a_wide_file_of_thresholds_with_an_empty_cell(tmp_path):
    read = thresholds(written(tmp_path, "model,Effusion,threshold_Mass,remark\nacme,0.37,,x\nbeta,0.2,0.3,y\n"))
    assert read.frame.select("model", "finding", "name", "threshold").sort("model", "finding").rows() == [
        ("acme", "pleural_effusion", "given", 0.37),
        ("beta", "mass", "given", 0.3),
        ("beta", "pleural_effusion", "given", 0.2),
    ]
    assert read.unused == ("remark",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model,Effusion,Mass\nacme,high,0.3\n",
            "finite numbers as thresholds of pleural_effusion; found 1 that are not",
        ),
        ("model,finding,name\nacme,mass,x\n", "a column that names the threshold"),
        ("model,finding,threshold\nacme,mass,0.1\nacme,mass,0.2\n", "repeated"),
        ("model,finding,threshold\nacme,mass,\n", "threshold"),
        ("finding,threshold\nmass,0.2\n", "model"),
    ],
)
def test_a_file_of_thresholds_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        thresholds(written(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "image_id,finding,call\n1,mass,present\n2,mass,absent\n",
        "image_id,finding,decision\n1,mass,1\n2,mass,0\n",
        "image_id,finding,decision\n1,mass,YES\n2,mass,No\n",
        "image_id,mass\n1,present\n2,absent\n",
        "image_id,call_mass\n1,true\n2,false\n",
        "image_id,mass decision\n1,1\n2,0\n",
        "image_id,mass\n1,1\n2,0\n",
    ],
)
def test_decisions_are_read_as_one_and_zero(tmp_path, text):
    frame = predictions(written(tmp_path, text, "acme.csv")).frame
    assert frame.sort("image_id").select("image_id", "finding", "model", "score").rows() == [
        ("1", "mass", "acme", 1.0),
        ("2", "mass", "acme", 0.0),
    ]
    assert decided_pairs(frame, "model") == {("acme", "mass")}


@pytest.mark.parametrize("values", ["1\n2,2", "1\n2,maybe", "1\n2,0.5", "1\n2,uncertain", "1\n2,-1"])
@pytest.mark.parametrize("head", ["image_id,call_mass", "image_id,finding,call"])
def test_decisions_that_are_not_one_and_zero_are_refused_with_examples(tmp_path, head, values):
    values = values.replace("1\n2,", "mass,1\n2,mass,") if "finding" in head else values
    wrong = values.rpartition(",")[2].rpartition("\n")[2]
    with pytest.raises(InputError, match=rf"found 1 other values \('{wrong}'\)"):
        predictions(written(tmp_path, f"{head}\n1,{values}\n"))


def test_words_for_a_missing_decision_are_counted(tmp_path):
    read = predictions(written(tmp_path, "image_id,finding,call\n1,mass,yes\n2,mass,NA\n"))
    assert read.frame.height == 1
    assert [(d.unit, d.count) for d in read.dropped] == [("predictions", 1)]


def test_scores_beside_calls_are_scores(tmp_path):
    read = predictions(written(tmp_path, "image_id,finding,score,call\n1,mass,0.7,yes\n2,mass,0.2,no\n"))
    assert read.frame["score"].to_list() == [0.7, 0.2]
    assert read.unused == ("call",)


def test_own_words_of_decisions(tmp_path):
    path = written(tmp_path, "image_id,finding,call\n1,mass,JA\n2,mass,NEIN\n")
    frame = predictions(path, spellings={"call": {"JA": "present", "NEIN": "absent"}}).frame
    assert frame["score"].to_list() == [1.0, 0.0]


def test_a_constant_column_is_a_decision_only_beside_decisions():
    scores = pl.DataFrame(
        {
            "rater": ["a"] * 4 + ["b"] * 4,
            "finding": ["mass", "mass", "hernia", "hernia"] * 2,
            "score": [0.2, 0.7, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        }
    )
    assert decided_pairs(scores) == {("b", "mass"), ("b", "hernia")}
