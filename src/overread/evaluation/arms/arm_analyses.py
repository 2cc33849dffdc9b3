"""All analyses of the arms of reads, in order."""

from __future__ import annotations

from overread.codes import Metric
from overread.evaluation.arms.arm_curves import curve_rows_of_readers
from overread.evaluation.arms.arm_differences import adjust, difference_rows, margin_rows, unjudged_rows
from overread.evaluation.arms.arm_means import mean_rows, own_rows
from overread.evaluation.arms.arm_reads import ArmReads, answers_of, with_reference
from overread.evaluation.arms.arm_sittings import sitting_rows
from overread.evaluation.arms.arm_studies import studies_of
from overread.evaluation.arms.arm_variances import variance_rows
from overread.evaluation.context.estimate_rows import Row
from overread.evaluation.context.reader_context import ReaderContext
from overread.evaluation.join.reference_standards import DERIVED, OTHERS


def arm_rows(context: ReaderContext) -> tuple[list[Row], list[Row]]:
    """Return rows and curves of the readers in every arm, and rows of the differences between arms.

    Every reference standard judges the arms, except those that were made from the reads of the same readers. In their
    place each reader is judged, in every arm, by the majority of the other readers' reads in the baseline arm.
    """
    rows: list[Row] = []
    curves: list[Row] = []
    by_cutoff: dict[str, list[Row]] = {}
    for finding in context.panel.findings:
        for answers in answers_of(context, finding):
            several = len(answers.arms) > 1
            for reference in (*context.panel.references, *((OTHERS,) if several else ())):
                reads = with_reference(context, answers, reference)
                if reads is not None:
                    made, drawn = _rows(reads, several=several, own=_made_by_readers(context, reference))
                    rows, curves = rows + made, curves + drawn
                    by_cutoff.setdefault(answers.cutoff, []).extend(made)
    for cutoff, made in by_cutoff.items():
        adjust(made, cutoff)
    return rows + sitting_rows(context), curves


def _made_by_readers(context: ReaderContext, reference: str) -> bool:
    return reference in (*DERIVED, *context.config.made_by_all)


def _rows(reads: ArmReads, *, several: bool, own: bool) -> tuple[list[Row], list[Row]]:
    """Return the rows and curves of reads by one reference standard; `own` if the readers made it."""
    rows: list[Row] = [] if reads.reference == OTHERS else own_rows(reads)
    graded = reads.answers.metrics == (Metric.AUC,)
    curves = curve_rows_of_readers(reads) if graded and reads.reference != OTHERS else []
    for metric in reads.answers.metrics:
        if several and own:
            rows += unjudged_rows(reads, metric)
            continue
        if not several and not graded and not reads.answers.cutoff:
            continue  # the calls of one arm: `pooled_readers` has them
        studies = studies_of(reads, metric)
        rows += [made for study in studies for made in (*mean_rows(study), *variance_rows(study))]
        rows += difference_rows(studies)
        rows += margin_rows(reads, metric) if several else []
    return rows, curves
