"""Models and readers: operating points of readers on the ROC curves of models, by reference standard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from overread.reporting.blocks import Block, Figure, Paragraph, Points, Section, appendix
from overread.reporting.estimate_cells import code_of, known
from overread.reporting.figures import reader_roc
from overread.reporting.figures.drawing_style import COLOURS, others_series
from overread.reporting.figures.figure_pool import both_widths
from overread.reporting.figures.forest_drawing import Scale
from overread.reporting.figures.forest_plots import MOST_MARKS, Line, forest_figure, mark_of
from overread.reporting.number_format import count, fixed, listed, number, plural
from overread.reporting.report_data import DECISION, ReportData, pick, points_in_order
from overread.reporting.sections.reader_results.arm_pairs import pairs
from overread.reporting.sections.reader_results.matched_tables import (
    AGAINST,
    AT_SPECIFICITY,
    first_reference_table,
    matched_table,
    threshold_table,
)
from overread.reporting.sections.reader_results.model_sentences import people_word, together_word
from overread.reporting.sections.reader_results.reader_performance import answer, performance_blocks
from overread.reporting.sections.reader_results.reader_tables import agreement_blocks, others_blocks
from overread.reporting.sections.reader_results.reader_titles import (
    FEW_READS,
    OTHERS,
    READERS,
    ReadRows,
    arms,
    few_reads,
    in_sentence,
    in_words,
    most_cases,
    output_title,
    point_title,
    pooling,
    reference_title,
    with_calls,
)
from overread.reporting.sections.reader_results.reads_account import HANDLED

_RARE = 50  # present cases: below, intervals are wide
_MOST_ROWS = 100  # of the tables by finding and reference standard: of more, one reference standard is in the main part


def readers(evidence: ReportData) -> Section:
    """Readers alone, or per arm and finding the figure and the model against the pooled readers."""
    found = arms(evidence)
    if not evidence.cast.raters:
        return _alone(evidence, found)
    title = "Comparison with readers"
    blocks: list[Block] = []
    for reads in found:
        own = [*_words(evidence, reads), *_overview(reads)]
        own += _by_finding(evidence, reads)
        if reads is found[0]:
            blocks += [*([Paragraph(f"Reads: {reads.arm}", kind="heading")] if len(found) > 1 else []), *own]
        elif own:
            blocks.append(appendix(f"Reads: {reads.arm}", own))
    blocks += agreement_blocks(evidence, found)
    if not blocks:
        return Section("readers", title, absent="no reads were evaluated")
    return Section("readers", title, tuple(blocks))


def _alone(evidence: ReportData, found: list[ReadRows]) -> Section:
    """The readers without a model."""
    shown = frozenset((p.finding, p.reference) for p in pairs(evidence) if p.measures)
    blocks = [*performance_blocks(evidence, found, shown), *agreement_blocks(evidence, found)]
    if not blocks:
        absent = "all results are in the comparison of arms" if shown else "no reads were evaluated"
        return Section("readers", "Readers", absent=absent)
    other = "Agreement among the readers; their performance is in the comparison of arms." if shown else ""
    return Section("readers", "Readers", tuple(blocks), answer=answer(found, shown) or other)


def _words(evidence: ReportData, reads: ReadRows) -> list[Block]:
    """Remarks on the comparison with readers."""
    people = reads.frame.filter(pl.col("arm") == reads.arm, pl.col("rater") != READERS)["rater"].n_unique()
    cases = most_cases(reads)
    said = [
        f"{plural(people, 'reader')}; at most {count(cases)} cases per estimate.{_pooling(reads)}",
        *_compared(reads),
        "Predictive values are not given: if the read cases were selected, they would apply to that selection only.",
    ]
    if not evidence.cast.raters:  # nothing is compared with a model
        said = [
            f"{plural(people, 'reader')}; at most {count(cases)} cases per estimate. Each read has the same weight."
        ]
    own = [in_sentence(r) for r in reads.references if r in reads.made - {OTHERS}]
    if own and evidence.cast.raters:
        said.append(
            f"These readers contributed to {listed(own)}; results under "
            f"{'it' if len(own) == 1 else 'these'} favour the readers over the models."
        )
    if own and evidence.cast.raters and OTHERS in reads.references:
        said.append("The majority of the other readers excludes the evaluated reader.")
    rare = [in_words(evidence.heading(f)) for f in reads.findings if _rare(reads, f)]
    if rare:
        said.append(
            f"Fewer than {_RARE} cases with the finding under a reference standard: {listed(rare)}. These CIs are wide."
        )
    if reads.policy and reads.every["call"].n_unique() > 1:
        said.append(
            f"Uncertain calls of readers are {HANDLED.get(reads.policy, reads.policy)}; the alternatives are folded "
            "below each finding."
        )
    return [Points(tuple(said))]


def _pooling(reads: ReadRows) -> str:
    """How reads were pooled; "" where no read was, and of one reader, who has the reads alone."""
    if len(reads.people) < 2:
        return ""
    words = {
        "equal": " Pooled readers: each read has the same weight. For a model, each case is weighted by its number of "
        "reads, so that models and readers are evaluated on the same cases with the same weights.",
        "weighted": " Pooled readers: reads are weighted by the sampling weights of their cases, and so are the cases "
        "of a model.",
    }
    return words.get(pooling([reads]), "")


def _compared(reads: ReadRows) -> list[str]:
    """How models are compared: with calls at their rates, with grades by the AUC."""
    said = []
    if pooling([reads]):
        said.append(
            "The calls of a reader give one pair of sensitivity and specificity, not a curve: the model is compared "
            "with it at the same specificity or at the same sensitivity, and its AUC is not compared with such points."
        )
    grades = [f for f in reads.findings if reads.graded(f)]
    uncalled = [f for f in grades if not reads.pooled(f)]
    if grades:
        said.append("The grades of a reader give an AUC: that of the model is compared with the mean of the readers.")
    if uncalled:
        known_cutoff = all(map(reads.cutoff, uncalled))
        rates = "" if known_cutoff else " The rates of the readers alone need a cutoff of the grades (rating_cutoffs)."
        said.append(
            "Of grades alone the model is not compared with the readers at their sensitivity or specificity: that "
            f"needs calls, present or absent.{rates}"
        )
    return said


def _overview(reads: ReadRows) -> list[Block]:
    """Overview: difference in sensitivity at the readers' specificity, a mark per reference standard.

    Where the marks do not fit on a sheet, those of the leading model are shown and the others are in the appendix.
    """
    models = list(dict.fromkeys(o.partition(" [")[0] for f in reads.findings for o in reads.outputs(f)))
    lines = {m: _difference_lines(reads, (m,)) for m in models}
    shown = [m for m in models if lines[m]]
    if not shown:
        return []
    if sum(len(line.marks) for found in lines.values() for line in found) <= MOST_MARKS:
        return [_difference_forest(reads, _difference_lines(reads, models), "")]
    first, *others = (_difference_forest(reads, lines[m], m) for m in shown)
    return [first, *([appendix("Difference in sensitivity of the other models", others)] if others else [])]


def _difference_lines(reads: ReadRows, models: Sequence[str]) -> list[Line]:
    lines = []
    for finding in reads.findings:
        of = [reads.rows(finding, r) for r in reads.references]
        for o in (o for o in reads.outputs(finding) if o.partition(" [")[0] in models):
            key = ("sensitivity_difference", AT_SPECIFICITY, o, AGAINST)
            marks = tuple(mark_of(rows[key], i, signed=True) for i, rows in enumerate(of) if key in rows)
            lines += [Line(f"{reads.heading(finding)}: {output_title(o)}", marks)] if marks else []
    return lines


def _difference_forest(reads: ReadRows, lines: Sequence[Line], model: str) -> Figure:
    """The forest of all models, or of one."""
    own = [reference_title(r) + (" †" if r in reads.made - {OTHERS} else "") for r in reads.references]
    dagger = " †: made from reads of these readers, which favours them." if any("†" in o for o in own) else ""
    who = people_word(reads)
    whose, people = ("reader's", "the reader") if who == "reader" else ("readers'", "pooled readers")
    caption = (
        f"{model or 'Models'} and {people}: sensitivity of the model at the "
        f"{whose} specificity minus that of the {who}, with CIs, by reference standard.{dagger}"
    )
    scale = Scale("Difference in sensitivity", null=0.0, signed=True, better=("← readers better", "model better →"))
    name = "-".join(filter(None, ("readers", reads.arm, "difference", model)))
    return forest_figure(lines, own, scale, name=name, caption=caption, numbers=others_series(len(own)))


def _rare(reads: ReadRows, finding: str) -> bool:
    rows = reads.frame.filter(pl.col("finding") == finding, pl.col("metric") == "auc")
    return bool((rows["n_present"] < _RARE).any())


def _by_finding(evidence: ReportData, reads: ReadRows) -> list[Block]:
    """Figure and tables of every finding; of many rows, one reference standard and the others in the appendix."""
    found = [f for f in reads.findings if reads.outputs(f)]
    if sum(len(reads.references) * (1 + len(reads.outputs(f))) for f in found) <= _MOST_ROWS:
        return [
            block
            for f in found
            for block in (
                Paragraph(evidence.heading(f), kind="heading"),
                *_comparison(evidence, reads, f),
                *_details(reads, f),
            )
        ]
    reference = reads.references[0]
    figure = _figure(evidence, reads, found, (reference,))
    blocks: list[Block] = [Paragraph(f"By {in_sentence(reference)}", kind="heading"), *figure]
    if ranked := [f for f in found if reads.ranked(f) and reads.pooled(f)]:
        blocks.append(first_reference_table(reads, ranked))
    for f in found:
        every = _comparison(evidence, reads, f)
        blocks.append(
            appendix(f"{reads.heading(f)}: all reference standards and details", (*every, *_details(reads, f)))
        )
    return blocks


def _comparison(evidence: ReportData, reads: ReadRows, finding: str) -> list[Block]:
    """A finding under every reference standard: the figure and the table."""
    matched = [matched_table(reads, finding)] if reads.ranked(finding) and reads.pooled(finding) else []
    decided = [threshold_table(reads, finding, DECISION)] if reads.decided(finding) else []
    return [*_figure(evidence, reads, (finding,), reads.references), *matched, *decided]


def _details(reads: ReadRows, finding: str) -> list[Block]:
    """The folded tables of a finding."""
    frozen = [threshold_table(reads, finding, at) for at in reads.points(finding)]
    title = f"{reads.heading(finding)}: at the thresholds of the models"
    return [*([appendix(title, tuple(frozen))] if frozen else []), *others_blocks(reads, finding)]


@dataclass(frozen=True, slots=True)
class _Series:
    """The outputs and thresholds that the panels of a figure draw."""

    outputs: tuple[str, ...]
    points: tuple[str, ...]


def _figure(
    evidence: ReportData, reads: ReadRows, findings: Sequence[str], references: Sequence[str]
) -> tuple[Figure, ...]:
    """The curves with the readers: of one finding by reference standard, or of several by one reference standard."""
    drawn = _Series(
        tuple(dict.fromkeys(o for f in findings for o in reads.drawn(f))),
        tuple(points_in_order({at for f in findings for at in _points(reads, f)})),
    )
    several = len(findings) > 1
    shown = [p for f in findings for r in references if (p := _panel(evidence, reads, (f, r), drawn, several=several))]
    if not shown:
        return ()
    end = reader_roc.axis_end(shown)
    inside = {p.place[1] for panel in shown for p in panel.frozen if p.x <= end}
    named = tuple((j, point_title(at)) for j, at in enumerate(drawn.points) if j in inside)
    few = any(p.few for panel in shown for p in panel.readers)
    curves = any(panel.curves for panel in shown)
    key = reader_roc.LegendKey(
        tuple(map(output_title, drawn.outputs)), named, few, _series(reads, drawn.outputs), curves=curves
    )
    caption = _caption(reads, findings, references, few=few) + (
        f" The axis of 1 − specificity ends at {end:g}; points beyond it are in the tables." if end < 1 else ""
    )
    name = "-".join(("readers", reads.arm, *(() if several else findings)))
    alt = f"{caption} {'; '.join(f'{p.title}: {_spoken(p)}' for p in shown)}."
    wide, phone = both_widths(reader_roc.reader_panels, shown, key, name=name, alt=alt)
    numbers = reader_roc.numbers(shown, key, "finding" if several else "reference")
    return (Figure(wide, caption, name, numbers, phone=phone),)


def _points(reads: ReadRows, finding: str) -> tuple[str, ...]:
    """The operating points that the figure draws: decisions as given, and thresholds."""
    return (*([DECISION] if reads.decided(finding) else []), *reads.points(finding))


def _caption(reads: ReadRows, findings: Sequence[str], references: Sequence[str], *, few: bool) -> str:
    several = len(findings) > 1
    drawn = f"the {len(reads.models) - len(reads.undrawn)} models with the highest mean AUC"
    whose = f"each of {drawn}" if reads.undrawn else "each model"
    per = f"finding; reference standard: {in_sentence(references[0])}" if several else "reference standard"
    least = few_reads(reads.frame.filter(pl.col("finding").is_in(findings)))
    hollow = f" Hollow grey points: readers with fewer than {least} reads of a class, drawn without CI." if few else ""
    left_out = " The other models are in the tables." if reads.undrawn else ""
    person = "the reader" if people_word(reads) == "reader" else "each reader"
    decided = any(reads.decided(f) for f in findings)
    if not any(reads.ranked(f) for f in findings):
        curves = f"{'D' if several else 'd'}ecisions of {whose}"
    else:
        curves = f"ROC curve of {whose} on the read cases, with pointwise confidence bands"
        curves += ", or its decisions as a point" if decided else ""
    return (
        f"{'' if several else f'{reads.heading(findings[0])}: '}{curves}, and the operating point of {person}, a "
        f"panel per {per}. Dotted: sensitivity and specificity of {together_word(reads)}.{left_out}{hollow}"
    )


def _series(reads: ReadRows, outputs: Sequence[str]) -> tuple[int, ...]:
    """The series of outputs: the colour is that of the model, the line tells its outputs apart."""
    models = [o.partition(" [")[0] for o in outputs]
    own = [reads.models.index(m) if m in reads.models else len(reads.models) for m in models]
    return tuple(k + len(COLOURS) * models[:i].count(m) for i, (k, m) in enumerate(zip(own, models, strict=True)))


def _spoken(panel: reader_roc.RocPanel) -> str:
    mean = panel.average
    who = "reader" if len(panel.readers) == 1 else "pooled readers"
    at = f"{who}: sensitivity {fixed(mean.y)}, specificity {fixed(1 - mean.x)}" if mean else f"no {who}"
    return ", ".join([at, plural(len(panel.readers), "reader"), *(text for _, text in panel.labels)])


def _panel(
    evidence: ReportData, reads: ReadRows, pair: tuple[str, str], drawn: _Series, *, several: bool
) -> reader_roc.RocPanel | None:
    """What is drawn of a finding under a reference standard; headed by the finding where there are several."""
    finding, reference = pair
    rows = reads.rows(finding, reference)
    people = [p for r in reads.readers(finding) if (p := _point(rows, r))]
    average = _point(rows, READERS)
    mine = pick(evidence.curves, curve="roc", subgroup="read", level=reads.arm, finding=finding, reference=reference)
    if "policy" in mine.columns and mine["policy"].n_unique() > 1:
        mine = with_calls(mine).filter(pl.col("call") == reads.policy)
    curves = tuple((i, o, part) for i, o in enumerate(drawn.outputs) if (part := pick(mine, rater=o)).height)
    if not people and average is None and not curves:
        return None
    frozen = [
        p
        for i, o in enumerate(drawn.outputs)
        for j, at in enumerate(drawn.points)
        if (p := _point(rows, o, at=at, place=(i, j)))
    ]
    labels = [
        (i, f"AUC {fixed(row['estimate'])}")
        for i, o in enumerate(drawn.outputs)
        if known(row := rows.get(("auc", "", o, "")))
    ]
    below = "made from these readers: favours them" if reference in reads.made else ""
    below = "differs between readers: no single curve" if reference == OTHERS else below
    title = reads.heading(finding) if several else reference_title(reference)
    return reader_roc.RocPanel(title, below, curves, tuple(people), average, tuple(frozen), tuple(labels))


def _point(
    rows: dict[Any, Any], rater: str, *, at: str = "", place: tuple[int, int] = (0, 0)
) -> reader_roc.PlottedPoint | None:
    up, across = rows.get(("sensitivity", at, rater, "")), rows.get(("specificity", at, rater, ""))
    if not known(up) or not known(across):
        return None
    few = rater != READERS and not at and any(code_of(row, FEW_READS) for row in (up, across))
    sides = (1 - number(across["high"]), 1 - number(across["low"]))
    name = f"{rater} {at}".strip()
    return reader_roc.PlottedPoint(
        name,
        1 - across["estimate"],
        up["estimate"],
        sides,
        (number(up["low"]), number(up["high"])),
        int(up["n_cases"] or 0) if not at else 0,
        few,
        place,
        alone=at == DECISION,
    )
