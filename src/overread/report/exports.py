"""What stands beside the page: estimates, tables for Word, and every figure as a file of its own with its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from overread import tables
from overread.report.blocks import Figure, Section, within
from overread.report.drawing import standalone
from overread.report.evidence import Evidence
from overread.report.word import write_tables

_LONGEST = 100  # characters of a file's name that come from names in the data


def write_beside(evidence: Evidence, sections: Sequence[Section], out: Path) -> None:
    """Write estimates (Parquet, JSON, CSV), tables.docx and figures/ into `out`; a figure of an earlier report goes."""
    tables.write(evidence.estimates, out / "estimates.parquet", "estimates")
    tables.write(evidence.estimates, out / "estimates.csv", "estimates")
    tables.write_json(out / "estimates.json", evidence.estimates.to_dicts())
    write_tables(sections, out / "tables.docx")
    drawn = figures_of(sections)
    files = file_names(figure.name for figure in drawn)
    for figure in drawn:
        place = out / "figures" / files[figure.name]
        tables.write_text(place.with_name(f"{place.name}.svg"), standalone(figure.svg))
        if figure.numbers is not None:
            tables.write_frame(figure.numbers, place.with_name(f"{place.name}.csv"))
    for old in [*(out / "figures").glob("*.svg"), *(out / "figures").glob("*.csv")]:
        if old.name[:-4] not in files.values():
            tables.remove(old)


def figures_of(sections: Iterable[Section]) -> list[Figure]:
    """Every figure of the page that has a name, in the page's order."""
    return [b for s in sections for b in within(s.blocks) if isinstance(b, Figure) and b.name]


def file_names(names: Iterable[str]) -> dict[str, str]:
    """The name of the file of every figure: letters, figures and hyphens, no two alike.

    >>> file_names(["roc", "drop-a b", "drop-a/b"])
    {'roc': 'roc', 'drop-a b': 'drop-a-b', 'drop-a/b': 'drop-a-b-2'}
    """
    files: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:_LONGEST] or "figure"
        same = {f.casefold() for f in files.values()}
        number, file = 1, plain
        while file.casefold() in same:  # some file systems do not tell A from a
            number += 1
            file = f"{plain}-{number}"
        files[name] = file
    return files
