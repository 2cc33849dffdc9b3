"""Forest plots as SVG of their own: one drawing 760 px wide for the screen and paper, one of 358 px for a phone.

No library draws them: a page holds dozens, and both widths of one take less than a millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, isnan, log10

from overread.characters import visible
from overread.reporting.figures.drawing_style import GREY, GRID, INK, PALE, SeriesStyle

WIDE, NARROW = 760, 358
FONT = 'font-family="-apple-system, Segoe UI, Helvetica, Arial, Liberation Sans, sans-serif"'
_STEP, _LABELLED, _LEAST = 11.0, 16.0, 25.0  # px: a mark, a mark with its number, a row
# Words that stand on the lines of an axis, on a ground of their own.
_HALO = ' paint-order="stroke" stroke="#ffffff" stroke-width="4" stroke-linejoin="round"'
_NARROW_LETTERS = frozenset("ijlIftr.,:;'|!()[] ")
_WIDE_LETTERS = frozenset("mwMWOQGD@%")


@dataclass(frozen=True, slots=True)
class Mark:
    """An estimate with its interval in one series; `label` is printed beside it instead of the number."""

    series: int
    value: float
    low: float
    high: float
    label: str = ""

    @property
    def interval(self) -> bool:
        """Whether there is an interval with a width: one of zero width shows no uncertainty."""
        return isfinite(self.low) and isfinite(self.high) and self.low < self.high


@dataclass(frozen=True, slots=True)
class Scale:
    """The axis: its words, limits (none: from the data), and the lines that mark no effect or a least gain."""

    label: str
    null: float | None = None
    gain: float | None = None
    limits: tuple[float, float] | None = None
    signed: bool = False
    better: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A column of marks: its axis, its heading, and whether the numbers are printed beside the marks."""

    scale: Scale
    title: str = ""
    note: str = ""
    labels: bool = True


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A row: heading, marks of every panel, a small second line, a count; a row without marks heads those below."""

    title: str
    marks: tuple[tuple[Mark, ...], ...] = ()
    strong: bool = False
    note: str = ""
    count: str = ""


@dataclass(frozen=True, slots=True)
class ForestPlot:
    """What both drawings show."""

    rows: tuple[ForestRow, ...]
    panels: tuple[Panel, ...]
    styles: tuple[SeriesStyle, ...]
    counted: str = ""  # what the counts are

    def extent(self, panel: int) -> tuple[float, float]:
        """The limits of a panel's axis; panels without numbers beside them have one axis."""
        given = self.panels[panel].scale.limits
        if given:
            return given
        shared = len(self.panels) > 1 and not any(p.labels for p in self.panels)
        of = range(len(self.panels)) if shared else (panel,)
        ends = [
            x
            for row in self.rows
            for k in of
            if k < len(row.marks)
            for m in row.marks[k]
            for x in (m.low, m.high, m.value)
            if isfinite(x)
        ]
        ends += [x for k in of for x in (self.panels[k].scale.null, self.panels[k].scale.gain) if x is not None]
        low, high = min(ends, default=0.0), max(ends, default=1.0)
        room = 0.04 * (high - low or 1.0)
        return low - room, high + room


def text_width(text: str, size: float, *, strong: bool = False) -> float:
    """About how wide a text is in the sans-serif fonts of the page, rather too wide than too narrow."""
    ems = sum(0.31 if c in _NARROW_LETTERS else 0.86 if c in _WIDE_LETTERS else 0.57 for c in text)
    return ems * size * (1.06 if strong else 1.0)


def wrapped(text: str, size: float, width: float, lines: int = 2) -> list[str]:
    """The text in so many lines; what does not fit ends with an ellipsis, and a long word is cut."""
    made: list[str] = []
    rest = re.findall(r"\S+\s*", text) or [""]
    while rest and len(made) < lines:
        line = ""
        while rest and (not line or text_width(line + rest[0].rstrip(), size) <= width):
            line += rest.pop(0)
        made.append(line.rstrip())
    if rest:
        made[-1] += " " + "".join(rest).rstrip()
    return [_cut(line, size, width) for line in made]


def _cut(text: str, size: float, width: float) -> str:
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers within the limits, at most so many.

    >>> ticks(0.62, 1.01, 5), ticks(-0.02, 0.065, 5)
    ([0.7, 0.8, 0.9, 1.0], [-0.02, 0.0, 0.02, 0.04, 0.06])
    """
    width = max(high - low, 1e-12)
    scale = 10 ** floor(log10(width / max(most, 1)))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * scale
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [round(k * step, 10) + 0.0 for k in range(first, last + 1)]
    return []


def tick_text(value: float, *, signed: bool) -> str:
    """A number of the axis.

    >>> tick_text(-0.05, signed=True), tick_text(0.0, signed=True), tick_text(0.8, signed=False)
    ('−0.05', '0', '0.8')
    """
    if value == 0:
        return "0"
    text = f"{abs(value):g}" if abs(value) != 1 or signed else "1.0"
    return ("\u2212" if value < 0 else "+" if signed else "") + text


class _Canvas:
    """The elements of a drawing, in px."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.parts: list[str] = []

    def text(self, x: float, y: float, text: str, *, size: float = 13, fill: str = INK, more: str = "") -> None:
        if text:
            shown = escape(visible(text), quote=False)
            self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{more}>{shown}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, *, ink: str, width: float = 1, more: str = "") -> None:
        path = f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"
        self.parts.append(f'<path d="{path}" stroke="{ink}" stroke-width="{width:g}"{more}/>')

    def band(self, y: float, height: float, width: float) -> None:
        self.parts.append(f'<rect x="0" y="{y:.1f}" width="{width:g}" height="{height:.1f}" fill="{PALE}"/>')

    def mark(self, x: float, y: float, style: SeriesStyle, *, hollow: bool, size: float) -> None:
        self.parts.append(mark_shape(x, y, style, hollow=hollow, size=size))

    def svg(self, width: int, height: float, kind: str, name: str, words: tuple[str, str]) -> str:
        t, d = f"t-{escape(name)}{'' if kind == 'wide' else '-narrow'}", f"d-{escape(name)}-{kind}"
        return (
            f'<svg class="{kind}" viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}" role="img" '
            f'aria-labelledby="{t}" aria-describedby="{d}" {FONT}>'
            f'<title id="{t}">{escape(visible(words[0]))}</title><desc id="{d}">{escape(visible(words[1]))}</desc>'
            + "".join(self.parts)
            + "</svg>"
        )


_SHAPES = {  # outlines around (0, 0), of about equal area
    "o": "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1 -1 0Z",
    "D": "M0 -1.32L1.32 0L0 1.32L-1.32 0Z",
    "s": "M-.9 -.9H.9V.9H-.9Z",
    "^": "M0 -1.25L1.2 .9H-1.2Z",
    "v": "M0 1.25L1.2 -.9H-1.2Z",
    "P": "M-.45 -1.25H.45V-.45H1.25V.45H.45V1.25H-.45V.45H-1.25V-.45H-.45Z",
    "p": "M0 -1.15L1.1 -.35L.68 .93H-.68L-1.1 -.35Z",
    "h": "M-1.1 0L-.55 -.95H.55L1.1 0L.55 .95H-.55Z",
}


def mark_shape(x: float, y: float, style: SeriesStyle, *, hollow: bool, size: float = 3.6) -> str:
    """A mark as an SVG path: filled where it has an interval, hollow where it has none."""
    fill = "#ffffff" if hollow else style.colour
    return (
        f'<path transform="translate({x:.1f} {y:.1f}) scale({size:g})" d="{_SHAPES[style.marker]}" fill="{fill}" '
        f'stroke="{style.colour}" stroke-width="{1.4 / size:.2f}"/>'
    )


def wide_drawing(plot: ForestPlot, name: str, words: tuple[str, str]) -> str:
    """The drawing for screens and paper."""
    canvas = _Canvas(WIDE)
    left, counted, places = _columns(plot)
    top = _headings(canvas, plot, left, counted, places)
    heights = [_height(plot, row, left - 8) for row in plot.rows]
    bottom = top + sum(heights)
    y = top
    for row, tall in zip(plot.rows, heights, strict=True):
        if row.strong and row.marks:
            canvas.band(y, tall, WIDE)
        y += tall
    for k, (x1, x2, _) in enumerate(places):
        _grid(canvas, plot, k, (x1, x2), (top, bottom))
    y = top
    for row, tall in zip(plot.rows, heights, strict=True):
        _wide_row(canvas, plot, row, (y, tall), left, counted, places)
        y += tall
    foot = max(_foot(canvas, plot, k, (x1, x2), bottom) for k, (x1, x2, _) in enumerate(places))
    return canvas.svg(WIDE, bottom + foot + 6, "wide", name, words)


def _columns(plot: ForestPlot) -> tuple[float, float, list[tuple[float, float, float]]]:
    """Where the headings end, where the counts end, and of each panel both ends and the end of its numbers."""
    widest = max(
        (max(text_width(r.title, 13, strong=r.strong) + 6, text_width(r.note, 12)) for r in plot.rows if r.marks),
        default=0,
    )
    most = 250 if len(plot.panels) < 3 else 170
    left = min(max(widest + 10, 96), most)
    counts = max((text_width(r.count, 12) for r in plot.rows), default=0)
    counted = left + (max(counts, text_width(plot.counted, 12, strong=True)) + 8 if counts else 0)
    labels = [
        max(
            (text_width(m.label, 12.5, strong=True) for r in plot.rows if k < len(r.marks) for m in r.marks[k]),
            default=0,
        )
        + 8
        if p.labels
        else 0.0
        for k, p in enumerate(plot.panels)
    ]
    gap = 18.0
    room = WIDE - counted - sum(labels) - gap * len(plot.panels)
    shares = [1.35 if k == 0 and len(plot.panels) == 2 else 1.0 for k in range(len(plot.panels))]
    places, x = [], counted
    for label, share in zip(labels, shares, strict=True):
        x1 = x + gap
        x2 = x1 + room * share / sum(shares)
        places.append((x1, x2, x2 + label))
        x = x2 + label
    return left, counted, places


def _headings(
    canvas: _Canvas, plot: ForestPlot, left: float, counted: float, places: Sequence[tuple[float, float, float]]
) -> float:
    """Draw the headings of the columns; their height."""
    bold = ' font-weight="600"'
    lines = 0.0
    for panel, (x1, x2, end) in zip(plot.panels, places, strict=True):
        title = wrapped(panel.title, 12, max(end, x2) - x1) if panel.title else []
        for i, text in enumerate(title):
            canvas.text(x1, 16 + 15 * i, text, size=12, fill=INK if panel.note else GREY, more=bold)
        if panel.note:
            canvas.text(x1, 16 + 15 * len(title), _cut(panel.note, 12, end - x1), size=12, fill=GREY)
        lines = max(lines, len(title) + bool(panel.note))
    if counted > left:
        canvas.text(counted, 16, plot.counted, size=12, fill=GREY, more=f'{bold} text-anchor="end"')
        lines = max(lines, 1)
    return 12 + 15 * lines if lines else 4


def _height(plot: ForestPlot, row: ForestRow, width: float) -> float:
    if not row.marks:
        return 27.0
    step = [_LABELLED if p.labels and len(m) > 1 else _STEP for p, m in zip(plot.panels, row.marks, strict=False)]
    tall = max((len(m) * s + 6 for m, s in zip(row.marks, step, strict=False)), default=0)
    lines = len(wrapped(row.title, 13, width)) + bool(row.note)
    return max(tall, _LEAST, 16.0 * lines + 6)


def _wide_row(
    canvas: _Canvas,
    plot: ForestPlot,
    row: ForestRow,
    at: tuple[float, float],
    left: float,
    counted: float,
    places: Sequence[tuple[float, float, float]],
) -> None:
    y, tall = at
    middle = y + tall / 2
    bold = ' font-weight="600"'
    if not row.marks:
        canvas.line(0, y + 0.5, WIDE, y + 0.5, ink=GRID)
        canvas.text(0, y + 18, row.title, size=12.5 if row.strong else 12, fill=INK if row.strong else GREY, more=bold)
        return
    title = wrapped(row.title, 13, left - 8)
    lines = len(title) + bool(row.note)
    first = middle - 8 * (lines - 1) + 4.5
    for i, text in enumerate(title):
        canvas.text(4 if row.strong else 0, first + 16 * i, text, more=bold if row.strong else "")
    canvas.text(0, first + 16 * len(title), _cut(row.note, 12, left - 8) if row.note else "", size=12, fill=GREY)
    canvas.text(counted, middle + 4.5, row.count, size=12, fill=GREY, more=' text-anchor="end"')
    for k, (marks, (x1, x2, end)) in enumerate(zip(row.marks, places, strict=False)):
        step = _LABELLED if plot.panels[k].labels and len(marks) > 1 else _STEP
        for i, mark in enumerate(marks):
            my = middle + (i - (len(marks) - 1) / 2) * step
            _draw(canvas, plot, k, mark, my, (x1, x2), strong=row.strong)
            if plot.panels[k].labels:
                ink = INK if not isnan(mark.value) else GREY
                heavy = bold if row.strong else ""
                canvas.text(end, my + 4.5, mark.label, size=12.5, fill=ink, more=f' text-anchor="end"{heavy}')


def _draw(
    canvas: _Canvas, plot: ForestPlot, k: int, mark: Mark, y: float, ends: tuple[float, float], *, strong: bool
) -> None:
    if isnan(mark.value):
        return
    low, high = plot.extent(k)
    x1, x2 = ends
    style = plot.styles[mark.series]

    def place(value: float) -> float:
        return x1 + (min(max(value, low), high) - low) / (high - low) * (x2 - x1)

    if mark.interval:
        width = 2.4 if strong else 1.8
        canvas.line(place(mark.low), y, place(mark.high), y, ink=style.colour, width=width, more=style.dashes)
    canvas.mark(place(mark.value), y, style, hollow=not mark.interval, size=3.2)


def _grid(canvas: _Canvas, plot: ForestPlot, k: int, ends: tuple[float, float], rows: tuple[float, float]) -> None:
    low, high = plot.extent(k)
    (x1, x2), (top, bottom), scale = ends, rows, plot.panels[k].scale
    for tick in _shown_ticks(plot, k, x2 - x1):
        x = x1 + (tick - low) / (high - low) * (x2 - x1)
        canvas.line(x, top, x, bottom, ink=GRID)
    for value, dash in ((scale.null, ""), (scale.gain, ' stroke-dasharray="4 3"')):
        if value is not None and low <= value <= high:
            x = x1 + (value - low) / (high - low) * (x2 - x1)
            canvas.line(x, top, x, bottom, ink=GREY if dash else INK, width=1.2, more=dash)


def _shown_ticks(plot: ForestPlot, k: int, width: float) -> list[float]:
    low, high = plot.extent(k)
    for most in (6, 5, 4, 3, 2):
        found = ticks(low, high, most)
        signed = plot.panels[k].scale.signed
        if sum(text_width(tick_text(t, signed=signed), 12) + 12 for t in found) <= width + 24:
            return found
    return found


def _foot(canvas: _Canvas, plot: ForestPlot, k: int, ends: tuple[float, float], y: float) -> float:
    """Draw the numbers and the words below an axis; their height."""
    low, high = plot.extent(k)
    (x1, x2), scale = ends, plot.panels[k].scale
    for tick in _shown_ticks(plot, k, x2 - x1):
        shown = tick_text(tick, signed=scale.signed)
        most = canvas.width - text_width(shown, 12) / 2  # the last number of an axis is not cut at the edge
        x = min(x1 + (tick - low) / (high - low) * (x2 - x1), most)
        canvas.text(x, y + 16, shown, size=12, fill=GREY, more=' text-anchor="middle"')
    below = 20.0
    if scale.better:
        below += _sides(canvas, scale, ends, (low, high), y + 33)
    if scale.label:
        lines = wrapped(scale.label, 12, x2 - x1)
        for i, text in enumerate(lines):
            canvas.text((x1 + x2) / 2, y + below + 13 + 15 * i, text, size=12, fill=GREY, more=' text-anchor="middle"')
        below += 15.0 * len(lines)
    return below


def _sides(canvas: _Canvas, scale: Scale, ends: tuple[float, float], limits: tuple[float, float], y: float) -> float:
    """Draw what lies on either side of no effect, beside its line; their height."""
    assert scale.better is not None
    (x1, x2), (low, high) = ends, limits
    null = x1 + ((scale.null or 0.0) - low) / (high - low) * (x2 - x1)
    first, second = (text_width(text, 12) for text in scale.better)
    right = max(null - 7, x1 - 10 + first)  # where the first ends, and the second begins
    left = min(null + 7, x2 + 6 - second, canvas.width - second)
    lower = 15 if right + 8 > left else 0
    canvas.text(right, y, scale.better[0], size=12, fill=GREY, more=' text-anchor="end"')
    canvas.text(left, y + lower, scale.better[1], size=12, fill=GREY)
    return 17.0 + lower


def narrow_drawing(plot: ForestPlot, name: str, words: tuple[str, str]) -> str:
    """The drawing for a phone: the heading of a row above its marks; panels without numbers below each other."""
    canvas = _Canvas(NARROW)
    if len(plot.panels) > 1 and not any(p.labels for p in plot.panels):
        y = 0.0
        for k in range(len(plot.panels)):
            y = _narrow_panel(canvas, plot, k, y)
        return canvas.svg(NARROW, y, "narrow", name, words)
    return canvas.svg(NARROW, _narrow_rows(canvas, plot), "narrow", name, words)


def _narrow_rows(canvas: _Canvas, plot: ForestPlot) -> float:
    """One axis; the numbers of a single labelled panel beside its marks, those of a second panel in the heading."""
    beside = len(plot.panels) == 1 and plot.panels[0].labels
    wide = max((text_width(m.label, 12.5) for r in plot.rows if r.marks for m in r.marks[0]), default=0) + 8
    ends = (6.0, NARROW - (wide if beside else 8.0))
    heights = [_narrow_height(row, beside) for row in plot.rows]
    top, y = 2.0, 2.0
    for row, tall in zip(plot.rows, heights, strict=True):
        if row.strong and row.marks:
            canvas.band(y, tall, NARROW)
        y += tall
    bottom = y
    _grid(canvas, plot, 0, ends, (top, bottom))
    y = top
    for row, tall in zip(plot.rows, heights, strict=True):
        _narrow_row(canvas, plot, row, y, ends, beside=beside)
        y += tall
    return bottom + _foot(canvas, plot, 0, ends, bottom) + 6


def _narrow_height(row: ForestRow, beside: bool) -> float:
    if not row.marks:
        return 26.0
    return 20.0 + 15.0 * bool(row.note) + len(row.marks[0]) * (_LABELLED if beside else _STEP + 1) + 5


def _narrow_row(
    canvas: _Canvas, plot: ForestPlot, row: ForestRow, y: float, ends: tuple[float, float], *, beside: bool
) -> None:
    bold = f' font-weight="600"{_HALO}'
    if not row.marks:
        canvas.line(0, y + 0.5, NARROW, y + 0.5, ink=GRID)
        canvas.text(0, y + 18, _cut(row.title, 13, NARROW), size=13, more=bold)
        return
    number = row.marks[1][0].label if len(row.marks) > 1 and len(row.marks[1]) == 1 else ""
    room = NARROW - (text_width(number, 12.5) + 8 if number else 0)
    canvas.text(0, y + 15, _cut(row.title, 13, room / 1.06), size=13, more=bold)
    canvas.text(NARROW, y + 15, number, size=12.5, more=f' text-anchor="end"{_HALO}')
    canvas.text(0, y + 30, row.note, size=12, fill=GREY, more=_HALO)
    at = y + 20 + 15 * bool(row.note) + (_LABELLED if beside else _STEP + 1) / 2
    for mark in row.marks[0]:
        _draw(canvas, plot, 0, mark, at, ends, strong=row.strong)
        if beside:
            canvas.text(NARROW, at + 4.5, mark.label, size=12.5, more=' text-anchor="end"')
        at += _LABELLED if beside else _STEP + 1


def _narrow_panel(canvas: _Canvas, plot: ForestPlot, k: int, y: float) -> float:
    panel, ends = plot.panels[k], (150.0, NARROW - 8.0)
    canvas.line(0, y + 0.5, NARROW, y + 0.5, ink=GRID)
    for i, text in enumerate(wrapped(panel.title, 13, NARROW - 10)):
        canvas.text(0, y + 18, text, more=' font-weight="600"')
        y += 16 if i else 18
    if panel.note:
        canvas.text(0, y + 16, panel.note, size=12, fill=GREY)
        y += 16
    rows = [r for r in plot.rows if r.marks]
    heights = [max(len(r.marks[k]) * (_STEP + 1) + 8, 30.0) for r in rows]
    top, bottom = y + 8, y + 8 + sum(heights)
    _grid(canvas, plot, k, ends, (top, bottom))
    at = top
    for row, tall in zip(rows, heights, strict=True):
        lines = wrapped(row.title, 12.5, 138)
        for i, text in enumerate(lines):
            canvas.text(0, at + tall / 2 + 4.5 - 7 * (len(lines) - 1) + 14 * i, text, size=12.5)
        for i, mark in enumerate(row.marks[k]):
            place = at + tall / 2 + (i - (len(row.marks[k]) - 1) / 2) * (_STEP + 1)
            _draw(canvas, plot, k, mark, place, ends, strong=row.strong)
        at += tall
    return bottom + _foot(canvas, plot, k, ends, bottom) + 14
