"""The rows based on reads: arms, reference standards, readers and model outputs, in the order of the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from overread import codes
from overread.findings import Vocabulary
from overread.reporting.blocks import Cell
from overread.reporting.estimate_cells import classes_cell, code_of, codes_of, estimate_cell, known, notes_but
from overread.reporting.first_page.mean_aucs import drawn_models
from overread.reporting.number_format import capital, count, listed, plural
from overread.reporting.report_data import (
    DECISION,
    FROM_READS,
    ReportData,
    Row,
    at_title,
    at_values,
    confidence_of,
    finding_heading,
    natural,
    once,
    pick,
    points_in_order,
    value_at,
)

READERS = "(readers)"
_RATES = ("sensitivity", "specificity")
_OWN = (*_RATES, "auc")  # what a single reader has
MAJORITY, OTHERS, DAWID_SKENE = "majority", "majority of the others", "dawid-skene"
CALL_RATE = "call_rate=readers"  # the threshold where the model calls present as often as the readers do
FEW_READS = "few_reads"
# Notes on a reference standard, which are shown once for each finding and not beside every number.
REFERENCE_NOTES = (
    "dawid_skene_converged",
    "dawid_skene_not_converged",
    "dawid_skene_prevalence",
    "em_not_converged",
    "thin_readers",
    "start_dependent",
    "labels_switched",
    "not_identified",
    "single_class",
    "empty_classes",
    "single_answer_readers",
    "too_few_informative_readers",
    "few_common_cases",
    "blocks_apart",
    "switched_readers",
    "unanimous_overruled",
    "several_maxima",
    "map_estimate",
)
# Notes that the tables of reads show by themselves.
_SHOWN = (
    "reads_pooled",
    "readers_rate",
    "matched_to_readers",
    "reference_from_readers",
    "reader_not_in_reference",
    "threshold_value",
)
_EXPECTED = ("expected_cases", "few_expected_cases")
DERIVED = {
    MAJORITY: "Majority of the readers (derived)",
    OTHERS: "Majority of the other readers (derived)",
    DAWID_SKENE: "Dawid–Skene (derived)",
}
ALL_ARMS = "all"  # level of the rows about all arms together
CUTOFF = "rating_cutoff"


@dataclass(frozen=True)
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
    only: bool = True  # whether there are reads of this arm only
    named: frozenset[str] = frozenset()  # labels made by readers who are named, and not judged by them
    undrawn: frozenset[str] = frozenset()  # models that figures leave out, because there are many
    compared: frozenset[str] = frozenset()  # findings in which arms are compared

    @property
    def confidence(self) -> str:
        """The level of the intervals: `95%`."""
        return confidence_of(self.every)

    def heading(self, finding: str) -> str:
        """How a finding is headed."""
        return finding_heading(finding, self.vocabulary)

    def outputs(self, finding: str) -> tuple[str, ...]:
        """The models' outputs that score a finding, leading model first, a model's outputs beside each other."""
        return self._outputs.get(finding, ())

    @cached_property
    def _outputs(self) -> dict[str, tuple[str, ...]]:
        place = {m: i for i, m in enumerate(self.models)}
        scored = pick(self.frame, arm="model").select("finding", "rater").unique(maintain_order=True)
        names: dict[str, list[str]] = {}
        for finding, rater in scored.rows():
            names.setdefault(finding, []).append(rater)
        return {
            f: tuple(sorted(own, key=lambda r: place.get(r.partition(" [")[0], len(place)))) for f, own in names.items()
        }

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The findings with results on the page: with models, those that one scores or in which arms are compared."""
        return tuple(f for f in self.findings if self.outputs(f) or f in self.compared) or self.findings

    def decided(self, finding: str) -> tuple[str, ...]:
        """The outputs that are decisions without scores, which cannot be set to a rate of the readers."""
        return tuple(o for o in self.outputs(finding) if (finding, o) in self._decided)

    @cached_property
    def _decided(self) -> frozenset[tuple[str, str]]:
        return frozenset(pick(self.frame, at=DECISION, arm="model").select("finding", "rater").rows())

    def ranked(self, finding: str) -> tuple[str, ...]:
        """The outputs with scores."""
        return tuple(o for o in self.outputs(finding) if (finding, o) not in self._decided)

    def drawn(self, finding: str) -> tuple[str, ...]:
        """The outputs that figures draw over each other."""
        return tuple(o for o in self.outputs(finding) if o.partition(" [")[0] not in self.undrawn)

    def readers(self, finding: str) -> tuple[str, ...]:
        """The readers of a finding, those with most reads first."""
        return self._readers.get(finding, ())

    @cached_property
    def _readers(self) -> dict[str, tuple[str, ...]]:
        mine = pl.col("arm") == self.arm, pl.col("rater") != READERS
        rows = self.frame.filter(*mine, pl.col("metric").is_in(_OWN), pl.col("contrast") == "")
        found: dict[str, list[tuple[int, str]]] = {}
        for finding, name, n in rows.group_by("finding", "rater").agg(pl.col("n_cases").max().fill_null(0)).rows():
            found.setdefault(finding, []).append((n, name))
        return {f: tuple(r for _, r in sorted(own, key=lambda o: (-o[0], natural(o[1])))) for f, own in found.items()}

    @cached_property
    def people(self) -> tuple[str, ...]:
        """All readers of the arm, by name."""
        return tuple(sorted({r for f in self.findings for r in self.readers(f)}, key=natural))

    def cutoff(self, finding: str) -> str:
        """The `at` of the rates of graded reads, "" for calls."""
        found = pick(self.frame, finding=finding, metric="sensitivity")["at"].unique().sort().to_list()
        values = [value for at in found if (value := value_at(at, CUTOFF))]
        return f"{CUTOFF}={values[0]}" if values else ""

    def graded(self, finding: str) -> bool:
        """Whether readers have an AUC, so that they gave grades."""
        mine = pick(self.frame, finding=finding, metric="auc", arm=self.arm)
        return bool(mine.filter(pl.col("estimate").is_not_nan()).height)

    def pooled(self, finding: str) -> bool:
        """Whether the reads were pooled, which needs calls: grades are not, with a cutoff or without."""
        return finding in self.pooled_rates["finding"]

    @cached_property
    def pooled_rates(self) -> pl.DataFrame:
        """Sensitivity and specificity of the pooled reads."""
        return self.frame.filter(pl.col("rater") == READERS, pl.col("metric").is_in(_RATES), pl.col("at") == "")

    @property
    def stated(self) -> tuple[str, ...]:
        """The reference standards that are labels, not derived from the reads."""
        return tuple(r for r in self.references if r not in DERIVED)

    def rows(self, finding: str, reference: str) -> dict[tuple[str, ...], Row]:
        """The rows of a finding under a reference, by metric, at, rater and contrast."""
        return self._found.get((finding, reference), {})

    @cached_property
    def _found(self) -> dict[tuple[str, str], dict[tuple[str, ...], Row]]:
        """The rows by finding and reference: the page asks for each of them many times."""
        found: dict[tuple[str, str], dict[tuple[str, ...], Row]] = {}
        for row in self.frame.iter_rows(named=True):
            own = found.setdefault((row["finding"], row["reference"]), {})
            own.setdefault((row["metric"], row["at"], row["rater"], row["contrast"]), row)
        return found

    def points(self, finding: str) -> tuple[str, ...]:
        """The operating points, those of a specificity first."""
        found = self.frame.filter(pl.col("finding") == finding)["at"].unique().to_list()
        names = {f"operating_point={name}" for at in found if (name := value_at(at, "operating_point"))}
        return tuple(points_in_order(names))


@once
def arms(evidence: ReportData) -> list[ReadRows]:
    """The reads of every arm, unaided ones first."""
    rows = evidence.estimates.filter(pl.col("analysis") == "readers", pl.col("subgroup") == "read")
    rows = with_calls(rows)
    found = []
    levels = arm_order(evidence, rows["level"].unique().to_list())
    compared = frozenset(rows.filter(pl.col("contrast").str.starts_with("arm:"))["finding"])
    for arm in levels:
        every = pick(rows, level=arm)
        policy = str(evidence.config.get("uncertain_calls") or "")
        policies = every["call"].unique().sort().to_list()
        policy = policy if policy in policies else policies[0]
        frame = every.filter(pl.col("call").is_in([policy, ""]), pl.col("finding") != "")  # "": reading time, trust
        stated = evidence.config.get("reader_made") or ()
        by_all = () if isinstance(stated, dict) else stated  # named readers are not judged by what they made
        made = frozenset({*DERIVED, *by_all, *_from_readers(every)})
        names = evidence.vocabulary.ordered(frame["finding"].unique().to_list())
        shown = references(evidence, _with_results(frame))
        models, only = evidence.cast.raters, len(levels) == 1
        named, undrawn = _made_by_named(evidence) - made, frozenset(models) - {*drawn_models(evidence)}
        more = (only, named, undrawn, compared)
        found.append(ReadRows(arm, policy, every, frame, shown, names, made, models, evidence.vocabulary, *more))
    return found


def _with_results(frame: pl.DataFrame) -> list[str]:
    """The labels, and of the derived references those with a number: one that is not identified gives no results.

    Beside models the number is of a finding that a model scores: the page shows no others. One under which arms are not
    compared stays, so that the comparison of arms gives the reason.
    """
    labels = [r for r in frame["reference"].unique() if r not in DERIVED]
    scored = pick(frame, arm="model")["finding"].unique()
    number = pl.col("estimate").is_not_nan()
    number = number & pl.col("finding").is_in(scored.implode()) if scored.len() else number
    shown = number | pl.col("contrast").str.starts_with("arm:")
    derived = frame.filter(pl.col("reference").is_in([*DERIVED]) & shown)["reference"].unique()
    return [*labels, *derived] if set(labels) - {""} or derived.len() else frame["reference"].unique().to_list()


def _made_by_named(evidence: ReportData) -> frozenset[str]:
    """The labels made by readers who are named, so that their reads are not judged by them."""
    lines = (code for text in evidence.account["reason_code"].drop_nulls() for code in codes.decode(text))
    return frozenset(str(code["reference"]) for code in lines if code.name == "makers_not_judged")


def arm_order(evidence: ReportData, levels: Iterable[str]) -> list[str]:
    """The arms, each once: the one that is subtracted from the others first."""
    baseline = str(evidence.config.get("baseline_arm") or "unaided")
    return sorted(set(levels) - {"", ALL_ARMS}, key=lambda a: (a != baseline, a))


def _from_readers(rows: pl.DataFrame) -> set[str]:
    """The references whose rows say that they were made from the reads of the same readers."""
    texts = rows.select("reference", "note_codes").unique().drop_nulls().rows()
    return {r for r, text in texts if any(code.name == "reference_from_readers" for code in codes.decode(text))}


def most_cases(reads: ReadRows) -> int:
    """How many cases were read, at most for one estimate.

    Under the majority of the others a case can be present for one reader and absent for another, and counts twice.
    """
    rows = reads.frame.filter(pl.col("reference") != OTHERS, pl.col("finding").is_in(list(reads.shown)))
    return max((int(n) for n in rows["n_cases"].drop_nulls()), default=0)


def with_calls(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with a column `call`: what uncertain calls were taken for, "" where it does not apply."""
    call = {policy: value_at(policy, "uncertain_call") for policy in rows["policy"].unique()}
    return rows.with_columns(pl.Series("call", [call[policy] for policy in rows["policy"]], pl.String))


def own_reference(names: list[str]) -> str:
    """What a reference standard made from the same reads does to the readers' performance, without a model."""
    verb = "was" if len(names) == 1 else "were"
    return (
        f"{capital(listed(names))} {verb} made from the reads of the same readers: performance "
        "measured against such a reference standard is overestimated."
    )


def references(evidence: ReportData, names: Iterable[str]) -> tuple[str, ...]:
    """References in their order: the stated reference standard, other labels, then what is derived from the reads."""
    # without a model the one in which a reader's own reads have no part leads; it gives a model no single ROC curve
    place = {MAJORITY: 3, OTHERS: 4 if evidence.cast.raters else 2, DAWID_SKENE: 5}
    stated = [*(evidence.config.get("references") or evidence.config.get("sources") or ())]
    given = {r: i for i, r in enumerate(stated)}
    own = evidence.config.get("reference") or ()  # by which everything else is judged too
    own = (own,) if isinstance(own, str) else tuple(own)

    def order(reference: str) -> tuple[int, bool, int, str]:
        return place.get(reference, 0), reference not in own, given.get(reference, len(given)), reference

    return tuple(sorted(set(names) - {""}, key=order))


def own_label(evidence: ReportData, reference: str) -> bool:
    """Whether it is the label that everything but the comparison with readers is judged by."""
    rows = evidence.estimates.filter(~pl.col("analysis").is_in(FROM_READS))
    return any(reference in joined.split(", ") for joined in rows["reference"].unique().to_list())


def reference_title(reference: str) -> str:
    """How a reference standard is headed; what was derived from the reads says so.

    >>> reference_title("majority"), reference_title("adjudicated"), reference_title("nih14")
    ('Majority of the readers (derived)', 'Label adjudicated', 'Label nih14')
    """
    return DERIVED.get(reference, f"Label {reference}")


def in_sentence(reference: str) -> str:
    """A reference standard within a sentence.

    >>> in_sentence("majority"), in_sentence("dawid-skene")
    ('the majority of the readers (derived)', 'Dawid–Skene (derived)')
    """
    title = reference_title(reference)
    return title if reference == DAWID_SKENE else f"the {title[:1].lower()}{title[1:]}"


def in_words(title: str) -> str:
    """The title of a finding within a sentence.

    >>> in_words("Lung opacity"), in_words("COVID-19")
    ('lung opacity', 'COVID-19')
    """
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def arm_title(arm: str) -> str:
    """How an arm is headed; a bare number says what it numbers, an aided arm what it was aided by.

    >>> arm_title("2"), arm_title("cine"), arm_title("aided:score+map")
    ('arm 2', 'cine', 'aided (score, map)')
    """
    kind, _, help_of = arm.partition(":")
    if kind == "aided" and help_of:
        return f"aided ({help_of.replace('+', ', ')})"
    return f"arm {arm}" if arm.isdigit() else arm


def reader_title(reader: str) -> str:
    """How a reader is headed; a bare number says what it numbers.

    >>> reader_title("1"), reader_title("r1")
    ('reader 1', 'r1')
    """
    return f"reader {reader}" if reader.isdigit() else reader


def output_title(rater: str) -> str:
    """A model's output, its mapping in words.

    >>> output_title("acme_v2 [max of pleural_effusion, mass]")
    'acme_v2 [max of pleural effusion, mass]'
    """
    model, bracket, mapping = rater.partition(" [")
    return model + bracket + mapping.replace("_", " ")


def is_pooled(row: Row | None) -> bool:
    """Whether a number of the readers together is of reads that were pooled from readers with unequal numbers."""
    return code_of(row, "readers_pooled") is not None


def classes_of(row: Row | None) -> Cell:
    """How many cases are present and absent; nothing of several readers under the majority of the others.

    >>> row = {"n_present": 57, "n_absent": 154, "rater": "(readers)", "arm": "unaided", "reference": "panel"}
    >>> classes_of(row).text, classes_of(row | {"reference": OTHERS}).text
    ('57 / 154', '')
    """
    pooled = row is not None and (row["rater"] == READERS or row["arm"] == "model")
    return Cell("", kind="num") if row and pooled and row["reference"] == OTHERS else classes_cell(row)


OTHERS_COUNT = (
    "Under the majority of the other readers a case can be present for one reader and absent for another: there is no "
    "single count. Cases with a tied vote are excluded."
)


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
    once = REFERENCE_NOTES if known(row) else ()  # of a missing number they may be the reason
    notes = notes_but(row, *_SHOWN, *_EXPECTED, *once, FEW_READS)
    few = [f"no CI: fewer than {code['least']} reads of the class" for code in codes_of(row) if code.name == FEW_READS]
    unreliable = code_of(row, "few_expected_cases")
    few += [f"fewer than {unreliable['least']} expected cases: unreliable"] if unreliable else []
    return replace(cell, note=below, notes=(*few, *notes))


def reads_of(row: Row | None) -> str:
    """How many reads a pooled number is based on, "" where this does not apply."""
    code = code_of(row, "reads_pooled")
    return codes.render("notes", code) if code else ""


def pooling(found: Iterable[ReadRows]) -> str:
    """How reads were pooled: "equal" weights, "weighted" by the sampling weights of the cases, or "" without any.

    Only rows of reads with equal weights carry the number of reads.
    """
    rows = [row for reads in found for row in reads.pooled_rates.to_dicts() if known(row)]
    return "" if not rows else "equal" if any(map(reads_of, rows)) else "weighted"


def threshold_of(row: Row) -> str:
    """The threshold of a row, "" where its note has none."""
    code = code_of(row, "threshold_value")
    return codes.render("notes", code) if code else ""


def most_reads(rows: pl.DataFrame, everyone: int = 0) -> str:
    """How many readers, of everyone who read, and reads and cases the rows of an arm are based on, in words."""
    own = pl.col("n_cases").is_not_null() & (pl.col("contrast") == "")  # reads of the arm, and no difference of arms
    single = rows.filter(pl.col("rater") != READERS, pl.col("arm") != "model", own)
    second = {value_at(at, "reader") for at in single["at"].unique()}  # of a pair, in the rows of agreement
    people = len({*single["rater"], *second} - {""})
    found = rows.select("note_codes", "n_cases").unique(maintain_order=True).to_dicts()
    pooled = [(int(str(code["n"])), r["n_cases"] or 0) for r in found if (code := code_of(r, "reads_pooled"))]
    cases = max((n for n in rows.filter(pl.col("reference") != OTHERS)["n_cases"] if n is not None), default=None)
    who = plural(people, "reader") if people >= everyone else f"{count(people)} of {plural(everyone, 'reader')}"
    if not cases:
        return who
    reads, read_cases = max(pooled, default=(0, 0))
    unit = "cases" if cases != 1 else "case"
    most = f"{count(cases)} {unit}"
    if reads and read_cases == cases:
        most = f"{count(reads)} reads of {most}"
    elif reads:  # of one estimate the reads, of another the cases
        most = f"{count(reads)} reads (of {plural(read_cases, 'case')}) and at most {most}"
    return f"{who}; at most {most} per estimate"


def _with_notes(rows: pl.DataFrame) -> list[Row]:
    return rows.select("note_codes").unique(maintain_order=True).to_dicts()


def few_reads(rows: pl.DataFrame) -> int | None:
    """The number of reads of a class below which its rate has no interval, where a reader has so few."""
    found = {code["least"] for row in _with_notes(rows) if (code := code_of(row, FEW_READS))}
    return int(str(next(iter(found)))) if found else None


def point_title(at: str) -> str:
    """The title of an `at` of these rows.

    >>> point_title("specificity=readers"), point_title("operating_point=spec90;test=u-statistic")
    ('the readers’ specificity', 'threshold for specificity 0.90')
    >>> point_title("decision")
    'decisions as given'
    """
    values = at_values(at)
    if DECISION in values:
        return "decisions as given"
    if values.get("call_rate") == "readers":
        return "the call rate of the readers"
    matched = next((key for key, value in values.items() if value == "readers"), "")
    if matched:
        return f"the readers’ {matched}"
    point = values.get("operating_point")
    return at_title(f"operating_point={point}" if point else at)
