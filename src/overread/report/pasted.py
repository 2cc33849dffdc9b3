"""What stands beside the page to be pasted elsewhere: the methods, the checklists, a card for every model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from overread import tables
from overread.report import checklists
from overread.report.blocks import Section
from overread.report.evidence import Evidence
from overread.report.exports import file_names
from overread.report.methods import methods_text
from overread.report.model_card import model_card
from overread.report.references import Cited


def write_pasted(evidence: Evidence, sections: Sequence[Section], cited: Cited, out: Path) -> list[Path]:
    """Write methods.md, checklists.csv and model-cards/ into `out`; a card of an earlier report goes.

    Returns the paths of the files.
    """
    places = checklists.places(evidence, sections)
    rows = checklists.frame(checklists.filled(evidence, places), places)
    written = [
        tables.write_text(out / "methods.md", methods_text(cited)),
        tables.write_frame(rows, out / "checklists.csv"),
    ]
    files = file_names(evidence.cast.raters)
    for rater, file in files.items():
        written.append(tables.write_text(out / "model-cards" / f"{file}.md", model_card(evidence, rater)))
    for old in (out / "model-cards").glob("*.md"):
        if old.name.removesuffix(".md") not in files.values():
            tables.remove(old)
    return written
