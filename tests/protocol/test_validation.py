"""`check`: every file that the commands take, and what its columns are taken for."""

from pathlib import Path

import pytest

from overread.errors import InputError
from overread.evaluation import EvaluationConfig
from overread.protocol import check

ROOT = Path(__file__).parents[2]


def said(tmp_path, name, text, table=""):
    (tmp_path / name).write_text(text)
    return "\n".join(check(tmp_path / name, table))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("truth.csv", "Image Index,Patient ID,Edema\n1,1,1\n", ["table of images", "table of labels", "finding edema"]),
        ("acme.csv", "Image Index,prob_Edema\n1,0.5\n", ["a table of predictions", "'prob_Edema': finding edema"]),
        ("r.csv", "Study,rad_id,Edema\n1,a,YES\n", ["a table of reads", "'rad_id': reader", "'Study': case_id"]),
        ("x.csv", "case_id,finding,source,state\n1,edema,a,present\n", ["a table of labels"]),
        ("regions.csv", "image_id,finding,source,x,y,width,height,note\n1,edema,a,1,1,1,1,x\n", ["'note': not used"]),
        ("c.toml", "[evaluation]\nseed = 3\n[cohort]\nviews = ['PA']\n", ["sections cohort, evaluation"]),
        ("c.toml", "replicates = 300\n", ["section evaluation"]),
        ("c.toml", "[options]\nsite = 'a'\n", ["checked by the reader"]),
    ],
)
def test_what_commands_accept_is_accepted(tmp_path, name, text, found):
    text = said(tmp_path, name, text)
    for words in found:
        assert words in text


@pytest.mark.parametrize("path", sorted((ROOT / "protocols").glob("*.toml")), ids=lambda p: p.name)
def test_the_protocols_that_ship_are_accepted(path):
    assert "protocol is valid" in check(path)[0] or "a configuration" in check(path)[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "a,b\nc,d\n", "columns that identify the table; found 'x'. Say which it is"),
        ("c.toml", "[evaluation]\nseeed = 3\n[training]\nepoch = 2\n", "2 problems"),
        ("c.toml", "[evaluation]\nseed = 3\n[evalution]\n", "expected sections [cohort], .*found others (evalution)"),
        ("c.toml", "[evaluation]\nmissing_allowed = 2\n", "a share from 0 to 1"),
        ("c.toml", "replicats = 300\n", "Did you mean 'replicates'?"),
    ],
)
def test_what_commands_refuse_is_refused(tmp_path, name, text, message):
    with pytest.raises(InputError) as caught:
        said(tmp_path, name, text)
    for part in message.split(".*"):
        assert part in str(caught.value)


SPELLINGS = {"state": {"Befund": "present", "oB": "absent"}, "finding": {"Stauung": "edema"}, "call": {"ja": "present"}}


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("labels.csv", "image_id,Stauung\n1,Befund\n2,oB\n", "'Stauung': finding edema"),
        ("truth.csv", "Image Index,Patient ID,Stauung\n1,1,Befund\n2,2,oB\n", "table of labels"),
        ("x.csv", "case_id,finding,source,state\n1,Stauung,a,Befund\n", "table of labels"),
        ("reads.csv", "case_id,reader,Stauung\n1,a,ja\n", "table of reads"),
        ("acme.csv", "image_id,prob_Edema\n1,0.5\n", "table of predictions"),
    ],
)
def test_words_of_the_configuration_are_accepted_as_evaluate_accepts_them(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    config = EvaluationConfig(spellings=SPELLINGS)
    assert found in "\n".join(check(tmp_path / name, config=config))
    if name == "truth.csv":  # without the words it is a table of images alone
        assert found not in "\n".join(check(tmp_path / name))
    elif name != "acme.csv":
        with pytest.raises(InputError):
            check(tmp_path / name)


def test_what_evaluate_refuses_with_the_configuration_is_refused(tmp_path):
    (tmp_path / "images.csv").write_text("image_id,patient_id,site,sex\n1,1,north,w\n")
    config = EvaluationConfig(spellings={"sex": {"w": "F"}})
    assert "no problem found" in check(tmp_path / "images.csv", config=config)[0]
    for wrong in (EvaluationConfig(external_sites=("nord",)), EvaluationConfig(spellings={"gender": {"w": "F"}})):
        with pytest.raises(InputError):
            check(tmp_path / "images.csv", config=wrong)
    (tmp_path / "c.toml").write_text("[evaluation]\nseed = 3\n")
    with pytest.raises(InputError, match="--config"):
        check(tmp_path / "c.toml", config=config)


def test_columns_of_findings_that_no_table_of_the_file_uses_are_named(tmp_path):
    text = "image_id,patient_id,Edema,prob_Mass,ward\n1,1,1,0.3,A\n"
    (tmp_path / "images.csv").write_text(text)
    lines = check(tmp_path / "images.csv")
    unused = {c for c in ("Edema", "prob_Mass", "ward") if f"  column '{c}': not used" in lines}
    assert unused == {"Edema", "prob_Mass", "ward"}
    grouped = check(tmp_path / "images.csv", config=EvaluationConfig(subgroups=("ward",)))
    assert "  column 'ward': not used" not in grouped
    (tmp_path / "truth.csv").write_text(text)
    both = check(tmp_path / "truth.csv")
    assert "  column 'Edema': not used" not in both
    assert "  column 'prob_Mass': not used" in both
