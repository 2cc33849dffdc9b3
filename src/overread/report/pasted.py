"""What stands beside the page to be pasted elsewhere: the methods, the checklists, a card for every model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from overread import tables
from overread.report import checklists
from overread.report.blocks import Section
from overread.report.evidence import Evidence
from overread.report.folder import CARDS, PASTED
from overread.report.methods import methods_text
from overread.report.model_card import model_card
from overread.report.references import Cited


def write_pasted(evidence: Evidence, sections: Sequence[Section], cited: Cited, out: Path) -> list[Path]:
    """Write methods.md, checklists.csv and model-cards/ into `out`.

    Returns the paths of the files.
    """
    places = checklists.places(evidence, sections)
    rows = checklists.frame(checklists.filled(evidence, places), places)
    written = [
        tables.write_text(out / "methods.md", methods_text(cited)),
        tables.write_frame(rows, out / "checklists.csv"),
    ]
    for rater, file in tables.file_names(evidence.cast.raters).items():
        written.append(tables.write_text(out / CARDS / f"{file}.md", model_card(evidence, rater)))
    return written


def names(evidence: Evidence) -> list[str]:
    """The files that `write_pasted` writes, within the folder of the report."""
    return [*PASTED, *(f"{CARDS}/{file}.md" for file in tables.file_names(evidence.cast.raters).values())]
