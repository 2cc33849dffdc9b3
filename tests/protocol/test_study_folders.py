"""The folder of a study: links in it are not followed, the user's files stay, sources are read below --data."""

from __future__ import annotations

import os

import pytest

from overread.errors import InputError
from overread.protocol import run

SIMULATED = """
[study]
title = "T"
training_seeds = [1]
[sources.s]
reader = "simulate"
options = { images_per_site = { alder = 2 }, size = 32 }
[sites]
internal = ["alder"]
[models.m]
sites = ["alder"]
"""
TABLE = """
[study]
title = "T"
[sources.s]
reader = "table"
root = "ROOT"
options.images = "IMAGES"
options.columns = { image_id = "i", patient_id = "i" }
options.defaults = { site = "a" }
[sites]
internal = ["a"]
[models.m]
sites = ["a"]
"""


STAGES = [
    "s",
    "cohort",
    "models",
    "models/m",
    "models/m/seed-1",
    "predictions",
    "predictions/m",
    "evaluation",
    "report",
]


@pytest.mark.parametrize("name", [*STAGES, "protocol.toml", "protocol.json"])
@pytest.mark.parametrize("target", ["precious", "nowhere"])
def test_a_link_in_the_folder_of_the_study_is_refused_before_anything_is_done(tmp_path, name, target):
    (tmp_path / "p.toml").write_text(SIMULATED)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a").write_text("mine")
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(tmp_path / target)
    before = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    with pytest.raises(InputError, match="a link to"):
        run(tmp_path / "p.toml", out)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == before
    assert (tmp_path / "precious" / "a").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("protocol.toml", "[study]\ntitle = 'another'\n"),
        ("protocol.json", "{}"),
        ("protocol.json", "[1]"),
        ("s/mine.txt", "x"),
    ],
)
def test_files_of_the_user_are_not_replaced(tmp_path, name, text):
    (tmp_path / "p.toml").write_text(SIMULATED)
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text(text)
    with pytest.raises(InputError):
        run(tmp_path / "p.toml", out)
    assert (out / name).read_text() == text
    assert not list(out.rglob("*.png"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("root", "images", "said"),
    [
        ("..", "t.csv", "a folder below"),
        ("/etc", "t.csv", "a folder below"),
        ("link", "t.csv", "a folder below"),
        ("a/../..", "t.csv", "a folder below"),
        (".", "../t.csv", "tables below"),
        (".", "/etc/passwd", "tables below"),
        (".", "link/t.csv", "tables below"),
        ("a", "up/t.csv", "tables below"),
    ],
)
def test_roots_and_tables_that_lead_out_of_the_data_are_refused_unless_allowed(tmp_path, root, images, said):
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    (tmp_path / "t.csv").write_text("i\n1\n")
    (data / "link").symlink_to(tmp_path)
    (data / "a" / "up").symlink_to(tmp_path)
    path = tmp_path / "p.toml"
    path.write_text(TABLE.replace("ROOT", root).replace("IMAGES", images))
    with pytest.raises(InputError, match=rf"{said}.*--allow-outside"):
        run(path, tmp_path / "out", data=data)
    with pytest.raises(InputError) as error:  # whatever is wrong with the data then
        run(path, tmp_path / "out2", data=data, allow_outside=True)
    assert "--allow-outside" not in str(error.value)


@pytest.mark.slow
def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "p.toml").write_text(SIMULATED)
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    with pytest.raises(InputError):  # two pictures are no cohort
        run(tmp_path / "p.toml", tmp_path / "out")
    assert "s" in os.listdir(tmp_path / "disk")
