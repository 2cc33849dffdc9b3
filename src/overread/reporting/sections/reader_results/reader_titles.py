"""The rows based on reads: arms, reference standards, readers and model outputs, in the order of the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from overread import codes
from overread.findings import Vocabulary
from overread.reporting.blocks import Cell
from overread.reporting.estimate_cells import code_of, codes_of, estimate_cell, notes_but
from overread.reporting.report_data import (
    FROM_READS,
    ReportData,
    Row,
    at_title,
    at_values,
    by,
    finding_heading,
    pick,
    points_in_order,
    value_at,
)

READERS = "(readers)"
MAJORITY, OTHERS, DAWID_SKENE = "majority", "majority of the others", "dawid-skene"
CALL_RATE = "call_rate=readers"  # the threshold where the model calls present as often as the readers do
FEW_READS = "few_reads"
# Notes that the tables of reads show by themselves.
_SHOWN = ("reads_pooled", "readers_rate", "matched_to_readers", "reference_from_readers", "threshold_value")
_EXPECTED = ("expected_cases", "few_expected_cases")
_DERIVED = {
    MAJORITY: "Majority of the readers (derived)",
    OTHERS: "Majority of the other readers (derived)",
    DAWID_SKENE: "Dawid–Skene (derived)",
}


@dataclass(frozen=True, slots=True)
class ReadRows:
    """The rows of one arm of reads, and under them those that take uncertain calls as the evaluation does."""

    arm: str
    policy: str  # what uncertain calls are taken for
    every: pl.DataFrame  # under every policy
    frame: pl.DataFrame  # under the one
    references: tuple[str, ...]
    findings: tuple[str, ...]
    made: frozenset[str]  # references that these readers' own reads went into
    models: tuple[str, ...]  # in the page's order
    vocabulary: Vocabulary

    def heading(self, finding: str) -> str:
        """How a finding is headed."""
        return finding_heading(finding, self.vocabulary)

    def outputs(self, finding: str) -> tuple[str, ...]:
        """The models' outputs that score a finding, leading model first, a model's outputs beside each other."""
        rows = self.frame.filter(pl.col("finding") == finding, pl.col("arm") == "model")
        names = rows["rater"].unique(maintain_order=True).to_list()
        place = {m: i for i, m in enumerate(self.models)}
        return tuple(sorted(names, key=lambda r: place.get(r.partition(" [")[0], len(place))))

    def readers(self, finding: str) -> tuple[str, ...]:
        """The readers of a finding, those with most reads first."""
        mine = pl.col("finding") == finding, pl.col("arm") == self.arm, pl.col("rater") != READERS
        rows = self.frame.filter(*mine, pl.col("metric") == "sensitivity", pl.col("at") == "")
        ranked = rows.group_by("rater").agg(pl.col("n_cases").max()).sort("n_cases", "rater", descending=[True, False])
        return tuple(ranked["rater"].to_list())

    def rows(self, finding: str, reference: str) -> dict[tuple[str, ...], Row]:
        """The rows of a finding under a reference, by metric, at, rater and contrast."""
        return by(pick(self.frame, finding=finding, reference=reference), "metric", "at", "rater", "contrast")

    def points(self, finding: str) -> tuple[str, ...]:
        """The operating points, those of a specificity first."""
        found = self.frame.filter(pl.col("finding") == finding)["at"].unique().to_list()
        names = {f"operating_point={name}" for at in found if (name := value_at(at, "operating_point"))}
        return tuple(points_in_order(names))


def arms(evidence: ReportData) -> list[ReadRows]:
    """The reads of every arm, unaided ones first."""
    rows = evidence.estimates.filter(pl.col("analysis") == "readers", pl.col("subgroup") == "read")
    rows = with_calls(rows)
    found = []
    for arm in sorted(rows["level"].unique().to_list(), key=lambda a: (a != "unaided", a)):
        every = pick(rows, level=arm)
        policy = str(evidence.config.get("uncertain_calls") or "")
        policies = every["call"].unique().sort().to_list()
        policy = policy if policy in policies else policies[0]
        frame = every.filter(pl.col("call").is_in([policy, ""]))
        stated = evidence.config.get("reader_made") or ()
        by_all = () if isinstance(stated, dict) else stated  # named readers are not judged by what they made
        made = frozenset({MAJORITY, OTHERS, DAWID_SKENE, *by_all})
        names = evidence.vocabulary.ordered(frame["finding"].unique().to_list())
        named = references(evidence, frame["reference"])
        found.append(ReadRows(arm, policy, every, frame, named, names, made, evidence.cast.raters, evidence.vocabulary))
    return found


def most_cases(reads: ReadRows) -> int:
    """How many cases were read, at most for one estimate.

    Under the majority of the others a case can be present for one reader and absent for another, and counts twice.
    """
    rows = reads.frame.filter(pl.col("reference") != OTHERS)
    return max((int(n) for n in rows["n_cases"].drop_nulls()), default=0)


def with_calls(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with a column `call`: what uncertain calls were taken for, "" where it does not apply."""
    call = {policy: value_at(policy, "uncertain_call") for policy in rows["policy"].unique()}
    return rows.with_columns(pl.Series("call", [call[policy] for policy in rows["policy"]], pl.String))


def references(evidence: ReportData, names: Iterable[str]) -> tuple[str, ...]:
    """References in their order: stated labels, those made for the comparison first; then what the reads make."""
    place = {MAJORITY: 2, OTHERS: 3, DAWID_SKENE: 4}
    return tuple(sorted(set(names) - {""}, key=lambda r: (place.get(r, 1 if own_label(evidence, r) else 0), r)))


def own_label(evidence: ReportData, reference: str) -> bool:
    """Whether it is the label that everything but the comparison with readers is judged by."""
    rows = evidence.estimates.filter(~pl.col("analysis").is_in(FROM_READS))
    return any(reference in joined.split(", ") for joined in rows["reference"].unique().to_list())


def reference_title(reference: str) -> str:
    """How a reference standard is headed.

    >>> reference_title("majority"), reference_title("adjudicated"), reference_title("nih14")
    ('Majority of the readers (derived)', 'Label adjudicated', 'Label nih14')
    """
    return _DERIVED.get(reference, f"Label {reference}")


def in_sentence(reference: str) -> str:
    """A reference standard within a sentence.

    >>> in_sentence("majority"), in_sentence("dawid-skene")
    ('the majority of the readers (derived)', 'Dawid–Skene (derived)')
    """
    title = reference_title(reference)
    return title if reference == DAWID_SKENE else f"the {title[:1].lower()}{title[1:]}"


def output_title(rater: str) -> str:
    """A model's output, its mapping in words.

    >>> output_title("acme_v2 [max of pleural_effusion, mass]")
    'acme_v2 [max of pleural effusion, mass]'
    """
    model, bracket, mapping = rater.partition(" [")
    return model + bracket + mapping.replace("_", " ")


def reads_cell(row: Row | None, *, digits: int = 3, signed: bool = False) -> Cell:
    """Estimate (interval); notes that the tables of reads show by themselves are left to the list of all notes.

    >>> row = {"estimate": 0.8, "low": 0.7, "high": 0.9, "note_codes": "reads_pooled(n=2700) mean_over_readers"}
    >>> reads_cell(row).notes
    ('mean over readers',)
    """
    cell = estimate_cell(row, digits=digits, signed=signed)
    if row is None:
        return cell
    expected = next((code for name in _EXPECTED if (code := code_of(row, name))), None)
    below = f"{expected['n']:.1f} expected cases" if expected else ""
    notes = notes_but(row, *_SHOWN, *_EXPECTED, FEW_READS)
    few = [f"no CI: fewer than {code['least']} reads of a class" for code in codes_of(row) if code.name == FEW_READS]
    unreliable = code_of(row, "few_expected_cases")
    few += [f"fewer than {unreliable['least']} expected cases: unreliable"] if unreliable else []
    return replace(cell, note=below, notes=(*few, *notes))


def reads_of(row: Row | None) -> str:
    """How many reads a pooled number is based on, "" where this does not apply."""
    code = code_of(row, "reads_pooled")
    return codes.render("notes", code) if code else ""


def threshold_of(row: Row) -> str:
    """The threshold of a row, "" where its note has none."""
    code = code_of(row, "threshold_value")
    return codes.render("notes", code) if code else ""


def few_reads(rows: pl.DataFrame) -> int | None:
    """The number of reads of a class below which a reader has no interval, where a reader has so few."""
    found = {code["least"] for row in rows.iter_rows(named=True) if (code := code_of(row, FEW_READS))}
    return int(str(next(iter(found)))) if found else None


def point_title(at: str) -> str:
    """The title of an `at` of these rows.

    >>> point_title("specificity=readers"), point_title("operating_point=spec90;test=u-statistic")
    ('the readers’ specificity', 'threshold for specificity 0.90')
    """
    values = at_values(at)
    if values.get("call_rate") == "readers":
        return "the call rate of the readers"
    matched = next((key for key, value in values.items() if value == "readers"), "")
    if matched:
        return f"the readers’ {matched}"
    point = values.get("operating_point")
    return at_title(f"operating_point={point}" if point else at)
