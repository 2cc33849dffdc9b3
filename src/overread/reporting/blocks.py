"""What a page is made of: sections of texts, tables, figures and pictures. Plain values; the template draws them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from overread.reporting.figures.figure_pool import Delayed
from overread.reporting.number_format import MISSING


@dataclass(frozen=True, slots=True)
class MeanOver:
    """The findings of a mean over findings, and of how many findings it could have been.

    >>> MeanOver(("edema", "mass"), 5).words
    'over 2 of 5 findings'
    """

    findings: tuple[str, ...]
    of: int

    @property
    def words(self) -> str:
        """How many of the findings the mean is over."""
        return f"over {len(self.findings)} of {self.of} finding{'' if self.of == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, how it stands, and its notes."""

    text: str
    kind: str = ""  # "" words, "num" figures, "group" a heading over several columns or rows, "verdict"
    span: int = 1
    shade: float | None = None  # 0 pale … 1 strong, for heat tables
    note: str = ""  # small second line
    notes: tuple[str, ...] | None = None  # for the footnotes; None where the cell is no estimate
    marks: str = ""  # their letters
    link: str = ""  # the section of the page that it leads to
    mean: MeanOver | None = None  # of a mean over findings


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption, head rows, body rows (the first cell is the row's heading) and footnotes."""

    caption: str
    head: tuple[tuple[Cell, ...], ...]
    rows: tuple[tuple[Cell, ...], ...]
    footnotes: tuple[tuple[str, str], ...] = ()
    remark: str = ""
    compact: bool = False
    note: str = ""  # a second, grey line of the caption

    @property
    def stacks(self) -> bool:
        """Whether a phone shows the rows as pairs of label and value; a large table is moved sideways instead."""
        return len(self.rows) * max((len(row) for row in self.rows), default=0) <= 150

    @property
    def labels(self) -> tuple[str, ...]:
        """The heading of every column, for a page on which a row stands as pairs of label and value."""
        rows = [[c.text for c in row for _ in range(c.span)] for row in self.head]
        wide = max(map(len, rows), default=0)
        columns = zip(*(row + [""] * (wide - len(row)) for row in rows), strict=True)
        return tuple(", ".join(dict.fromkeys(text for text in column if text)) for column in columns)


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing as inline SVG, or what makes it, with its caption, its name on the page and the numbers it draws.

    `phone` is the drawing for a phone, where there is one; `key` names the series, each with a sample of its mark as
    SVG.
    """

    drawing: str | Delayed
    caption: str
    name: str = ""
    numbers: pl.DataFrame | None = None
    phone: str | Delayed = ""
    key: tuple[tuple[str, str], ...] = ()
    title: str = ""
    note: str = ""

    @property
    def svg(self) -> str:
        """The drawing as inline SVG."""
        return self.drawing if isinstance(self.drawing, str) else self.drawing.draw()

    @property
    def narrow(self) -> str:
        """The drawing for a phone as inline SVG, "" where there is none."""
        return self.phone if isinstance(self.phone, str) else self.phone.draw()


@dataclass(frozen=True, slots=True)
class Picture:
    """One example: an image and its overlay as data URIs, and what is known of it."""

    title: str
    kind: str
    image: str
    overlay: str
    alt: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pictures:
    """Examples side by side."""

    caption: str
    items: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `kind`: "", "heading", "warning", "small", "code", "methods" (bracketed numbers cite references)."""

    text: str
    kind: str = ""
    term: str = ""
    link: str = ""  # the section of the page whose title follows, as a link


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms with what is known of each."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Points:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks that are folded away until the reader opens them. They are printed unfolded.

    An `appendix` repeats what is shown before for another model or is long: it is printed only with the appendix.
    """

    summary: str
    blocks: tuple[Block, ...]
    appendix: bool = False


def appendix(summary: str, blocks: Iterable[Block]) -> Folded:
    """Blocks that are folded away, and printed only with the appendix."""
    return Folded(summary, tuple(blocks), appendix=True)


Block = Table | Figure | Pictures | Paragraph | Facts | Points | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page; `answer` is its result in one sentence, `absent` says why it has no content."""

    name: str
    title: str
    blocks: tuple[Block, ...] = ()
    absent: str = ""
    answer: str = ""

    @property
    def unprinted(self) -> int:
        """How many folded parts are printed only with the appendix."""
        return sum(_appendices(self.blocks))


def table(
    caption: str,
    head: Sequence[Sequence[Cell]],
    rows: Sequence[Sequence[Cell]],
    *,
    remark: str = "",
    compact: bool = False,
) -> Table:
    """A table whose cells' notes became lettered footnotes, equal notes sharing a letter.

    A note that every number of the table carries (three or more) stands once below it instead. Where means over
    different findings are in one table, each has the number of its findings below it.
    """
    if len({c.mean.findings for row in rows for c in row if c.mean}) > 1:
        rows = [[_with_findings(c) for c in row] for row in rows]
    numbers = [c.notes for row in rows for c in row if c.notes is not None and c.text != MISSING]
    common = [n for n in dict.fromkeys(n for notes in numbers for n in notes) if all(n in notes for notes in numbers)]
    common = common if len(numbers) >= 3 else []
    letters: dict[str, str] = {}

    def lettered(cell: Cell) -> Cell:
        own = [n for n in cell.notes or () if n not in common]
        return replace(cell, marks=",".join(letters.setdefault(n, _letters(len(letters))) for n in own))

    made = tuple(tuple(lettered(c) for c in row) for row in rows)
    said = [remark, f"Every number: {'; '.join(common)}." if common else ""]
    footnotes = tuple((mark, note) for note, mark in letters.items())
    return Table(caption, tuple(map(tuple, head)), made, footnotes, " ".join(s for s in said if s), compact)


def _with_findings(cell: Cell) -> Cell:
    if cell.mean is None:
        return cell
    return replace(cell, note="; ".join(filter(None, (cell.note, cell.mean.words))))


def within(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks in their order, those that are folded away among them.

    >>> [b.text for b in within([Paragraph("a"), Folded("more", (Paragraph("b"),)), Paragraph("c")])]
    ['a', 'b', 'c']
    """
    for block in blocks:
        if isinstance(block, Folded):
            yield from within(block.blocks)
        else:
            yield block


def _appendices(blocks: Iterable[Block]) -> Iterator[int]:
    for block in blocks:
        if isinstance(block, Folded):
            yield 1 if block.appendix else sum(_appendices(block.blocks))


def waiting(section: Section) -> list[Delayed]:
    """The drawings of a section that are not made yet."""
    figures = [b for b in within(section.blocks) if isinstance(b, Figure)]
    return [d for b in figures for d in (b.drawing, b.phone) if isinstance(d, Delayed)]


def drawn(sections: Sequence[Section], done: Mapping[Delayed, str]) -> list[Section]:
    """The sections with the drawings that are made, `done`, in their places."""

    def with_drawings(blocks: Iterable[Block]) -> tuple[Block, ...]:
        made: list[Block] = []
        for block in blocks:
            if isinstance(block, Folded):
                made.append(replace(block, blocks=with_drawings(block.blocks)))
            elif isinstance(block, Figure):
                wide, phone = (done.get(d, d) if isinstance(d, Delayed) else d for d in (block.drawing, block.phone))
                made.append(replace(block, drawing=wide, phone=phone))
            else:
                made.append(block)
        return tuple(made)

    return [replace(s, blocks=with_drawings(s.blocks)) for s in sections]


def _letters(index: int) -> str:
    """a … z, aa, ab …

    >>> _letters(0), _letters(26)
    ('a', 'aa')
    """
    text, index = "", index + 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(97 + rest) + text
    return text


def heads(*texts: str) -> tuple[Cell, ...]:
    """A row of headings."""
    return tuple(Cell(t) for t in texts)


def words(*texts: str) -> tuple[Cell, ...]:
    """A row of words."""
    return tuple(Cell(t) for t in texts)


def figures(texts: Iterable[str]) -> tuple[Cell, ...]:
    """Cells of figures, set in columns."""
    return tuple(Cell(t, kind="num") for t in texts)


def group(text: str, columns: int) -> tuple[Cell, ...]:
    """A row that heads the rows below it."""
    return (Cell(text, kind="group", span=columns),)
