"""Every analysis of reads, in turn."""

from __future__ import annotations

from overread.evaluate.read_setting import ReadSetting
from overread.evaluate.readers import reader_rows
from overread.evaluate.rows import Row


def analyse_reads(setting: ReadSetting, *, protocol_hash: str = "") -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of estimates, of curves and of verdicts that rest on reads."""
    rows, curves = reader_rows(setting)
    return rows, curves, []
