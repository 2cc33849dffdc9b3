"""All analyses of reads, in order."""

from __future__ import annotations

from overread.evaluation.arms.arm_analyses import arm_rows
from overread.evaluation.context.estimate_rows import Row
from overread.evaluation.context.reader_context import ReaderContext
from overread.evaluation.hypotheses.reference_effect import reference_rows
from overread.evaluation.progress import advancing
from overread.evaluation.readers.intra_reader import intra_reader_rows
from overread.evaluation.readers.leave_one_reader_out import others_rows
from overread.evaluation.readers.model_and_readers import reader_rows
from overread.evaluation.readers.pairwise_f1 import pairwise_rows
from overread.evaluation.readers.reader_agreement import agreement_rows
from overread.evaluation.readers.reader_kappas import kappa_rows
from overread.evaluation.readers.reader_tests import random_reader_rows


def analyse_reads(context: ReaderContext, *, protocol_hash: str = "") -> tuple[list[Row], list[Row], list[Row]]:
    """Return rows of estimates, of curves and of verdicts for the reads."""
    steps = advancing(("readers", "analyses", "references"), (2.0, 5.0, 1.0))
    next(steps)
    rows, curves = reader_rows(context)
    next(steps)
    for analysis in advancing(
        (random_reader_rows, others_rows, pairwise_rows, agreement_rows, kappa_rows, intra_reader_rows)
    ):
        rows += analysis(context)
    made, drawn = arm_rows(context)
    rows, curves = rows + made, curves + drawn
    next(steps)
    verdicts: list[Row] = []
    if context.models:
        h2_rows, verdicts = reference_rows(context, protocol_hash=protocol_hash)
        rows += h2_rows
    next(steps, None)
    return rows, curves, verdicts
