"""What stands beside the page: the same numbers as CSV, as Word tables and under every figure."""

from __future__ import annotations

import csv
import re
import zipfile
from html import unescape
from xml.etree import ElementTree

import polars as pl
import pytest

from overread import findings, reporting, tables
from overread.reporting.blocks import Cell, Section, figures, heads, table
from overread.reporting.export.docx import write_tables
from overread.reporting.report_data import finding_heading

pytestmark = pytest.mark.slow

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@pytest.fixture(scope="module")
def out(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    reporting.write(made.evidence, folder, **made.arguments())
    return folder


def _estimates(made) -> pl.DataFrame:
    return tables.read(made.evidence / "estimates.parquet", "estimates")


def test_the_csv_holds_every_estimate_to_the_last_digit(made, out):
    free = pl.col("family", "method", "method_code", "note", "note_codes").fill_null(
        ""
    )  # text files do not tell empty from missing
    written = tables.read(out / "estimates.csv", "estimates").with_columns(free)
    assert written.equals(_estimates(made).with_columns(free), null_equal=True)
    first = (out / "estimates.csv").read_bytes()[:9]
    assert first == b"analysis,"  # UTF-8 without a mark before it


def _forest(out, name: str) -> dict[tuple[str, str], dict]:
    with (out / "figures" / f"{name}.csv").open(encoding="utf-8") as file:
        return {(r["row"], r["series"]): r for r in csv.DictReader(file)}


def test_numbers_beside_a_forest_plot_are_the_estimates(made, out):
    found = _forest(out, "forest-pooled")
    title = {"internal": "Internal test", "external:hill": "External: hill", "external:valley": "External: valley"}
    rows = _estimates(made).filter(analysis="standalone", metric="auc", rater="pooled", at="")
    assert len(found) == rows.height
    for row in rows.to_dicts():
        shown = found[finding_heading(row["finding"], findings.load()), title[row["population"]]]
        for key in ("estimate", "low", "high"):
            assert float(shown[key]) == pytest.approx(row[key], rel=0, abs=0, nan_ok=True)


def test_numbers_beside_curves_are_the_curves(made, out):
    curves = tables.read(made.evidence / "curves.parquet", "curves").filter(curve="roc", rater="pooled")
    shown = pl.read_csv(out / "figures" / "roc.csv")
    inside = shown.filter(series="Internal test").sort("finding", "order")
    want = curves.filter(population="internal").sort("finding", "order")
    assert inside["sensitivity"].to_list() == want["y"].to_list()
    assert inside["1 - specificity"].to_list() == want["x"].to_list()
    assert shown.height == curves.height


def test_every_figure_of_the_page_is_a_file_with_its_numbers(page, out, read_page):
    drawn = [a for tag, a in read_page(page).tags if tag == "svg" and "aria-hidden" not in a]
    drawn = [a for a in drawn if a.get("class") != "narrow"]  # the same figure for a phone
    svgs = sorted(p.stem for p in (out / "figures").glob("*.svg"))
    assert len(svgs) == len(drawn)
    assert svgs == sorted(p.stem for p in (out / "figures").glob("*.csv"))
    for name in svgs:
        assert f"figures/{name}.svg and .csv" in page
        picture = ElementTree.parse(out / "figures" / f"{name}.svg").getroot()
        assert picture.tag == "{http://www.w3.org/2000/svg}svg"
        assert picture.get("width", "").removesuffix("pt")
        numbers = pl.read_csv(out / "figures" / f"{name}.csv", infer_schema=False)
        assert numbers.height > 0


def test_the_same_evidence_gives_the_same_files(made, out, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "earlier.svg").write_text("<svg/>")
    (tmp_path / "made.json").write_text('{"files": {"figures/earlier.svg": 6}}')
    mine = {"figures/mine.txt", "figures/mine.svg"}
    for name in mine:
        (tmp_path / name).write_text("kept")
    reporting.write(made.evidence, tmp_path, **made.arguments())
    names = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert names == {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} | mine
    for name in names - mine - {"run.json"}:  # it holds times
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes(), name


def _document(path) -> ElementTree.Element:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            ElementTree.fromstring(archive.read(name))  # every part is XML
        return ElementTree.fromstring(archive.read("word/document.xml"))


def _rows(made: ElementTree.Element) -> list[list[list[str]]]:
    def text(cell: ElementTree.Element) -> str:
        return "|".join("".join(t.text or "" for t in p.iter(f"{W}t")) for p in cell.iter(f"{W}p"))

    return [[[text(c) for c in row.iter(f"{W}tc")] for row in t.iter(f"{W}tr")] for t in made.iter(f"{W}tbl")]


def test_word_holds_every_table_of_the_page_with_its_notes(page, out, read_page):
    shown = read_page(page).tables
    document = _document(out / "tables.docx")
    found = _rows(document)
    assert len(found) == len(shown)
    captions = [
        "".join(t.text or "" for t in p.iter(f"{W}t"))
        for p in document.iter(f"{W}p")
        if (s := p.find(f"{W}pPr/{W}pStyle")) is not None and s.get(f"{W}val") == "Caption"
    ]
    assert captions == [f"Table {i}. {t['caption']}" for i, t in enumerate(shown, 1)]
    for want, got in zip(shown, found, strict=True):
        assert len(got) - len(want["rows"]) in (0, 1)  # the notes are the last row
        for cells, texts in zip(want["rows"], got, strict=False):
            assert len(cells) == len(texts)
            assert all(text.startswith(cell) for cell, text in zip(cells, texts, strict=True))
    notes = [unescape(n) for n in re.findall(r"<li><sup>[a-z,]*</sup> (.*?)</li>", page)]
    assert len(notes) > 30
    said = "".join(document.itertext())
    assert all(note in said for note in notes)


def test_a_table_in_word_keeps_figures_marks_heads_and_shades(tmp_path):
    body = [
        (Cell("Mass & more"), Cell("0.80", "num", notes=("few\x0b cases",)), Cell("—", "num", notes=("<none>",))),
        (Cell("Edema", note="below"), *figures(["1"]), Cell("2", shade=1.0)),
    ]
    made = table(
        "A <b> table.", ((Cell("Finding"), Cell("Both", "group", span=2)), heads("", "x", "y")), body, remark="R."
    )
    document = _document(write_tables([Section("s", "Some", (made,))], tmp_path / "t.docx"))
    assert _rows(document) == [
        [
            ["Finding", "Both"],
            ["", "x", "y"],
            ["Mass & more", "0.80a", "—b"],
            ["Edema|below", "1", "2"],
            ["R.|a few\\x0b cases|b <none>"],
        ]
    ]
    assert [s.get(f"{W}val") for s in document.iter(f"{W}gridSpan")] == ["2", "3"]
    assert [s.get(f"{W}fill") for s in document.iter(f"{W}shd")] == ["94C4DF"]
    assert len(list(document.iter(f"{W}tblHeader"))) == 2
    raised = [
        t.text for r in document.iter(f"{W}r") if r.find(f"{W}rPr/{W}vertAlign") is not None for t in r.iter(f"{W}t")
    ]
    assert raised == ["a", "b", "a ", "b "]
