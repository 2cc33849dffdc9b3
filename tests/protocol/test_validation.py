"""`check`: every file that the commands take, and what its columns are taken for."""

from pathlib import Path

import pytest

from overread.errors import InputError
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
)  # fmt: skip
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
        ("x.csv", "a,b\nc,d\n", "columns that tell which it is; found 'x'. Say which it is"),
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
