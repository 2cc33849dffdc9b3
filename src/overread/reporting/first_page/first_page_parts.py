"""What a first page is made of, and its numbers in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from overread.reporting.blocks import Block, Cell, Figure, Table
from overread.reporting.estimate_cells import code_of, known
from overread.reporting.number_format import MISSING, fixed, interval, limit, number
from overread.reporting.report_data import MEAN, ReportData, Row

MOST_ROWS = 8  # rows of the table of the first page


@dataclass(frozen=True, slots=True)
class FirstPage:
    """The first page of a kind of study, before its limits."""

    kicker: str
    question: str
    answer: str
    more: str = ""
    facts: tuple[tuple[str, str], ...] = ()  # (what, how many)
    figure: Figure | None = None
    table: Table | None = None
    detail: tuple[Block, ...] = ()  # the figure as a table
    terms: tuple[tuple[str, str], ...] = ()  # how to read the page
    verdict: str = ""  # on a claim whose rule a protocol states
    beside: Table | None = None  # a second table


@dataclass(frozen=True, slots=True)
class Limitation:
    """What limits the answer: a short name for the line at the top, the sentence, and the section that has more.

    The lower the rank, the worse.
    """

    rank: int
    short: str
    head: str
    text: str = ""
    link: str = ""


def bounded(row: Row | None) -> bool:
    """Whether a row has a number with an interval."""
    return known(row) and number(row["low"]) == number(row["low"]) and number(row["high"]) == number(row["high"])


def constant(row: Row | None) -> bool:
    """Whether the interval has no width: the estimate does not vary, so that it is not known how uncertain it is."""
    return bounded(row) and row is not None and number(row["low"]) == number(row["high"])


def spelled(row: Row | None, *, digits: int = 3, signed: bool = False, level: bool = True, nested: bool = False) -> str:
    """A number with its interval in words; `nested` within a bracket.

    >>> row = {"estimate": 0.044, "low": -0.0004, "high": 0.088, "confidence": 0.95}
    >>> spelled(row, signed=True)
    '+0.044 (95% interval −0.0004 to +0.088)'
    >>> spelled(row | {"low": float("nan")})
    '0.044 (no interval)'
    >>> spelled({"estimate": 0.0, "low": 0.0, "high": 0.0})
    '0.000 (no interval: no variation)'
    """
    if not known(row):
        return "not computed"
    value = fixed(row["estimate"], digits, signed=signed)
    if not bounded(row):
        return f"{value} (no interval)"
    if constant(row):
        return f"{value}, no interval (no variation)" if nested else f"{value} (no interval: no variation)"
    named = f"{100 * number(row.get('confidence') or 0.95):g}% interval " if level else ""
    ends = (limit(row[end], digits, signed=signed) for end in ("low", "high"))
    ends_of = f"{named}{' to '.join(ends)}"
    return f"{value}, {ends_of}" if nested else f"{value} ({ends_of})"


def negated(row: Row) -> Row:
    """The difference the other way round."""
    return {**row, "estimate": -number(row["estimate"]), "low": -number(row["high"]), "high": -number(row["low"])}


def side(row: Row | None) -> int:
    """On which side of 0 a whole interval lies: -1 or 1; 0 where it contains 0 or there is none."""
    if not bounded(row) or row is None:
        return 0
    return -1 if number(row["high"]) < 0 else 1 if number(row["low"]) > 0 else 0


def undecided(evidence: ReportData, row: Row | None, prespecified: str) -> str:
    """What follows a difference whose interval contains 0: a statement only where a protocol stated a rule before."""
    if not bounded(row) or side(row) or constant(row):
        return ""
    return f"; {prespecified}" if evidence.study.get("protocol_hash") else "; the interval includes 0"


def hospital(population: str) -> str:
    """A population within a sentence.

    >>> hospital("external:elm"), hospital("internal")
    ('elm', 'the internal test')
    """
    return population.partition(":")[2] if population.startswith("external:") else f"the {population} test"


def place(population: str) -> str:
    """Where a number is from, of several populations.

    >>> place("external:elm"), place("internal")
    ('at elm', 'in the internal test')
    """
    return f"{'at' if population.startswith('external:') else 'in'} {hospital(population)}"


def findings_of(row: Row | None) -> int:
    """Over how many findings a mean was taken; 0 for a number of one finding."""
    code = code_of(row, "mean_over_findings")
    return int(str(code["n"])) if code else 0


def fewer_findings(row: Row | None, most: int) -> str:
    """Over how many findings a mean is, where another number of the page is over more: `over 3 of 5 findings`."""
    own = findings_of(row)
    return f"over {own} of {most} findings" if 0 < own < most else ""


def number_cell(row: Row | None, most: int = 0, *, digits: int = 3, signed: bool = False) -> Cell:
    """A number with its interval; below it the findings, where fewer than `most` are in the mean."""
    if not known(row):
        return Cell(MISSING, "num", note="not computed" if row is not None else "not evaluated")
    note = fewer_findings(row, most) or ("" if bounded(row) else _no_interval(row))
    if constant(row):
        return Cell(fixed(row["estimate"], digits, signed=signed), "num", note=note or "no interval (no variation)")
    return Cell(interval(row["estimate"], row["low"], row["high"], digits, signed=signed), "num", note=note)


def _no_interval(row: Row | None) -> str:
    """That there is no interval; with the reason where the estimated variance is negative, which more data may mend."""
    return "no interval (negative variance)" if code_of(row, "negative_variance") else "no interval"


def leading_findings(evidence: ReportData, findings: Sequence[str]) -> list[str]:
    """The findings that an answer is about: the prespecified ones, or else all but "No finding" where others exist."""
    chosen = set(evidence.config.get("findings") or ())
    named = [f for f in findings if f in chosen]
    return named or [f for f in findings if f != "no_finding"] or list(findings)


def headline_finding(evidence: ReportData, rows: Iterable[Row]) -> str:
    """What a headline is about: the mean over findings, the only finding, or, without any mean, one finding.

    That is one with an interval before one without, and then the one with the most cases of its rarer class.
    """
    findings, there = evidence.cast.findings, [row for row in rows if known(row)]
    named = {row["finding"] for row in there}
    if len(findings) == 1 and (findings[0] in named or not named):
        return findings[0]
    if MEAN in named or not named:
        return MEAN

    def weight(finding: str) -> tuple[bool, int]:
        own = [row for row in there if row["finding"] == finding]
        return max(((bounded(r), min(r["n_present"] or 0, r["n_absent"] or 0)) for r in own), default=(False, -1))

    return max(leading_findings(evidence, findings), key=weight)


def most_findings(rows: Iterable[Row | None]) -> int:
    """The largest number of findings of the means in a column."""
    return max((findings_of(row) for row in rows), default=0)


def first_rows(table: Table, what: str) -> Table:
    """The table without the rows beyond the eighth; that there are more is said below it."""
    count = sum(row[0].kind != "group" for row in table.rows)
    if count <= MOST_ROWS:
        return table
    kept, left = [], MOST_ROWS
    for row in table.rows:
        if row[0].kind != "group":
            if not left:
                continue
            left -= 1
        elif not left:
            continue
        kept.append(row)
    remark = f"{MOST_ROWS} of {count} {what}; the others are in the sections below. {table.remark}".strip()
    return replace(table, rows=tuple(kept), remark=remark)


AUC_TERM = (
    "AUC",
    "The probability that a radiograph with the finding gets a higher score than one without it: 0.5 is chance, 1 is "
    "complete separation.",
)
AUC_WITHIN_TERM = (
    "AUC",
    "The probability that a radiograph with the finding gets a higher score than one without it from the same "
    "hospital: 0.5 is chance, 1 is complete separation. Radiographs of different hospitals are not compared.",
)
THRESHOLD_TERM = (
    "Threshold",
    "The score from which a radiograph is marked. Sensitivity: the proportion marked of those with the finding. "
    "Specificity: the proportion not marked of those without it.",
)
RATES_TERM = (
    "Sensitivity and specificity",
    "The proportion called present of the cases with the finding, and called absent of those without it.",
)
MARK_TERM = ("Filled and hollow marks", "A filled mark has an interval, a hollow mark has none.")


def interval_term(level: str) -> tuple[str, str]:
    """What an interval is, for the glossary."""
    return (
        f"{level} interval",
        "The range of values that are compatible with the data. Cases of one patient are not counted as independent. "
        "An interval of a difference that contains 0 shows neither a difference nor its absence.",
    )


def pooled_term(how: str) -> tuple[str, str]:
    """What the pooled readers are, for the glossary; `how` as `reader_titles.pooling` has it."""
    weights = "weighted by the sampling weights of their cases" if how == "weighted" else "each with the same weight"
    return "Pooled readers", f"All reads together, {weights}."
