"""Figures: text stays text, the same figure is the same SVG, what is missing is not drawn, keys fit."""

from __future__ import annotations

import re
from itertools import combinations
from math import nan

import matplotlib.figure
import numpy as np
import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from overread import findings
from overread.reporting.figures.curve_panels import calibration_panels, decision_panels, roc_panels, training_panels
from overread.reporting.figures.drawing_style import (
    MARKERS,
    key_height,
    series_colour,
    series_dash,
    series_marker,
    series_style,
)
from overread.reporting.figures.flow import stages
from overread.reporting.figures.forest_drawing import Mark, Scale
from overread.reporting.figures.forest_plots import Line, forest_figure, mark_of
from overread.reporting.figures.reader_curves import ArmCurves, curve_panels
from overread.reporting.figures.reader_roc import THRESHOLD_MARKS, LegendKey, PlottedPoint, RocPanel, reader_panels
from overread.reporting.figures.subgroup_forest import Band, Level, group_forest

TITLES = {f.name: f.title for f in findings.load().findings}


def _lines() -> list[Line]:
    row = {"estimate": 0.8123, "low": 0.75, "high": 0.87}
    return [
        Line("Mass", (mark_of(row, 0), mark_of(None, 1))),
        Line("Mean", (Mark(0, nan, nan, nan, "—"),), strong=True),
    ]


AUC = Scale("AUC")


def _forest(lines, series=("inside", "outside"), scale=AUC, name="f"):
    return forest_figure(lines, series, scale, name=name, caption="All <of> it.")


def test_forest_prints_its_numbers_in_both_widths_and_is_always_the_same():
    made = [_forest(_lines()) for _ in range(2)]
    assert made[0].svg == made[1].svg
    assert [text for text, _ in made[0].key] == ["inside", "outside"]
    for drawing, width in ((made[0].svg, 760), (made[0].narrow, 358)):
        assert f'viewBox="0 0 {width} ' in drawing
        assert ">0.812 (0.750–0.870)</text>" in drawing
        assert drawing.count(">—</text>") == 2
        for words in ("Mass", "AUC"):
            assert f">{words}</text>" in drawing
    assert '<title id="t-f">Forest plot. All &lt;of&gt; it.</title>' in made[0].svg
    assert "Mass: 0.812 (0.750–0.870), —; Mean: —</desc>" in made[0].svg


def test_no_text_of_a_forest_is_smaller_than_12_pixels_or_outside():
    lines = [
        Line("A finding with a name that is much longer than its column can hold", (mark_of({"estimate": 0.5}, 0),))
    ]
    made = _forest(lines, scale=Scale("Difference", null=0.0, signed=True, better=("one side higher", "the other")))
    for drawing, width in ((made.svg, 760), (made.narrow, 358)):
        texts = re.findall(r'<text x="(-?[\d.]+)" y="[\d.]+" font-size="([\d.]+)"', drawing)
        assert texts
        assert all(float(size) >= 12 and 0 <= float(x) <= width for x, size in texts)


def test_marks_of_one_model_are_the_same_wherever_it_stands():
    line = [Line("Mass", (Mark(0, 0.5, 0.4, 0.6, "0.5"),))]
    alone = forest_figure(line, ("b",), Scale("AUC"), name="f", caption="", numbers=(1,))
    style = series_style(1)
    assert style.colour in alone.svg
    assert series_style(0).colour not in alone.svg


def test_svg_text_is_not_shortened_by_the_rounding_of_coordinates():
    line = [Line("0.98765 of 1.23456", (Mark(0, 0.5, 0.4, 0.6, "0.54321"),))]
    made = _forest(line, ("x",), Scale("AUC 0.123456"), name="n").svg
    for words in ("0.98765 of 1.23456", "0.54321", "AUC 0.123456"):
        assert words in made
    assert not re.search(r' d="M[^"]*\.\d{3}', made)


def _curve(finding: str) -> pl.DataFrame:
    x = [0.0, 0.2, 1.0]
    return pl.DataFrame(
        {"finding": finding, "order": [0, 1, 2], "x": x, "y": [0.0, 0.7, 1.0], "low": x, "high": [0.1, 0.8, 1.0]}
    )


def test_roc_panels_draw_each_series_and_print_the_auc():
    frames = [("inside", _curve("mass")), ("outside", _curve("edema"))]
    made = roc_panels(
        frames,
        ["mass", "edema"],
        labels={("mass", 0): "0.801", ("edema", 1): "0.702"},
        headings=TITLES,
        name="r",
        alt="a",
    )
    assert ">Mass</text>" in made
    assert ">Pulmonary edema</text>" in made
    assert ">0.801</text>" in made
    assert ">0.702</text>" in made
    assert made.count("#0b63a5; fill-opacity") + made.count("fill: #0b63a5; fill-opacity") >= 1  # the band of the first


def test_calibration_panels_leave_out_points_that_are_no_numbers():
    frame = _curve("mass").with_columns(y=pl.Series([0.1, nan, 0.9]))
    whole, part = (
        calibration_panels([("a", f)], ["mass"], headings=TITLES, name="c", alt="a") for f in (_curve("mass"), frame)
    )
    assert whole.count("<use") > part.count("<use")


def test_calibration_panels_set_a_histogram_of_the_scores_above(recwarn):
    plain, held = (
        calibration_panels([("a", _curve("mass"))], ["mass"], scores=s, headings=TITLES, name="c", alt="a")
        for s in (None, {("a", "mass"): np.array([0.1, 0.1, 0.4, 0.9])})
    )
    heights = [float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', made).group(1)) for made in (plain, held)]
    assert heights[1] > heights[0]
    assert held.count("fill: #0b63a5; opacity: 0.3") == 1
    assert "opacity: 0.3" not in plain
    assert not [w for w in recwarn if "layout" in str(w.message)]


def test_decision_panels_name_the_lines_of_everyone_and_nobody_once():
    model = _curve("mass").with_columns(population=pl.lit("internal"))
    everyone = model.with_columns(y=pl.Series([0.2, -0.1, -0.6]))
    both = [pl.concat([f, f.with_columns(finding=pl.lit("edema"))]) for f in (model, everyone)]
    made = decision_panels([("a", both[0])], [("a", both[1])], ["mass", "edema"], headings=TITLES, name="d", alt="a")
    assert made.count(">all</text>") == 1
    assert made.count(">none</text>") == 1
    alone = decision_panels([("a", model)], [], ["mass"], headings=TITLES, name="d", alt="a")
    assert ">all</text>" not in alone


def test_training_panels_show_what_the_history_holds():
    history = pl.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.4], "tune_auc": [0.7, 0.8]})
    made = training_panels([("pooled", [history, history]), ("single", [history])], name="t", alt="a")
    assert ">Training loss</text>" in made
    assert ">Mean AUC on tune</text>" in made
    assert ">Loss on tune</text>" not in made
    assert ">pooled</text>" in made


def test_a_long_key_takes_more_lines():
    assert key_height(["one"]) < key_height(["a", "b"]) < key_height(["a rather long name of a population"] * 6)


def test_flow_tells_what_was_kept_from_what_was_left_out():
    rows = [
        ("read", "images", "", "", 10),
        ("read", "images", "", "north", 6),
        ("view", "images", "lateral", "", 3),
        ("view", "images", "", "", 7),
        ("noted", "images", "odd", "", 2),
    ]
    flow = pl.DataFrame(rows, schema=["step", "unit", "reason", "site", "count"], orient="row")
    first, second = stages(flow)
    assert (first.title, first.kept, first.left) == ("Read from the sources", ("10 images",), ())
    assert (second.title, second.kept, second.left) == ("View", ("7 images",), ("3 images: lateral",))


def test_series_up_to_32_differ_in_colour_and_marker_and_in_colour_and_line_style():
    n = range(32)
    assert len({(series_colour(i), series_marker(i)) for i in n}) == 32
    assert len({(series_colour(i), series_dash(i)) for i in n}) == 32


@pytest.mark.slow
def test_a_mark_without_an_interval_is_hollow_and_the_caption_says_so():
    given = Mark(0, 0.8, 0.7, 0.9, "0.800"), Mark(1, 0.7, 0.6, 0.8, "0.700")
    without = Mark(0, 0.8, nan, nan, "0.800"), Mark(1, 1.0, 1.0, 1.0, "1.000")
    words = "AUC. A hollow marker has no confidence interval, or one of zero width."
    for marks, hollow in ((given, 0), (without, 2)):
        plot = forest_figure([Line("Mass", marks)], ("a", "b"), Scale("AUC"), name="f", caption="AUC.")
        assert plot.svg.count('fill="#ffffff" stroke') == hollow
        assert plot.caption == (words if hollow else "AUC.")
        all_cases = Level("All", "10", marks)
        groups = group_forest([Band("Sex", all_cases, (), ("", ""))], ("a", "b"), label="AUC", name="g", caption="AUC.")
        assert groups.svg.count("fill: #ffffff; stroke") == hollow
        assert groups.caption == (words if hollow else "AUC.")


@pytest.fixture
def outside(monkeypatch):
    """The texts, ticks aside, that a saved figure does not hold whole."""
    found: list[str] = []
    save = matplotlib.figure.Figure.savefig

    def checked(figure, *args, **more):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for text in figure.findobj(lambda a: isinstance(a, Text) and a.get_text().strip("\u22120123456789. ") != ""):
            box = text.get_window_extent(canvas.get_renderer())
            inside = min(box.x0, box.y0) >= -0.5 and box.x1 <= figure.bbox.width + 0.5 and box.y1 <= figure.bbox.height
            found.extend([] if inside else [text.get_text()])
        return save(figure, *args, **more)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", checked)
    return found


def _reader_panel(title: str, below: str = "") -> RocPanel:
    reader, mean = PlottedPoint("r", 0.2, 0.8, (0.1, 0.3), (0.7, 0.9), 40), PlottedPoint("m", 0.2, 0.8)
    frozen = PlottedPoint("model 1", 0.1, 0.6, place=(1, 0))
    curves = tuple((i, f"model {i}", _curve("mass")) for i in range(2))
    labels = ((0, "AUC 0.801"), (1, "AUC 0.702"))
    return RocPanel(title, below, curves, (reader,), mean, (frozen,), labels)


def _panels(names: list[str], models: int, *, narrow: bool) -> list[str]:
    """Every figure of panels, with these findings and so many models."""
    frame = pl.concat([_curve(f) for f in names]).with_columns(population=pl.lit("internal"))
    frames = [(f"model {i}", frame) for i in range(models)]
    how = {"headings": TITLES, "alt": "a", "narrow": narrow}
    areas = {(f, i): "0.801" for f in names for i in range(min(models, 4))}
    histories = [pl.DataFrame({"loss": [0.5], "tune_auc": [0.7]})]
    reads = pl.concat([_curve("mass").with_columns(rater=pl.lit(r)) for r in ("r1", "(readers)")])
    scores = {("model 0", "mass"): np.array([0.1])}
    key = LegendKey(("model 0", "model 1"), ((0, "threshold for specificity 0.90"),), few=True)
    readers = [_reader_panel("Majority of the other readers (derived)", "differs between readers: no single curve")]
    arms = [ArmCurves("unaided", 0, reads, "mean AUC 0.801"), ArmCurves("aided", 1, reads)]
    return [
        roc_panels(frames, names, labels=areas, name="r", **how),
        calibration_panels(frames, names, smooth=frames, scores=scores, name="c", **how),
        decision_panels(frames, frames, names, name="d", **how),
        training_panels([("a", histories), ("b", histories)], name="t", alt="a", narrow=narrow),
        reader_panels(readers * len(names), key, name="p", alt="a", narrow=narrow),
        curve_panels(arms, name="k", alt="a", narrow=narrow),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("panels", [1, 3, 5, 7])
@pytest.mark.parametrize("narrow", [False, True])
def test_no_word_of_a_figure_is_cut_at_an_edge(outside, panels, narrow):
    names = ["mass", "edema", "consolidation", "pneumonia", "pneumothorax", "atelectasis", "fracture"][:panels]
    _panels(names, 12 if panels == 3 else 2, narrow=narrow)
    marks = (Mark(0, 0.8, 0.7, 0.9, "0.800 (0.700\u20130.900)"),)
    group_forest([Band("Sex", Level("All", "10", marks), (), ("",))], ("a",), label="gap", name="g", caption="AUC.")
    assert outside == []


@pytest.fixture
def overlaps(monkeypatch):
    """The titles of panels and axes of a saved figure that lie over each other."""
    found: list[tuple[str, str]] = []
    save = matplotlib.figure.Figure.savefig

    def checked(figure, *args, **more):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        texts = [t for a in figure.axes for t in (a._left_title, a.xaxis.label, a.yaxis.label) if t.get_text()]
        boxes = [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in texts]
        found.extend((one, other) for (one, a), (other, b) in combinations(boxes, 2) if a.overlaps(b))
        return save(figure, *args, **more)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", checked)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("panels", [1, 5])
@pytest.mark.parametrize("narrow", [False, True])
def test_titles_of_panels_and_axes_do_not_overlap(overlaps, panels, narrow):
    _panels(["mass", "edema", "enlarged_cardiomediastinum", "pneumonia", "fracture"][:panels], 2, narrow=narrow)
    assert overlaps == []


@pytest.mark.slow
def test_no_text_of_a_phones_panels_is_smaller_than_12_pixels():
    for made in _panels(["mass", "edema"], 2, narrow=True):
        width = float(re.search(r'<svg class="narrow" viewBox="0 0 ([\d.]+) ', made).group(1))
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: (?:\w+ )?([\d.]+)px", made)]
        assert sizes
        assert min(sizes) * 358 / width >= 12


@pytest.mark.slow
def test_both_drawings_of_panels_hold_the_same_words_and_have_ids_of_their_own():
    wide, narrow = (_panels(["mass", "edema"], 2, narrow=n) for n in (False, True))
    for one, other in zip(wide, narrow, strict=True):
        assert one.startswith('<svg class="wide" ')
        words = [
            {t for t in re.findall(r">([^<>]+)</text>", made) if re.search(r"[A-Za-z]", t)} for made in (one, other)
        ]
        assert words[0] == words[1]
        ids = [set(re.findall(r' id="([^"]+)"', made)) for made in (one, other)]
        assert not ids[0] & ids[1]


@pytest.mark.slow
def test_a_model_has_one_colour_line_and_mark_in_every_figure_of_curves():
    model = re.escape(series_colour(1))
    drawn = [_panels(["mass"], 2, narrow=False)[i] for i in (0, 2, 4)]  # ROC, decision curves, readers
    lines = [set(re.findall(rf'style="(fill: none; stroke: {model}; stroke-width: 1.3[^"]*)"', made)) for made in drawn]
    assert lines[0]
    assert lines[0] == lines[1] == lines[2]
    assert not set(THRESHOLD_MARKS) & set(MARKERS)  # a threshold is not taken for a model
    assert forest_figure([Line("Mass", (Mark(1, 0.5, 0.4, 0.6),))], ("a", "b"), AUC, name="f", caption="").svg.count(
        series_colour(1)
    )


@pytest.mark.slow
def test_a_title_that_is_wider_than_its_panel_takes_more_lines():
    titles = {"mass": "Enlarged cardiomediastinum or mass", "edema": "Edema"}
    frames = [("a", pl.concat([_curve("mass"), _curve("edema")]))]
    made = roc_panels(frames, ["mass", "edema"], labels={}, headings=titles, name="r", alt="a", narrow=True)
    assert ">Enlarged</text>" in made
    assert ">cardiomediastinum or</text>" in made
    assert ">mass</text>" in made
