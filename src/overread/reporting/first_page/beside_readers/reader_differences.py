"""Differences in sensitivity between models and readers on the first page, by reference standard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from overread.reporting.estimate_cells import known
from overread.reporting.first_page.first_page_parts import bounded
from overread.reporting.number_format import count, fixed, number, plural
from overread.reporting.report_data import Row
from overread.reporting.sections.reader_results.model_sentences import AGAINST, AT_SPECIFICITY
from overread.reporting.sections.reader_results.reader_titles import ReadRows, classes_of, in_sentence


@dataclass(frozen=True, slots=True)
class OutputOfFinding:
    """What stands for a finding: the finding and the part of the outputs' names behind the model, "" for its own."""

    finding: str
    mapping: str


def outputs_of(reads: ReadRows) -> list[OutputOfFinding]:
    """The outputs with a difference, of every finding."""
    found = [
        OutputOfFinding(f, o.partition(" [")[2].removesuffix("]")) for f in reads.findings for o in reads.ranked(f)
    ]
    return [o for o in dict.fromkeys(found) if _differences(reads, o)]


def models_of(reads: ReadRows, output: OutputOfFinding) -> list[str]:
    """The outputs of the models with scores that stand for a finding."""
    tail = f" [{output.mapping}]" if output.mapping else ""
    return [o for o in reads.ranked(output.finding) if o == o.partition(" [")[0] + tail]


def difference(reads: ReadRows, output: OutputOfFinding, reference: str, rater: str) -> Row | None:
    """The difference in sensitivity at the specificity of the readers."""
    return reads.rows(output.finding, reference).get(("sensitivity_difference", AT_SPECIFICITY, rater, AGAINST))


def _differences(reads: ReadRows, output: OutputOfFinding) -> list[Row]:
    every = (difference(reads, output, ref, r) for ref in reads.references for r in models_of(reads, output))
    return [row for row in every if known(row)]


def counted_differences(reads: ReadRows, outputs: Sequence[OutputOfFinding], reference: str) -> list[Row]:
    """The differences with an interval under a reference, in the order of the figure; all where none has one."""
    rows = _known(reads, outputs, reference)
    return [row for row in rows if bounded(row)] if any_interval(reads, outputs) else rows


def _known(reads: ReadRows, outputs: Sequence[OutputOfFinding], reference: str) -> list[Row]:
    every = (difference(reads, o, reference, r) for o in outputs for r in models_of(reads, o))
    return [row for row in every if known(row) and row is not None]


def any_interval(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> bool:
    """Whether some difference has an interval: with one reader, or few patients, none has."""
    return any(bounded(row) for r in reads.references for row in _known(reads, outputs, r))


def leading_references(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> tuple[str, str] | None:
    """The reference that leads, and the one that stands beside it.

    The first stated one leads. Beside it stands, of the other stated ones, or else of the derived ones, that with the
    mean which is furthest from its own: where a derived one is further, the range over all says so.
    """
    mean = _means(reads, outputs)
    if not mean:
        return None
    main, *rest = sorted(mean, key=lambda r: r not in reads.stated)
    beside = [r for r in rest if r in reads.stated] or rest
    return main, max(beside, key=lambda r: abs(mean[r] - mean[main]), default=main)


def _means(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> dict[str, float]:
    """The mean of the counted differences, by reference."""
    found = {r: rows for r in reads.references if (rows := counted_differences(reads, outputs, r))}
    return {r: sum(number(row["estimate"]) for row in rows) / len(rows) for r, rows in found.items()}


def lacking(reads: ReadRows, outputs: Sequence[OutputOfFinding], reference: str) -> str:
    """How many differences have no interval, and so no part in the count."""
    n = len(_known(reads, outputs, reference)) - len(counted_differences(reads, outputs, reference))
    return f"; {n} more without an interval" if n else ""


def readers_judged(reads: ReadRows, outputs: Sequence[OutputOfFinding], reference: str) -> str:
    """How many of the readers are judged by a reference standard, where it is not all of them."""
    own = [int(d["n_readers"]) for o in outputs for r in models_of(reads, o)
           if (d := difference(reads, o, reference, r)) and d.get("n_readers")]  # fmt: skip
    n = len(reads.people)
    if not own or max(own) >= n:
        return ""
    least = f"{min(own)} to {max(own)}" if min(own) < max(own) else f"{max(own)}"
    return f"{least} of {plural(n, 'reader')}"


def choice_of_second(reads: ReadRows, outputs: Sequence[OutputOfFinding], ends: tuple[str, str]) -> str:
    """Why the second reference standard of the table is that one; "" where there is no other of its kind."""
    main, beside = ends
    kind = beside in reads.stated
    if sum((r in reads.stated) == kind for r in _means(reads, outputs) if r != main) < 2:
        return ""
    of = "labels" if kind else "derived reference standards"
    what = "mean difference" if len(counted_differences(reads, outputs, main)) > 1 else "difference"
    return (
        f" By the reference standard that leads and, of the other {of}, the one whose {what} is furthest from its own."
    )


def of_references(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> list[str]:
    """What the reference standards of the answer do not have in common, and the range over all of them."""
    ends, mean = leading_references(reads, outputs), _means(reads, outputs)
    if not ends:
        return []
    said = []
    rows = [counted_differences(reads, outputs, r)[0] for r in dict.fromkeys(ends)]
    if len({row["n_cases"] for row in rows}) > 1:
        told = f"{reads.heading(rows[0]['finding']).lower()}: {'; '.join(map(_on_cases, rows))}"
        said.append(f"The two reference standards are not on the same cases ({told}).")
    if len(mean) > 2:
        low, high = (end(mean, key=lambda r: mean[r]) for end in (min, max))
        what = "mean difference" if len(counted_differences(reads, outputs, ends[0])) > 1 else "difference"
        span = [f"{fixed(mean[r], 2, signed=True)} ({in_sentence(r)})" for r in (low, high)]
        said.append(f"Over {len(mean)} reference standards the {what} runs from {span[0]} to {span[1]}.")
    return said


def _on_cases(row: Row) -> str:
    present = f", {count(row['n_present'])} with it" if classes_of(row).text else ""
    return f"by {in_sentence(row['reference'])} {count(row['n_cases'])}{present}"


def noun(reads: ReadRows, outputs: Sequence[OutputOfFinding]) -> str:
    """The models of the differences, one or several."""
    return "models" if len({r.partition(" [")[0] for o in outputs for r in models_of(reads, o)}) != 1 else "model"
