"""A study whose names are hostile: the report, and everything beside it, shows them and is not changed by them."""

import csv
import re
import warnings
import zipfile
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

from overread.evaluation import EvaluationConfig
from overread.protocol import evaluate
from overread.reporting.figures.drawing_style import canvas, drawing, svg

pytestmark = pytest.mark.slow

MODELS = ("=cmd|' /C calc'!A0", "a$b$c$\\frac{", "<script>alert(1)</script>", "[@nothing]{0}%s")
SITES = ('"><img src=x onerror=alert(1)>', "[x](javascript:alert(1))|y")
DANGER = re.compile(r"(^|[;\t\r\n])[^\S\t\r\n]*[=+\-@＝＋－＠]|^[\t\r\n]")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(3)
    n = 160
    truth = rng.random(n) < 0.5
    images = pl.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in range(n)],
            "site": [SITES[i % 2] for i in range(n)],
            "ward": [("@ward", "-1; =2")[i // 2 % 2] for i in range(n)],
        }
    )
    labels = images.select(
        case_id="image_id",
        finding=pl.lit("edema"),
        source=pl.lit("$pa$nel*"),
        state=pl.Series(["present" if t else "absent" for t in truth]),
    )
    scores = pl.concat(
        images.select("image_id", finding=pl.lit("edema"), model=pl.lit(m), score=pl.Series(truth + rng.normal(size=n)))
        for m in MODELS
    )
    for name, frame in (("images", images), ("labels", labels), ("scores", scores)):
        frame.write_parquet(folder / f"{name}.parquet")
    config = EvaluationConfig(subgroups=("ward",), external_sites=SITES[1:], replicates=100)
    paths = [folder / f"{name}.parquet" for name in ("images", "labels", "scores")]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        evaluate(paths[0], paths[1], paths[2:], out=folder / "out", config=config, title="<b>T</b>\x1b[2J\u202e")
    return folder / "out"


def test_the_page_shows_the_names_and_holds_none_as_html(out):
    page = (out / "report" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|<img src=x|<b>T|\x1b|\u202e|javascript:[^)]*\"", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;T&lt;/b&gt;\\x1b[2J\\u202e" in page
    assert "<script" not in page


def test_every_figure_is_xml_with_the_names_as_text(out):
    figures = sorted((out / "report" / "figures").glob("*.svg"))
    assert len(figures) >= 3
    words = "".join("".join(ElementTree.parse(f).getroot().itertext()) for f in figures)
    assert "a$b$c$\\frac{" in words
    assert "<script>alert(1)</script>" in words


def test_tables_for_word_are_xml_with_the_names_as_text(out):
    with zipfile.ZipFile(out / "report" / "tables.docx") as archive:
        words = "".join(ElementTree.fromstring(archive.read("word/document.xml")).itertext())
    assert all(name in words for name in MODELS)


def test_no_cell_of_any_csv_begins_a_formula(out):
    files = sorted(out.rglob("*.csv"))
    assert {"estimates.csv", "checklists.csv", "account.csv"} <= {f.name for f in files}
    seen = set()
    for file in files:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.reader(lines))
        text = [c for row in rows for c in row if not re.fullmatch(r"-?(\d+(\.\d+)?(e[+-]?\d+)?|inf)", c)]
        assert not [c for c in text if DANGER.search(c)], file
        seen |= set(text)
    assert f"'{MODELS[0]}" in seen


def test_estimates_in_csv_are_read_back_as_those_in_parquet(out):
    from overread import tables

    written = tables.read(out / "report" / "estimates.parquet", "estimates")
    again = tables.read(out / "report" / "estimates.csv", "estimates")
    text = [c for c, kind in written.schema.items() if kind == pl.String]
    assert again.select(text).fill_null("").equals(written.select(text).fill_null(""))


def test_a_card_for_every_model_holds_its_name_as_text(out):
    cards = sorted((out / "report" / "model-cards").glob("*.md"))
    assert len(cards) == len(MODELS)
    for card in cards:
        text = card.read_text(encoding="utf-8")
        assert not re.search(r"(?<!\\)<script|(?<!\\)\[x\]\(javascript", text)


@pytest.mark.parametrize(
    "name", ["a\x1bb", "x\x00y", "$", "$$$", "\\", "{", "%", "&<>\"'", "\u202e", "名前", "a\ud800"]
)
def test_a_figure_with_any_name_is_xml(name):
    with drawing(), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = canvas(2.0)
        axis = figure.subplots()
        axis.set_title(name.encode("utf-8", "replace").decode())
        axis.set_yticks([0.5], [name.encode("utf-8", "replace").decode()])
        root = ElementTree.fromstring(svg(figure, "x", name).replace(' xlink:href="', ' href="'))
    words = "".join(root.itertext())
    assert "\x1b" not in words
    assert (
        name.encode("utf-8", "replace")
        .decode()
        .replace("\x1b", "\\x1b")
        .replace("\x00", "\\x00")
        .replace("\u202e", "\\u202e")
        in words
    )
