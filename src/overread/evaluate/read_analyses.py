"""Every analysis of reads, in turn."""

from __future__ import annotations

from overread.evaluate.against_others import others_rows
from overread.evaluate.agreement import agreement_rows
from overread.evaluate.arms import arm_rows
from overread.evaluate.pairwise import pairwise_rows
from overread.evaluate.progress import advancing
from overread.evaluate.read_setting import ReadSetting
from overread.evaluate.reader_tests import random_reader_rows
from overread.evaluate.readers import reader_rows
from overread.evaluate.reference_standards import reference_rows
from overread.evaluate.rows import Row


def analyse_reads(setting: ReadSetting, *, protocol_hash: str = "") -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of estimates, of curves and of verdicts that rest on reads."""
    steps = advancing(("readers", "analyses", "references"), (2.0, 5.0, 1.0))
    next(steps)
    rows, curves = reader_rows(setting)
    next(steps)
    for analysis in advancing((random_reader_rows, others_rows, arm_rows, pairwise_rows, agreement_rows)):
        rows += analysis(setting)
    next(steps)
    made, verdicts = reference_rows(setting, protocol_hash=protocol_hash)
    next(steps, None)
    return rows + made, curves, verdicts
