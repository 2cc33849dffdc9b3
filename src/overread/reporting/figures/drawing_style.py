"""Inks, marks and the way from a matplotlib figure to SVG that a page can hold: selectable text, stable ids."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import matplotlib.lines
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from overread.characters import visible

INK, GREY, PALE, RULE, AMBER, GRID = "#1b1f24", "#57606a", "#f4f6f8", "#d0d7de", "#775500", "#e4e8ec"
# Colours of the models: told apart by colour-blind readers together with their markers, and 5:1 on white, because
# numbers are printed in them.
COLOURS = ("#0b63a5", "#b34700", "#00704a", "#8a3c8f", "#75640a", "#007184", "#a2195b", "#5c4a3d")
MARKERS = ("o", "D", "^", "v", "P", "p", "h", "s")
# Populations and reference standards are no models: their series start here, in another order of colours and markers.
OTHER_SERIES = 64
_OTHER_COLOURS = ("#3d4650", "#8a3c8f", "#00704a", "#75640a", "#a2195b", "#007184", "#5c4a3d", "#0b63a5")
_OTHER_MARKERS = ("s", "v", "^", "P", "h", "p", "D", "o")
# Lines: solid first. A plain dash comes last, because decision curves use it for treating everyone.
DASHES: tuple[Any, ...] = ("-", (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (5, 1.6)))
WIDTH = 9.8  # inches: the width of a page's column
NARROW = 3.58  # inches: the width of a phone's column, at 100 px to the inch
NARROW_SIZE = 8.7  # points: 12 px on a phone
KEY_LINE = 0.2  # inches

_RC: Any = {
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "svg.fonttype": "none",  # text stays text: selectable, searchable, read aloud
    "font.family": ["DejaVu Sans"],  # measured with the font that ships with matplotlib; the page's own is narrower
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titley": 1.0,  # no panel has numbers above it, so that matplotlib need not look for a free place
    "axes.labelsize": 8.5,
    "axes.axisbelow": True,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "butt",
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


_SIZES: Any = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize")


@contextmanager
def drawing(*, narrow: bool = False) -> Iterator[None]:
    """The house style of a figure, or of its drawing for a phone, for as long as the block lasts."""
    with mpl.rc_context({**_RC, **(dict.fromkeys(_SIZES, NARROW_SIZE) if narrow else {})}):
        yield


def small(points: float, *, narrow: bool) -> float:
    """The size of words inside a panel; on a phone no text is smaller than 12 px."""
    return max(points, NARROW_SIZE) if narrow else points


def canvas(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of that many inches."""
    return Figure(figsize=(width, height))


def panels(
    count: int, *, columns: int, height: float, share: bool = True, narrow: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, so many to a row, each so many inches high."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(NARROW if narrow else WIDTH * min(columns / 3, 1), rows * height))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    axes = list(grid.ravel())
    for spare in axes[count:]:
        spare.remove()
    if share:
        for axis in axes[max(count - columns, 0) : count]:
            axis.tick_params(labelbottom=True)
    return figure, axes[:count]


@dataclass(frozen=True, slots=True)
class PanelGrid:
    """Square panels at fixed places, in inches: the width of the figure, panels in a row, and the room around each."""

    width: float
    columns: int
    head: float  # above a panel, for its title
    foot: float = 0.56
    left: float = 0.52
    gap: float = 0.42

    @property
    def side(self) -> float:
        """The side of a panel."""
        return (self.width - self.left - 0.1 - (self.columns - 1) * self.gap) / self.columns

    def rows(self, panels: int) -> float:
        """The height of that many panels."""
        return -(-panels // self.columns) * (self.head + self.side + self.foot)

    def box(self, place: int, top: float, height: float) -> tuple[float, float, float, float]:
        """Where the panel at a place stands below `top` inches, as shares of a figure of that height."""
        row, column = divmod(place, self.columns)
        x = self.left + column * (self.side + self.gap)
        y = top + row * (self.head + self.side + self.foot) + self.head + self.side
        return x / self.width, 1 - y / height, self.side / self.width, self.side / height


def columns_for(count: int) -> int:
    """How many panels to set in a row, so that few places stay empty.

    >>> [columns_for(n) for n in (1, 3, 5, 6, 8, 14)]
    [1, 3, 5, 3, 4, 5]
    """
    if count <= 5:
        return count
    return 3 if count == 6 else min((4, 5), key=lambda c: (-count % c, -c))


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """How a series is drawn: its colour, its marker and its line; `dashes` is the attribute of an SVG path."""

    colour: str
    marker: str
    dashes: str = ""


DIFFERENCE = SeriesStyle(INK, "s")  # a difference between two series is neither of them


def series_style(index: int) -> SeriesStyle:
    """The style of the index-th series, for drawings in SVG."""
    dashes = ("", ' stroke-dasharray="1.6 1.6"', ' stroke-dasharray="6 2 1.5 2"', ' stroke-dasharray="6 2"')
    return SeriesStyle(
        series_colour(index), series_marker(index), dashes[index % OTHER_SERIES // len(COLOURS) % len(dashes)]
    )


def series_colour(index: int) -> str:
    """The colour of the index-th series: of a model by its place on the page, of another from OTHER_SERIES on."""
    if index >= OTHER_SERIES:
        return _OTHER_COLOURS[(index - OTHER_SERIES) % len(_OTHER_COLOURS)]
    return COLOURS[index % len(COLOURS)]


def others_series(count: int) -> list[int]:
    """The series of populations or reference standards, which are drawn as no model is."""
    return [OTHER_SERIES + i for i in range(count)]


def series_marker(index: int) -> str:
    """The marker of the index-th series; colour and marker together are unique for 64 series of models.

    >>> series_marker(0), series_marker(8), series_marker(OTHER_SERIES)
    ('o', 'D', 's')
    """
    if index >= OTHER_SERIES:
        index -= OTHER_SERIES
        return _OTHER_MARKERS[(index + index // len(COLOURS)) % len(_OTHER_MARKERS)]
    return MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]


def series_dash(index: int) -> Any:
    """The line style of the index-th series; colour and line style together are unique for 32 series.

    >>> series_dash(0) == series_dash(7), series_dash(7) == series_dash(8)
    (True, False)
    """
    return DASHES[index % OTHER_SERIES // len(COLOURS) % len(DASHES)]


def line_style(index: int) -> dict[str, Any]:
    """How matplotlib draws the line of the index-th series, with its marker."""
    return {"color": series_colour(index), "ls": series_dash(index), "marker": series_marker(index)}


def key_height(names: Sequence[str], width: float = WIDTH) -> float:
    """The height in inches that a key of these names takes; none where there is one name only."""
    if len(names) < 2:
        return 0.1
    lines, x = 1, 0.1
    for name in (n for n in names if n):
        if x > 0.1 and x + 0.34 + 0.075 * len(name) > width:
            lines, x = lines + 1, 0.1
        x += 0.34 + 0.075 * len(name) + 0.3
    return 0.2 + lines * KEY_LINE


def key(figure: Figure, names: Sequence[str], *, top: float, numbers: Sequence[int] = ()) -> None:
    """A key of the series above the panels; its first line lies `top` inches below the upper edge.

    `numbers` are the series of the page; without them those of the order.
    """
    width, height = figure.get_size_inches()
    x, most = 0.1, int((width - 0.44) / 0.075)  # letters of a name
    for i, whole in zip(numbers or range(len(names)), names, strict=True):
        if not whole:
            continue
        name = whole if len(whole) <= most else f"{whole[: most - 1]}…"
        if x > 0.1 and x + 0.34 + 0.075 * len(name) > width:
            x, top = 0.1, top + KEY_LINE
        mark = mpl.lines.Line2D(
            [x / width, (x + 0.26) / width],
            [1 - top / height] * 2,
            color=series_colour(i),
            lw=1.6,
            ls=series_dash(i),
            marker=series_marker(i),
            markevery=[0],
            ms=4.6,
            transform=figure.transFigure,
            figure=figure,
        )
        figure.add_artist(mark)
        figure.text((x + 0.34) / width, 1 - top / height, name, va="center", color=INK)
        x += 0.34 + 0.075 * len(name) + 0.3


def svg(figure: Figure, name: str, alt: str, *, kind: str = "") -> str:
    """The figure as inline SVG with a title for screen readers; the same figure always gives the same text.

    `kind`: "wide" or "narrow", where the page has both drawings of a figure.
    """
    name = f"{name}-narrow" if kind == "narrow" else name
    buffer = io.StringIO()
    with mpl.rc_context({**_RC, "svg.hashsalt": name}), warnings.catch_warnings():
        # The page's own font has what matplotlib's lacks; and the warning would print a control character.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return tidy(buffer.getvalue(), name, alt, figure.get_size_inches()[0], kind=kind)


def tidy(text: str, name: str, alt: str, inches: float, *, kind: str = "") -> str:
    """The SVG that matplotlib writes, without prologue, metadata, unused ids and fixed size."""
    text = visible(text[text.index("<svg") :], keep="\n")  # XML knows no control characters
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.S)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda m: m.group(0) if m.group(1) in used else "", text)
    # Digits of points that nobody sees: 0.1 points are 0.14 px on a phone.
    digits = re.compile(r"(?<=\.\d)\d+" if kind == "narrow" else r"(?<=\.\d\d)\d+")
    text = re.sub(r' (?:d|x|y|transform|points)="[^"]*"', lambda m: digits.sub("", m.group(0)), text)
    text = re.sub(r"(\nL [\d. ]+)\1+(?=\n)", r"\1", text)  # points of a path that became the same
    text = re.sub(r"\n\s*", "\n", text)
    box = re.search(r'viewBox="([^"]*)"', text)
    shown = f' class="{kind}"' if kind else ""
    head = (
        f'<svg{shown} viewBox="{box.group(1) if box else ""}" role="img" '
        f'aria-labelledby="t-{escape(name)}" '
        f'style="max-width:{inches * 100:.0f}px" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<title id="t-{escape(name)}">{escape(visible(alt))}</title>'
    )
    return head + text[text.index(">", text.index("<svg")) + 1 :].strip()


def standalone(inline: str) -> str:
    """An inline SVG as a file of its own, in the size at which the page shows it."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', inline)
    sized = " width=" in inline[: inline.index(">")]
    size = f' width="{box.group(1)}pt" height="{box.group(2)}pt"' if box and not sized else ""
    return inline.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg"{size} ', 1) + "\n"
