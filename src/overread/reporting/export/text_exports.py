"""What stands beside the page to be pasted elsewhere: the methods, the checklists, a card for every model."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread import tables
from overread.reporting.export.model_cards import model_card
from overread.reporting.methods.bibliography import Cited
from overread.reporting.methods.methods_section import methods_text
from overread.reporting.report_data import ReportData
from overread.reporting.report_folder import CARDS, PASTED


def write_pasted(evidence: ReportData, checklists: pl.DataFrame, cited: Cited, out: Path) -> list[Path]:
    """Write methods.md, checklists.csv and model-cards/ into `out`.

    Returns the paths of the files.
    """
    written = [
        tables.write_text(out / "methods.md", methods_text(cited)),
        tables.write_frame(checklists, out / "checklists.csv"),
    ]
    for rater, file in tables.file_names(evidence.cast.raters).items():
        written.append(tables.write_text(out / CARDS / f"{file}.md", model_card(evidence, rater)))
    return written


def names(evidence: ReportData) -> list[str]:
    """The files that `write_pasted` writes, within the folder of the report."""
    return [*PASTED, *(f"{CARDS}/{file}.md" for file in tables.file_names(evidence.cast.raters).values())]
