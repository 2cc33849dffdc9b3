"""The account of exclusions and changes between the input tables and the estimates, with counts and up to five
examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from overread import codes, tables
from overread.codes import Text
from overread.tables.table_notes import IDENTIFIERS
from overread.tables.table_notes import combined as notes_combined

# Stages of the account that commands print and the report repeats.
TABLES = "tables"  # what was changed or left out when files were read
UNMATCHED = "unmatched"  # rows that were left out because the images table lacks their image or case


NOT_EVALUATED = ("findings_only_uncertain", "findings_without_label")  # codes of findings without any estimate


@dataclass(frozen=True, slots=True)
class Dropped:
    """Number of excluded or changed units, the reason, examples, and the stage if it is not the default."""

    unit: str
    reason: Text
    count: int
    examples: str = ""
    stage: str = ""


def examples_of(frame: pl.DataFrame, columns: Sequence[str]) -> str:
    """Format up to five different keys of a frame as text.

    >>> examples_of(pl.DataFrame({"case_id": ["1", "1", "2"]}), ["case_id"])
    '1; 2'
    """
    rows = frame.select(columns).unique(maintain_order=True).head(5).rows()
    return "; ".join(" ".join(str(v) for v in row) for row in rows)


def account_frame(stage: str, dropped: Sequence[Dropped]) -> pl.DataFrame:
    """Return the account table of a stage."""
    rows = [
        {
            "stage": d.stage or stage,
            "unit": d.unit,
            "reason": d.reason,
            "reason_code": codes.encode(d.reason),
            "count": d.count,
            "examples": d.examples,
        }
        for d in dropped
    ]
    return tables.check(pl.DataFrame(rows), "account") if rows else tables.empty("account")


def identifiers(notes: Iterable[tables.Note]) -> pl.DataFrame:
    """Return the account of identifiers that were changed or are unusual."""
    found = [
        Dropped(n.table, codes.note("identifier_note", text=n.what), n.count, "; ".join(n.examples))
        for n in notes_combined(notes)
    ]
    return account_frame(IDENTIFIERS, found)
