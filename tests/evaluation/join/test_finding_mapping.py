"""Mappings between vocabularies: what is refused, what stands for a finding, what the parts say of the whole."""

import polars as pl
import pytest

from overread import findings, tables
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.finding_mapping import mapped_scores, mappings, with_wholes

CHEST = findings.load()

LESION = {"finding": "lung_lesion", "from": ["nodule", "mass"], "name": "either", "whole": True}


def scores(rows):
    return pl.DataFrame(rows, schema=["case_id", "finding", "rater", "score"], orient="row")


def labels(rows):
    frame = pl.DataFrame(rows, schema=["case_id", "finding", "state"], orient="row")
    return tables.check(frame.with_columns(source=pl.lit("nih")), "labels")


def test_the_maximum_of_the_parts_stands_for_the_finding():
    given = scores([("1", "nodule", "a", 0.2), ("1", "mass", "a", 0.7), ("2", "nodule", "a", 0.5),
                    ("2", "mass", "a", 0.1), ("3", "nodule", "a", 0.9), ("1", "nodule", "b", 0.3)])  # fmt: skip
    missing = []
    made = mapped_scores(given, mappings([LESION], vocabulary=CHEST), missing=missing)
    assert sorted(made.rows()) == [("1", "lung_lesion", "a [either]", 0.7), ("2", "lung_lesion", "a [either]", 0.5)]
    assert missing == ["b [either] lacks mass"]  # and case 3 of model a, whose mass is not scored, has no score


def test_a_source_that_states_the_parts_states_the_whole():
    given = labels(
        [
            ("1", "nodule", "present"),
            ("1", "mass", "absent"),
            ("2", "nodule", "absent"),
            ("2", "mass", "absent"),
            ("3", "nodule", "absent"),
            ("4", "nodule", "present"),
            ("5", "nodule", "uncertain"),
            ("5", "mass", "absent"),
            ("6", "nodule", "uncertain"),
            ("6", "mass", "present"),
            ("7", "nodule", "present"),
            ("7", "mass", "absent"),
            ("7", "lung_lesion", "absent"),
        ]
    )
    made = with_wholes(given, mappings([LESION], vocabulary=CHEST)).filter(finding="lung_lesion")
    assert dict(made.select("case_id", pl.col("state").cast(pl.String)).rows()) == {
        "1": "present",
        "2": "absent",
        "4": "present",
        "5": "uncertain",
        "6": "present",
        "7": "absent",
    }
    assert with_wholes(given, mappings([{**LESION, "whole": False}], vocabulary=CHEST)).equals(given)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"finding": "lung_lesoin", "from": ["mass"]}, "names of the vocabulary; found 'lung_lesoin'. Did you mean"),
        ({"finding": "lung_lesion", "from": ["mas"]}, r"found 'mas'. Did you mean 'mass'\?"),
        ({"finding": "lung_lesion", "form": ["mass"]}, r"keys finding, from, name, whole; found 'form'. Did you mean"),
        ({"finding": "lung_lesion"}, "as a list, the findings that it is scored from"),
        ({"finding": "lung_lesion", "from": "mass"}, "as a list, the findings that it is scored from"),
        ({"finding": "lung_lesion", "from": ["mass", "mass"]}, "each part once"),
        ({"finding": "lung_lesion", "from": ["mass"], "whole": "yes"}, "whole = true or false"),
        ({"finding": "lung_lesion", "from": ["mass"], "name": "a;b"}, "a name without ;"),
    ],
)
def test_what_a_mapping_may_not_say(stated, message):
    with pytest.raises(InputError, match=message):
        EvaluationConfig(mapping=(stated,))


def test_two_mappings_of_a_name_or_of_a_whole_are_refused():
    with pytest.raises(InputError, match="a name for every mapping of a finding"):
        EvaluationConfig(mapping=(LESION, {**LESION, "whole": False}))
    with pytest.raises(InputError, match="one mapping of a finding that makes the whole"):
        EvaluationConfig(mapping=(LESION, {**LESION, "name": "other"}))
