"""All analyses of reads, in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from overread import threads
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

LARGEST_SENT = 64 * 2**20  # bytes of resamples that are sent to another process; more would be held twice
_TESTS = (random_reader_rows, others_rows, pairwise_rows, agreement_rows, kappa_rows, intra_reader_rows)


def begin_tests(context: ReaderContext, pool: Executor | None) -> Callable[[], list[Row]]:
    """Begin the tests and the agreement of the readers in another process; return the function that waits for the rows.

    They are done by this process if there is no other, if it has not begun when the rows are wanted, if it was ended
    from outside, or if the resamples are too large to be sent. The rows are the same.
    """
    here = partial(rows_of_tests, context)
    if pool is None or context.drawn.readers.nbytes + context.drawn.patients.nbytes > LARGEST_SENT:
        return here
    try:
        future = pool.submit(rows_of_tests, context)
    except BrokenProcessPool:
        return here

    def rows() -> list[Row]:
        if future.cancel():
            return here()
        try:
            return future.result()
        except BrokenProcessPool:
            return here()

    return rows


def rows_of_tests(context: ReaderContext) -> list[Row]:
    """Return the rows of the tests of readers, of pairwise F1 and of agreement."""
    with threads.computing():
        return [row for analysis in advancing(_TESTS) for row in analysis(context)]


def analyse_reads(
    context: ReaderContext, tests: Callable[[], list[Row]], *, protocol_hash: str = ""
) -> tuple[list[Row], list[Row], list[Row]]:
    """Return rows of estimates, of curves and of verdicts for the reads; `tests` is the result of `begin_tests`."""
    steps = advancing(("readers", "analyses", "references"), (2.0, 5.0, 1.0))
    next(steps)
    rows, curves = reader_rows(context)
    next(steps)
    rows += tests()
    made, drawn = arm_rows(context)
    rows, curves = rows + made, curves + drawn
    next(steps)
    verdicts: list[Row] = []
    if context.models:
        h2_rows, verdicts = reference_rows(context, protocol_hash=protocol_hash)
        rows += h2_rows
    next(steps, None)
    return rows, curves, verdicts
