import importlib
import re
from pathlib import Path

import polars as pl
import pytest

from overread import datasets
from overread.datasets.source_files import source_tables
from overread.errors import InputError

ABOUT = source_tables.About("The Set", "", "", "", "", "", marks=("the_set.csv",), images=100, patients=50)


def test_known_sets_say_who_made_them_and_on_which_terms():
    sets = source_tables.known()
    assert "NIH ChestX-ray14" in {a.title for a in sets}
    for about in sets:
        assert all((about.title, about.citation, about.url, about.licence, about.terms, about.marks)), about.title
    assert len({a.title for a in sets}) == len(sets)


def test_no_two_sets_are_known_by_one_file():
    marks = [m for a in source_tables.known() for m in a.marks]
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, r"gone: expected a folder; found nothing there. Check the path."),
        (lambda p: p.write_bytes(b"PK\x03\x04rest"), r"a folder; found an archive. Unpack it and give the folder."),
        (lambda p: p.write_text("a,b"), r"a folder; found a file. Give the folder that holds it."),
        (lambda p: p.mkdir(), r"the_set.csv of The Set; found an empty folder"),
        (lambda p: [p.mkdir(), (p / "a.txt").touch()], r"the_set.csv of The Set; found a.txt"),
        (lambda p: [p.mkdir(), (p / "a.zip").touch()], r"found an archive that was not unpacked \(a.zip\)"),
        (lambda p: [p.mkdir(), (p / "Data_Entry_2017.csv").touch()], "found a folder that looks like NIH ChestX-ray14"),
    ],
)
def test_what_stands_in_place_of_the_folder_is_said(tmp_path, make, message):
    make(tmp_path / "gone")
    with pytest.raises(InputError, match=message):
        source_tables.table(tmp_path / "gone", ["the_set.csv"], [], ABOUT)


def test_columns_that_changed_are_said_all_at_once(tmp_path):
    (tmp_path / "the_set.csv").write_text("image,Ages,x\n1,2,3\n")
    with pytest.raises(InputError, match=r"the columns of The Set; found 2 missing \(Age, sex\). Did you mean 'Ages'"):
        source_tables.table(tmp_path, ["the_set.csv"], ["image", "Age", "sex"], ABOUT)


def test_a_header_alone_and_empty_cells_are_said(tmp_path):
    (tmp_path / "the_set.csv").write_text("image,age\n")
    with pytest.raises(InputError, match="the rows of The Set; found a header alone"):
        source_tables.table(tmp_path, ["the_set.csv"], ["image"], ABOUT)
    frame = pl.DataFrame({"a": ["1", "", None], "b": ["x", " ", "y"], "c": [None, None, None]})
    with pytest.raises(InputError, match=r"(?s)row of 'a'; found 2 empty cells \(line 3, line 4\).*'b'; found 1 empty"):
        source_tables.check_filled(frame, "t.csv", ["a", "b"])


def test_names_with_spaces_umlauts_and_newlines_are_found(tmp_path):
    odd = ["a b.png", "größe.png", "new\nline.png", "plain.PNG"]
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in odd:
        (tmp_path / "deep" / "er" / name).touch()
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    found = source_tables.paths(tmp_path, (".png",))
    assert found == {name: f"deep/er/{name}" for name in odd}


def test_counts_are_noted_only_where_the_set_looks_whole():
    def images(n, patients):
        return pl.DataFrame({"image_id": range(n), "patient_id": [i % patients for i in range(n)]})

    assert source_tables.counts_note(images(100, 50), ABOUT) == ()
    assert source_tables.counts_note(images(10, 5), ABOUT) == ()
    assert source_tables.counts_note(images(101, 49), ABOUT) == (
        "The Set looks whole, but has 101 images where 100 were published",
        "The Set looks whole, but has 49 patients where 50 were published",
    )


PAGE = Path(__file__).resolve().parents[3] / "docs/reference/sources.md"


def _modules():
    made = {name: importlib.import_module(f"overread.datasets.{name}") for name in datasets.names()}
    return {name: module for name, module in made.items() if hasattr(module, "ABOUT")}


def _row(name, about):
    title = f"[{about.title}]({about.url})" + (f", [doi](https://doi.org/{about.doi})" if about.doi else "")
    counts = [f"{n:,}" if n else "" for n in (about.images, about.patients)]
    return " | ".join([f"| `{name}`", title, about.licence, about.terms, *counts])


def test_the_page_of_sources_says_what_every_source_says_of_itself():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    public = [line for line in rows if line.count(" | ") == 6]
    assert [line.rsplit(" | ", 1)[0] for line in public] == [_row(n, m.ABOUT) for n, m in _modules().items()]
    assert {re.match(r"\| `(\w+)`", line).group(1) for line in rows} == set(datasets.names())


def test_the_sources_of_labels_named_on_the_page_are_those_of_the_modules():
    for line in PAGE.read_text().splitlines():
        if line.count(" | ") == 6 and line.startswith("| `"):
            name, gives = re.match(r"\| `(\w+)`", line).group(1), line.rsplit(" | ", 1)[1]
            code = Path(_modules()[name].__file__).read_text()
            words = re.findall(r"`(\w+)`", gives)
            assert words or "labels" not in gives
            assert [w for w in words if not re.search(rf'["=(.]{w}\b|\b{w}[:=]', code)] == [], name


@pytest.mark.parametrize("name", _modules())
def test_the_head_of_a_source_cites_its_paper_and_gives_its_counts(name):
    module = _modules()[name]
    said = f"{module.__doc__}\n{module.read.__doc__}"
    assert module.ABOUT.doi in module.__doc__
    assert f"{module.ABOUT.images:,}" in said
    assert module.ABOUT.patients is None or f"{module.ABOUT.patients:,}" in said
    assert re.search(r"Raises\n *-+\n *InputError\n", module.read.__doc__)


def test_the_source_that_the_how_to_shows_reads_its_folder(tmp_path):
    page = (PAGE.parents[1] / "how-to/add-a-source.md").read_text()
    shown = next(b for b in re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL) if "ABOUT" in b)
    (tmp_path / "train_labels.csv").write_text("image,patient,sex,Effusion\na.png,1,F,1\nb.png,2,2,\n")
    module = {}
    exec(shown, module)  # the example is a module of its own
    with pytest.raises(InputError, match="Say what they stand for"):
        module["read"](tmp_path)
    (tmp_path / "train_labels.csv").write_text("image,patient,sex,Effusion\na.png,1,F,1\nb.png,2,,\n")
    source = module["read"](tmp_path)
    assert source.images.select("image_id", "sex", "path").rows() == [
        ("a.png", "F", "images/a.png"),
        ("b.png", None, "images/b.png"),
    ]
    assert source.labels.rows() == [("a.png", "pleural_effusion", "report_text", "present")]
