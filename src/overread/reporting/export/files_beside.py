"""What stands beside the page: estimates, tables for Word, and every figure as a file of its own with its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from overread import tables
from overread.reporting.blocks import Figure, Section, within
from overread.reporting.export.docx import write_tables
from overread.reporting.figures.drawing_style import standalone
from overread.reporting.report_data import ReportData
from overread.reporting.report_folder import BESIDE, FIGURES


def write_tables_beside(evidence: ReportData, sections: Sequence[Section], out: Path) -> list[Path]:
    """Write estimates (Parquet, JSON, CSV) and tables.docx into `out`; their paths."""
    return [
        tables.write(evidence.written, out / "estimates.parquet", "estimates"),
        tables.write(evidence.written, out / "estimates.csv", "estimates"),
        tables.write_rows(out / "estimates.json", evidence.written),
        write_tables(sections, out / "tables.docx"),
    ]


def write_figures(sections: Sequence[Section], out: Path) -> list[Path]:
    """Write figures/ into `out`, every figure as SVG and its numbers; their paths."""
    written = []
    drawn = figures_of(sections)
    files = tables.file_names(figure.name for figure in drawn)
    for figure in drawn:
        place = out / FIGURES / files[figure.name]
        written.append(tables.write_text(place.with_name(f"{place.name}.svg"), standalone(figure.svg)))
        if figure.numbers is not None:
            written.append(tables.write_frame(figure.numbers, place.with_name(f"{place.name}.csv")))
    return written


def names(sections: Sequence[Section]) -> list[str]:
    """The tables and figures that are written, within the folder of the report."""
    drawn = figures_of(sections)
    files = tables.file_names(figure.name for figure in drawn)
    numbered = [f"{FIGURES}/{files[figure.name]}.csv" for figure in drawn if figure.numbers is not None]
    return [*BESIDE, *(f"{FIGURES}/{file}.svg" for file in files.values()), *numbered]


def figures_of(sections: Iterable[Section]) -> list[Figure]:
    """Every figure of the page that has a name, in the page's order."""
    return [b for s in sections for b in within(s.blocks) if isinstance(b, Figure) and b.name]
