"""A report replaces an earlier report and nothing else."""

from __future__ import annotations

import json
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread import reporting
from overread.errors import InputError
from overread.reporting.report_folder import check_report_folder, replacing_report
from overread.tables.storage import made as own


@pytest.fixture(scope="module")
def first(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    reporting.write(made.evidence, folder, **made.arguments())
    return folder


@pytest.mark.slow
def test_the_list_names_every_file_of_the_report(first):
    assert set(own.listed(first)) == {name for name in own.held(first) if name not in (own.MADE, "run.json")}
    assert own.foreign(first) == ["run.json"]  # written when the report is done; a stage lists it after that


@pytest.mark.parametrize("name", ["report.html", "estimates.csv", "tables.docx", "methods.md", "figures/a.svg"])
def test_files_that_no_report_wrote_are_refused_and_stay(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"other files that it would replace \({re.escape(name)}\)"):
        write(tmp_path, [name])
    if "/" not in name:
        with pytest.raises(InputError, match="an earlier report"):
            check_report_folder(tmp_path)
    assert own.held(tmp_path) == [name]


def write(folder, names):
    with replacing_report(folder, names):
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_text("ours")


def test_figures_of_an_earlier_report_go_and_those_of_the_user_stay(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("figures/mine.svg", "figures/mine.csv", "notes.txt"):
        (tmp_path / name).write_text("mine")
    write(tmp_path, ["report.html", "figures/a.svg", "figures/a.csv", "model-cards/m.md"])
    write(tmp_path, ["report.html", "figures/b.svg"])
    assert own.held(tmp_path) == [
        "figures/b.svg",
        "figures/mine.csv",
        "figures/mine.svg",
        "made.json",
        "notes.txt",
        "report.html",
    ]


@pytest.mark.parametrize("folder", ["figures", "model-cards"])
def test_a_link_in_place_of_a_folder_is_not_followed(tmp_path, folder):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a.svg").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / folder).symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="a link to"):
        write(tmp_path / "out", [f"{folder}/b.svg"])
    assert os.listdir(tmp_path / "precious") == ["a.svg"]


ELSEWHERE = [
    "../precious.svg",
    "figures/../../precious.svg",
    "figures/a/../../../precious.svg",
    "/tmp/x.svg",
    "report.html",
    "notes.txt",
    "figures/x",
    "figures/",
    ".",
    "figures",
]


@given(st.lists(st.sampled_from(ELSEWHERE)))
@settings(max_examples=30)
def test_a_list_that_names_other_files_removes_none_of_them(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("list")
    (folder / "precious.svg").write_text("mine")
    out = folder / "out"
    (out / "figures").mkdir(parents=True)
    for name in ("notes.txt", "figures/x"):
        (out / name).write_text("mine")
    (out / own.MADE).write_text(json.dumps({"files": dict.fromkeys(names, 4)}))
    write(out, ["figures/b.svg"])
    assert {n: (folder / n).read_text() for n in ("precious.svg", "out/notes.txt", "out/figures/x")} == dict.fromkeys(
        ("precious.svg", "out/notes.txt", "out/figures/x"), "mine"
    )


def test_a_report_that_was_killed_is_written_again(tmp_path):
    def killed():
        with replacing_report(tmp_path, ["report.html", "figures/a.svg"]):
            (tmp_path / "report.html").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    write(tmp_path, ["report.html"])
    assert (tmp_path / "report.html").read_text() == "ours"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["longer", "as long", "a link"])
def test_a_report_that_a_person_changed_is_not_replaced(made, tmp_path, how):
    reporting.write(made.evidence, tmp_path / "out", **made.arguments())
    path = tmp_path / "out" / "methods.md"
    text = path.read_text(encoding="utf-8")
    changed = text + "mine" if how == "longer" else text.swapcase()
    if how == "a link":
        path.unlink()
        (tmp_path / "mine.md").write_text(changed, encoding="utf-8")
        path.symlink_to(tmp_path / "mine.md")
    else:
        path.write_text(changed, encoding="utf-8")
    with pytest.raises(InputError, match=r"methods\.md: (changed|a link in its place)\)\. Move what you changed"):
        reporting.write(made.evidence, tmp_path / "out", **made.arguments())
    assert path.read_text(encoding="utf-8") == changed
    path.unlink()
    reporting.write(made.evidence, tmp_path / "out", **made.arguments())
    assert path.read_text(encoding="utf-8") == text
