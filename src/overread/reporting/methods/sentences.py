"""What was estimated and how, a sentence at a time: each stands only where an estimate of its kind is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

_COLUMNS = ("analysis", "metric", "at", "finding", "reference", "policy", "method", "note")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the methods and the estimates that it is about.

    term: the paragraph. text: with citations [@key] and, in braces, values of the configuration. The rest are patterns
    for the columns of the estimates, all of which must fit one row; `analysis` and `metric` fit as a whole.
    """

    term: str
    text: str
    analysis: str = ""
    metric: str = ""
    at: str = ""
    finding: str = ""
    reference: str = ""
    policy: str = ""
    method: str = ""
    note: str = ""

    def fits(self, row: Mapping[str, str]) -> bool:
        """Whether it is about this estimate."""
        whole = all(re.fullmatch(p, row[c]) for c in ("analysis", "metric") if (p := getattr(self, c)))
        return whole and all(re.search(p, row[c]) for c in _COLUMNS[2:] if (p := getattr(self, c)))


def kinds(estimates: pl.DataFrame) -> list[dict[str, str]]:
    """The estimates by kind: rows that differ in their numbers only (degrees of freedom, effective n) are one."""
    plain = pl.col("method").str.replace_all(r"\d+(\.\d+)?", "n")
    # Only of drops and label policies a sentence reads the note: other notes would make every row a kind of its own.
    note = pl.when(pl.col("analysis") == "drop").then("note").str.replace_all(r"\d+", "n").alias("note")
    kept = estimates.select(*_COLUMNS[:-2], plain, note)
    return kept.fill_null("").unique(maintain_order=True).to_dicts()


def told(
    rows: Iterable[Mapping[str, str]], said: Iterable[Sentence], values: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """The paragraphs (term, text) of the sentences that are about one of these rows, in the order of the sentences."""
    rows = list(rows)
    paragraphs: dict[str, list[str]] = {}
    for sentence in said:
        if any(sentence.fits(row) for row in rows):
            paragraphs.setdefault(sentence.term, []).append(sentence.text.format_map(values))
    for term, texts in paragraphs.items():
        yield term, " ".join(texts)


def untold(rows: Iterable[Mapping[str, str]], said: Iterable[Sentence]) -> list[str]:
    """The methods of these rows that no sentence tells: for each estimate with a method one must name it."""
    naming = [s for s in said if s.method]
    return sorted({row["method"] for row in rows if row["method"] and not any(s.fits(row) for s in naming)})


def undefined(rows: Iterable[Mapping[str, str]], said: Iterable[Sentence]) -> list[str]:
    """The metrics of these rows that no sentence says the meaning of."""
    naming = [s for s in said if s.metric or (s.analysis and not s.method)]
    return sorted({f"{r['analysis']} {r['metric']}" for r in rows if not any(_names(s, r) for s in naming)})


def _names(sentence: Sentence, row: Mapping[str, str]) -> bool:
    return all(re.fullmatch(p, row[c]) for c in ("analysis", "metric") if (p := getattr(sentence, c)))
