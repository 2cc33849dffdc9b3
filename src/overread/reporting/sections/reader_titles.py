"""The rows that rest on reads: which arm, whose word is truth, which readers and outputs, in the page's order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from overread.findings import Vocabulary
from overread.reporting.blocks import Cell
from overread.reporting.estimate_cells import estimate_cell, notes_of
from overread.reporting.number_format import listed
from overread.reporting.report_data import FROM_READS, ReportData, Row, at_title, by, finding_heading, pick

READERS = "(readers)"
MAJORITY, OTHERS, DAWID_SKENE = "majority", "majority of the others", "dawid-skene"
CALL_RATE = "call_rate=readers"  # the threshold where the model calls present as often as the readers do
FEW = 10  # reads of a class: below, a reader is a point without interval
_READS = re.compile(r"[\d,]+ reads?")
_SAID = re.compile(
    r"[\d,]+ reads?$|the readers' (sensitivity|specificity) is |attainable step on the ROC|the reference was made from"
    r"|threshold [\d.e-]+$"
)
_COUNTED = re.compile(r"\d+ present and \d+ absent reads, at least (\d+) of each needed")
_ENOUGH = r"fewer than \1 present or \1 absent reads"  # the counts stand in the table
_RESTS = re.compile(r"rests on ([\d.,]+) expected cases(?:, )?")
_DERIVED = {
    MAJORITY: "Majority of the readers",
    OTHERS: "Majority of the other readers",
    DAWID_SKENE: "Dawid–Skene",
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
        """The frozen operating points, those of a specificity first."""
        found = self.frame.filter(pl.col("finding") == finding)["at"].unique().to_list()
        names = {part for at in found for part in at.split(";") if part.startswith("operating_point=")}
        return tuple(sorted(names, key=lambda at: ("sens" in at, at)))


def arms(evidence: ReportData) -> list[ReadRows]:
    """The reads of every arm, unaided ones first."""
    rows = evidence.estimates.filter(pl.col("analysis") == "readers", pl.col("subgroup") == "read")
    rows = rows.with_columns(pl.col("policy").str.extract(r"uncertain_call=(\w+)").fill_null("").alias("call"))
    found = []
    for arm in sorted(rows["level"].unique().to_list(), key=lambda a: (a != "unaided", a)):
        every = pick(rows, level=arm)
        policy = str(evidence.config.get("uncertain_calls") or "absent")
        policies = every["call"].unique().sort().to_list()
        policy = policy if policy in policies else policies[0]
        frame = every.filter(pl.col("call").is_in([policy, ""]))
        made = frozenset({MAJORITY, OTHERS, DAWID_SKENE, *(evidence.config.get("reader_made") or ())})
        names = evidence.vocabulary.ordered(frame["finding"].unique().to_list())
        named = references(evidence, frame["reference"])
        found.append(ReadRows(arm, policy, every, frame, named, names, made, evidence.cast.raters, evidence.vocabulary))
    return found


def warnings(evidence: ReportData) -> list[str]:
    """What must be known before the comparison with readers is read."""
    found = arms(evidence)
    if not found:
        return []
    own = [in_sentence(r) for r in found[0].references if r in found[0].made - {OTHERS}]
    read, tested = (_most_cases(f) for f in (found[0].frame, pick(evidence.estimates, analysis="standalone")))
    said = []
    if read < tested:
        said.append(
            f"Readers read {read:,} of {tested:,} test cases. Unless these were drawn at random, predictive values "
            "cannot be estimated from them."
        )
    if own:
        by_these = "it" if len(own) == 1 else "these"
        said.append(
            f"These readers' own reads went into {listed(own)}: judged by {by_these}, readers are favoured over models."
        )
    return said


def _most_cases(rows: pl.DataFrame) -> int:
    return max((n for n in rows["n_cases"] if n is not None), default=0)


def told(evidence: ReportData) -> list[str]:
    """The comparison with the average reader, a sentence per arm: how often a model is lower, and how often higher."""
    said = []
    for of in arms(evidence):
        rows = pick(of.frame, metric="sensitivity_difference", at="specificity=readers", contrast=f"rater:{READERS}")
        rows = rows.filter(pl.col("low").is_not_nan(), pl.col("high").is_not_nan())
        parts = []
        for reference in of.references:
            mine = pick(rows, reference=reference)
            lower, higher = int((mine["high"] < 0).sum()), int((mine["low"] > 0).sum())
            counted = f"lower in {lower} and higher in {higher} of {mine.height}"
            parts += [f"{counted} by {in_sentence(reference)}"] if mine.height else []
        if parts:
            where = f" ({of.arm})" if len(arms(evidence)) > 1 else ""
            said.append(
                f"Beside readers{where}: at the average reader’s specificity the sensitivity of a model is "
                f"{'; '.join(parts)} (comparisons of a finding and an output whose interval excludes 0)."
            )
    return said


def references(evidence: ReportData, names: Iterable[str]) -> tuple[str, ...]:
    """References in their order: labels made for the comparison, what the reads make, the set's own label last."""
    place = {MAJORITY: 1, OTHERS: 2, DAWID_SKENE: 3}
    return tuple(sorted(set(names) - {""}, key=lambda r: (place.get(r, 4 if own_label(evidence, r) else 0), r)))


def own_label(evidence: ReportData, reference: str) -> bool:
    """Whether it is the label that everything but the comparison with readers is judged by."""
    rows = evidence.estimates.filter(~pl.col("analysis").is_in(FROM_READS))
    return any(reference in joined.split(", ") for joined in rows["reference"].unique().to_list())


def reference_title(reference: str) -> str:
    """How a reference standard is headed.

    >>> reference_title("majority"), reference_title("adjudicated"), reference_title("nih14")
    ('Majority of the readers', 'Label “adjudicated”', 'Label “nih14”')
    """
    return _DERIVED.get(reference, f"Label “{reference}”")


def in_sentence(reference: str) -> str:
    """A reference standard within a sentence.

    >>> in_sentence("majority"), in_sentence("dawid-skene")
    ('the majority of the readers', 'Dawid–Skene')
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
    """Estimate (interval); notes that the tables of reads say by themselves are left to the list of all notes.

    >>> row = {"estimate": 0.8, "low": 0.7, "high": 0.9, "note": "2,700 reads; threshold 0.31; one site"}
    >>> reads_cell(row).notes
    ('one site',)
    """
    cell = estimate_cell(row, digits=digits, signed=signed)
    if row is None:
        return cell
    below = next((m.group(1) for n in cell.notes or () if (m := _RESTS.match(n))), "")
    notes = (_RESTS.sub("", _COUNTED.sub(_ENOUGH, n)) for n in cell.notes or () if not _SAID.match(n))
    return replace(cell, note=f"of {below} expected cases" if below else "", notes=tuple(n for n in notes if n))


def reads_of(row: Row | None) -> str:
    """How many reads a pooled number rests on, in its note's words; "" where it does not say."""
    return next((n for n in notes_of(row) if _READS.fullmatch(n)), "") if row is not None else ""


def threshold_of(row: Row) -> str:
    """The frozen threshold that a row's note names; "" where it names none."""
    return next((n for n in notes_of(row) if re.fullmatch(r"threshold [\d.e+-]+", n)), "")


def point_title(at: str) -> str:
    """What an `at` of these rows says.

    >>> point_title("specificity=readers"), point_title("operating_point=spec90;test=u-statistic")
    ('the readers’ specificity', 'threshold frozen for specificity 0.90')
    """
    first = at.partition(";")[0]
    if first == CALL_RATE:
        return "as many calls as the readers make"
    return f"the readers’ {first.partition('=')[0]}" if first.endswith("=readers") else at_title(first)
