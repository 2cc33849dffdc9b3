"""Models and readers: operating points of readers on the ROC curves of models, by reference standard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from overread.reporting.blocks import (
    Block,
    Cell,
    Figure,
    Paragraph,
    Points,
    Section,
    Table,
    appendix,
    group,
    heads,
    table,
)
from overread.reporting.estimate_cells import code_of, known
from overread.reporting.figures import reader_roc
from overread.reporting.figures.drawing_style import COLOURS, others_series
from overread.reporting.figures.figure_pool import delayed
from overread.reporting.figures.forest_drawing import Scale
from overread.reporting.figures.forest_plots import Line, forest_figure, mark_of
from overread.reporting.number_format import count, fixed, listed, number, p_phrase, plural
from overread.reporting.report_data import ReportData, Row, pick
from overread.reporting.sections.reader_results.arm_pairs import pairs
from overread.reporting.sections.reader_results.reader_performance import answer, performance_blocks
from overread.reporting.sections.reader_results.reader_tables import agreement_blocks, others_blocks
from overread.reporting.sections.reader_results.reader_titles import (
    FEW_READS,
    OTHERS,
    OTHERS_COUNT,
    READERS,
    ReadRows,
    arms,
    classes_of,
    few_reads,
    in_sentence,
    in_words,
    output_title,
    point_title,
    reads_cell,
    reads_of,
    reference_title,
    threshold_of,
    with_calls,
)

_AT_SPECIFICITY, _AT_SENSITIVITY = "specificity=readers", "sensitivity=readers"
_AGAINST = f"rater:{READERS}"
_RARE = 50  # present cases: below, intervals are wide


def readers(evidence: ReportData) -> Section:
    """Readers alone, or per arm and finding the figure and the model against the pooled readers."""
    found = arms(evidence)
    if not evidence.cast.raters:
        return _alone(evidence, found)
    title = "Comparison with readers"
    blocks: list[Block] = []
    for reads in found:
        own = [*_words(evidence, reads), *_overview(reads)]
        own += [block for finding in reads.findings for block in _finding(reads, finding, evidence)]
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
    whole = (
        pl.col("reference") != "majority of the others"
    )  # there a case can be present for one reader, absent for another
    cases = reads.frame.filter(whole)["n_cases"].max()
    said = [
        f"{plural(people, 'reader')}; at most {count(cases)} cases per estimate. {_pooling(reads)}",
        "The calls of a reader give one pair of sensitivity and specificity, not a curve: the model is "
        "compared with it "
        "at the same specificity or at the same sensitivity, and its AUC is not compared with such points.",
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
            f"Uncertain calls of readers are {_POLICIES.get(reads.policy, reads.policy)}; the alternatives are folded "
            "below each finding."
        )
    return [Points(tuple(said))]


def _pooling(reads: ReadRows) -> str:
    """How reads were pooled: with sampling weights, rows of the pooled readers do not carry the number of reads."""
    pooled = reads.frame.filter(pl.col("rater") == READERS, pl.col("metric") == "sensitivity")
    if any(reads_of(row) for row in pooled.to_dicts()):
        return (
            "Pooled readers: each read has the same weight. For a model, each case is weighted by its number of reads, "
            "so that models and readers are evaluated on the same cases with the same weights."
        )
    return "Pooled readers: reads are weighted by the sampling weights of their cases, and so are the cases of a model."


def _overview(reads: ReadRows) -> list[Block]:
    """Overview: difference in sensitivity at the readers' specificity, a mark per reference standard."""
    lines = []
    for finding in reads.findings:
        of = [(r, reads.rows(finding, r)) for r in reads.references]
        for o in reads.outputs(finding):
            key = ("sensitivity_difference", _AT_SPECIFICITY, o, _AGAINST)
            marks = tuple(mark_of(rows[key], i, signed=True) for i, (_, rows) in enumerate(of) if key in rows)
            lines += [Line(f"{reads.heading(finding)}: {output_title(o)}", marks)] if marks else []
    if not lines:
        return []
    own = [reference_title(r) + (" †" if r in reads.made - {OTHERS} else "") for r in reads.references]
    dagger = " †: made from reads of these readers, which favours them." if any("†" in o for o in own) else ""
    caption = (
        "Models and pooled readers: sensitivity of the model at the readers' specificity minus that of the readers, "
        f"with CIs, by reference standard.{dagger}"
    )
    scale = Scale("Difference in sensitivity", null=0.0, signed=True, better=("← readers better", "model better →"))
    name = f"readers-{reads.arm}-difference"
    return [forest_figure(lines, own, scale, name=name, caption=caption, numbers=others_series(len(own)))]


_POLICIES = {"absent": "taken as absent", "present": "taken as present", "ignore": "excluded"}


def _rare(reads: ReadRows, finding: str) -> bool:
    rows = reads.frame.filter(pl.col("finding") == finding, pl.col("metric") == "auc")
    return bool((rows["n_present"] < _RARE).any())


def _finding(reads: ReadRows, finding: str, evidence: ReportData) -> list[Block]:
    outputs = reads.outputs(finding)
    if not outputs:
        return []
    blocks: list[Block] = [Paragraph(evidence.heading(finding), kind="heading")]
    figure = _figure(reads, finding, evidence)
    blocks += [figure] if figure else []
    blocks.append(_matched_table(reads, finding))
    points = reads.points(finding)
    frozen = [_frozen_table(reads, finding, at) for at in points]
    more: list[Block] = (
        [appendix(f"{reads.heading(finding)}: at the thresholds of the models", tuple(frozen))] if frozen else []
    )
    return [*blocks, *more, *others_blocks(reads, finding)]


def _figure(reads: ReadRows, finding: str, evidence: ReportData) -> Figure | None:
    outputs, points = reads.outputs(finding), reads.points(finding)
    shown = [p for r in reads.references if (p := _panel(reads, finding, r, evidence))]
    if not shown:
        return None
    few = any(p.few for panel in shown for p in panel.readers)
    end = reader_roc.axis_end(shown)
    inside = {p.place[1] for panel in shown for p in panel.frozen if p.x <= end}
    named = tuple((j, point_title(at)) for j, at in enumerate(points) if j in inside)
    key = reader_roc.LegendKey(tuple(map(output_title, outputs)), named, few, _series(reads, outputs))
    cut = f" The axis of 1 − specificity ends at {end:g}; points beyond it are in the tables." if end < 1 else ""
    least = few_reads(pick(reads.frame, finding=finding))
    hollow = f" Hollow grey points: readers with fewer than {least} reads of a class, without CI." if few else ""
    caption = (
        f"{reads.heading(finding)}: ROC curve of each model on the read cases, with pointwise confidence bands, "
        "and the "
        "operating point of each reader, a panel per reference standard. Dotted: sensitivity and specificity of the "
        f"pooled readers.{hollow}{cut}"
    )
    name = f"readers-{reads.arm}-{finding}"
    said = "; ".join(f"{p.title}: {_spoken(p)}" for p in shown)
    drawn = delayed(reader_roc.reader_panels, shown, key, name=name, alt=f"{caption} {said}.")
    return Figure(drawn, caption, name, reader_roc.numbers(shown, key))


def _series(reads: ReadRows, outputs: Sequence[str]) -> tuple[int, ...]:
    """The series of outputs: the colour is that of the model, the line tells its outputs apart."""
    models = [o.partition(" [")[0] for o in outputs]
    own = [reads.models.index(m) if m in reads.models else len(reads.models) for m in models]
    return tuple(k + len(COLOURS) * models[:i].count(m) for i, (k, m) in enumerate(zip(own, models, strict=True)))


def _spoken(panel: reader_roc.RocPanel) -> str:
    mean = panel.average
    at = (
        f"pooled readers: sensitivity {fixed(mean.y)}, specificity {fixed(1 - mean.x)}" if mean else "no pooled readers"
    )
    return ", ".join([at, plural(len(panel.readers), "reader"), *(text for _, text in panel.labels)])


def _panel(reads: ReadRows, finding: str, reference: str, evidence: ReportData) -> reader_roc.RocPanel | None:
    outputs, points = reads.outputs(finding), reads.points(finding)
    rows = reads.rows(finding, reference)
    people = [p for r in reads.readers(finding) if (p := _point(rows, r))]
    average = _point(rows, READERS)
    mine = pick(evidence.curves, curve="roc", subgroup="read", level=reads.arm, finding=finding, reference=reference)
    if "policy" in mine.columns and mine["policy"].n_unique() > 1:
        mine = with_calls(mine).filter(pl.col("call") == reads.policy)
    curves = tuple((i, o, part) for i, o in enumerate(outputs) if (part := pick(mine, rater=o)).height)
    if not people and average is None and not curves:
        return None
    frozen = [
        p for i, o in enumerate(outputs) for j, at in enumerate(points) if (p := _point(rows, o, at=at, place=(i, j)))
    ]
    labels = [
        (i, f"AUC {fixed(row['estimate'])}")
        for i, o in enumerate(outputs)
        if known(row := rows.get(("auc", "", o, "")))
    ]
    below = "made from these readers: favours them" if reference in reads.made else ""
    below = "differs between readers: no single curve" if reference == OTHERS else below
    return reader_roc.RocPanel(
        reference_title(reference), below, curves, tuple(people), average, tuple(frozen), tuple(labels)
    )


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
    )


def _matched_table(reads: ReadRows, finding: str) -> Table:
    """The model at the readers' specificity and sensitivity, per reference and output."""
    body: list[tuple[Cell, ...]] = []
    for reference in reads.references:
        rows = reads.rows(finding, reference)
        if not any(k[2] == READERS for k in rows):
            continue
        own = " (made from these readers)" if reference in reads.made - {OTHERS} else ""
        body.append(group(f"{reference_title(reference)}{own}", 7))
        body.append(_average_row(rows))
        body += [_output_row(rows, o) for o in reads.outputs(finding) if any(k[2] == o for k in rows)]
    head = heads("", "Present / absent", "AUC", "Sensitivity", "Model − readers", "Specificity", "Model − readers")
    top = (
        Cell(""),
        Cell(""),
        Cell(""),
        Cell("at the readers’ specificity", "group", span=2),
        Cell("at the readers’ sensitivity", "group", span=2),
    )
    caption = f"{reads.heading(finding)}: each model against the pooled readers, by reference standard."
    no_curve = OTHERS in reads.references and ("auc", "", reads.outputs(finding)[0], "") not in reads.rows(
        finding, OTHERS
    )
    remark = (
        "The majority of the other readers differs between readers, so that there is no single curve."
        if no_curve
        else ""
    )
    remark = f"{remark} {OTHERS_COUNT}".strip() if OTHERS in reads.references else remark
    return table(caption, (top, head), body, remark=remark, compact=True)


def _average_row(rows: dict[tuple[str, ...], Row]) -> tuple[Cell, ...]:
    up, across = rows.get(("sensitivity", "", READERS, "")), rows.get(("specificity", "", READERS, ""))
    first = Cell("Pooled readers", "strong"), replace(classes_of(up), note=reads_of(up)), Cell("")
    return *first, reads_cell(up), Cell(""), reads_cell(across), Cell("")


def _output_row(rows: dict[tuple[str, ...], Row], output: str) -> tuple[Cell, ...]:
    area = rows.get(("auc", "", output, ""))
    counted = area or rows.get(("sensitivity_at_specificity", _AT_SPECIFICITY, output, ""))
    cells: list[Cell] = []
    for metric, other, at in (
        ("sensitivity", "specificity", _AT_SPECIFICITY),
        ("specificity", "sensitivity", _AT_SENSITIVITY),
    ):
        cells.append(reads_cell(rows.get((f"{metric}_at_{other}", at, output, ""))))
        cells.append(difference_cell(rows.get((f"{metric}_difference", at, output, _AGAINST))))
    return Cell(output_title(output)), classes_of(counted), reads_cell(area) if area else Cell(""), *cells


def difference_cell(row: Row | None) -> Cell:
    """A difference with its CI; below it P, and P adjusted by Holm."""
    cell = reads_cell(row, signed=True)
    if row is None or row["p"] != row["p"]:
        return cell
    adjusted = number(row["p_adjusted"])
    holm = f"; Holm {p_phrase(adjusted)}" if adjusted == adjusted else ""
    return replace(cell, note=f"P {p_phrase(row['p'])}{holm}")


def _frozen_table(reads: ReadRows, finding: str, at: str) -> Table:
    """Rates at a threshold of the model and of the pooled readers; below a difference, the test by U-statistics."""
    test = f"{at};test=u-statistic"
    body: list[tuple[Cell, ...]] = []
    for reference in reads.references:
        rows = reads.rows(finding, reference)
        mine = [o for o in reads.outputs(finding) if ("sensitivity", at, o, "") in rows]
        if not mine:
            continue
        body.append(group(reference_title(reference), 5))
        up, across = rows.get(("sensitivity", "", READERS, "")), rows.get(("specificity", "", READERS, ""))
        if up and all(rows["sensitivity", at, o, ""]["n_cases"] == up["n_cases"] for o in mine):
            body.append((Cell("Pooled readers", "strong"), reads_cell(up), Cell(""), reads_cell(across), Cell("")))
        for o in mine:
            cells = []
            for metric in ("sensitivity", "specificity"):
                less = reads_cell(rows.get((f"{metric}_difference", at, o, _AGAINST)), signed=True)
                tested = _tested(rows.get((f"{metric}_difference", test, o, _AGAINST)))
                cells += [reads_cell(rows.get((metric, at, o, ""))), replace(less, note=tested)]
            body.append((Cell(output_title(o), note=threshold_of(rows["sensitivity", at, o, ""])), *cells))
    head = heads("", "Sensitivity", "Model − readers", "Specificity", "Model − readers")
    caption = f"{reads.heading(finding)}, {point_title(at)}: each model against the pooled readers."
    return table(caption, (head,), body, remark=_frozen_remark(reads, finding, test), compact=True)


def _tested(row: Row | None) -> str:
    """The CI and P of the test by U-statistics, with P adjusted by Holm."""
    if not known(row):
        return ""
    sides = f"U: {fixed(row['low'], signed=True)} to {fixed(row['high'], signed=True)}, P {p_phrase(row['p'])}"
    adjusted = number(row["p_adjusted"])
    return sides + (f", Holm {p_phrase(adjusted)}" if adjusted == adjusted else "")


def _frozen_remark(reads: ReadRows, finding: str, test: str) -> str:
    rows = pick(reads.frame, finding=finding, at=test)
    if rows.is_empty():
        return ""
    said = "U: CI and P of the same difference by U-statistics; readers and patients are random"
    families = pick(reads.frame, at=test).filter(pl.col("family").fill_null("") != "").group_by("family").len()
    mine = families.filter(pl.col("family").is_in(rows["family"].drop_nulls().unique().to_list()))
    sizes = [str(n) for n in mine["len"].unique().sort().to_list()]
    holm = f"; Holm: over the {' or '.join(sizes)} tests of a reference standard and threshold" if sizes else ""
    return f"{said}{holm}."
