"""What a page is made of: sections of texts, tables, figures and pictures. Plain values; the template draws them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, the letters of its footnotes, and how it stands."""

    text: str
    marks: str = ""
    kind: str = ""  # "" words, "num" figures, "group" a heading over several columns or rows, "verdict"
    span: int = 1
    shade: float | None = None  # 0 pale … 1 strong, for heat tables
    note: str = ""  # small second line


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption, head rows, body rows (the first cell is the row's heading) and footnotes."""

    caption: str
    head: tuple[tuple[Cell, ...], ...]
    rows: tuple[tuple[Cell, ...], ...]
    footnotes: tuple[tuple[str, str], ...] = ()
    remark: str = ""
    compact: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing as inline SVG, with the words that stand for it."""

    svg: str
    caption: str
    narrow: bool = False


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
class Text:
    """A paragraph; `kind` is "", "warning", "small", "code" or "methods" (bracketed numbers cite references)."""

    text: str
    kind: str = ""
    term: str = ""


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
    """Blocks that are folded away on the screen and stand open in print."""

    summary: str
    blocks: tuple[Block, ...]


Block = Table | Figure | Pictures | Text | Facts | Points | Folded


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page; `absent` says in one line why it has no content."""

    name: str
    title: str
    blocks: tuple[Block, ...] = ()
    absent: str = ""


@dataclass
class Footnotes:
    """Collects the notes of one table while it is built; equal notes share a letter."""

    notes: dict[str, str] = field(default_factory=dict)

    def mark(self, *notes: str | None) -> str:
        """The letters of these notes, new letters where they are new."""
        for note in notes:
            if note and note not in self.notes:
                self.notes[note] = _letters(len(self.notes))
        return ",".join(self.notes[n] for n in notes if n)

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Letter and note, in the order in which they first stood."""
        return tuple((mark, note) for note, mark in self.notes.items())


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


def without_empty_columns(table: Table) -> Table:
    """The table without the columns, other than the first, in which no row has a word. One head row only."""
    wide = [r for r in table.rows if len(r) == len(table.head[-1])]
    kept = [
        i for i in range(len(table.head[-1])) if i == 0 or any(r[i].text not in ("", "—") or r[i].marks for r in wide)
    ]
    width = len(kept)

    def cut(row: Sequence[Cell]) -> tuple[Cell, ...]:
        if len(row) != len(table.head[-1]):
            return tuple(replace(c, span=width) if c.kind == "group" else c for c in row)
        return tuple(row[i] for i in kept)

    return replace(table, head=tuple(cut(r) for r in table.head), rows=tuple(cut(r) for r in table.rows))
