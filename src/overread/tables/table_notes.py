"""Notes on values that were changed or are unusual in a table, with counts and examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

IDENTIFIERS = "identifiers"  # the stage of the account, and the unit of the flow, under which notes stand


@dataclass(frozen=True, slots=True)
class Note:
    """A change or an unusual observation in one column of a table.

    Attributes
    ----------
    table, column : str
        The place.
    what : str
        What was found and what was done about it; the subject is the `count` values.
    count : int
        Number of rows, or of identifiers if `changed` is false.
    examples : str
        Up to five examples, in quotes.
    changed : bool
        Whether values were changed.
    """

    table: str
    column: str
    what: str
    count: int
    examples: tuple[str, ...] = ()
    changed: bool = True

    def __str__(self) -> str:
        shown = f" ({'; '.join(self.examples)})" if self.examples else ""
        return f"{self.table}: {self.count:,} {self.what}{shown}"


def counted(count: int, units: str) -> str:
    """Return a count with its unit, which is a plural in an account or a flow.

    Examples
    --------
    >>> counted(1, "cases"), counted(1, "classes"), counted(1200, "reads")
    ('1 case', '1 class', '1,200 reads')
    """
    ending = "es" if units.endswith(("sses", "xes")) else "s"
    return f"{count:,} {units.removesuffix(ending) if count == 1 else units}"


def sentences(account: pl.DataFrame) -> list[str]:
    """Return the notes of an account table as sentences."""
    rows = account.filter(pl.col("stage") == IDENTIFIERS)
    return [
        f"{unit}: {count:,} {reason}{f' ({shown})' if shown else ''}."
        for unit, reason, count, shown in rows.select("unit", "reason", "count", "examples").rows()
    ]


def combined(notes: Iterable[Note]) -> list[Note]:
    """Combine notes on the same table, column and observation: counts of changed rows are added."""
    found: dict[tuple[str, str, str], Note] = {}
    for note in notes:
        key = (note.table, note.column, note.what)
        if key not in found:
            found[key] = note
        elif note.changed:
            examples = tuple(dict.fromkeys((*found[key].examples, *note.examples)))[:5]
            found[key] = replace(found[key], count=found[key].count + note.count, examples=examples)
        elif note.count > found[key].count:
            found[key] = note
    return list(found.values())
