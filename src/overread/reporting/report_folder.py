"""The folder of a report: its made.json lists the files, so that only files of an earlier report are replaced."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from overread import tables
from overread.errors import InputError
from overread.tables.storage import made
from overread.tables.storage.names import below

PAGE = "report.html"
BESIDE = ("estimates.parquet", "estimates.csv", "estimates.json", "tables.docx")
PASTED = ("methods.md", "checklists.csv")
FIGURES, CARDS = "figures", "model-cards"
# What an earlier report may have named for another evaluation, and nothing else, is removed.
_REMOVED = re.compile(rf"({FIGURES}/[A-Za-z0-9][A-Za-z0-9._-]*\.(svg|csv))|({CARDS}/[A-Za-z0-9][A-Za-z0-9._-]*\.md)")


def check_report_folder(out: Path) -> None:
    """Refuse a folder in which a report would replace files of something else, before anything is computed."""
    _refuse(out, (PAGE, *BESIDE, *PASTED), made.listed(out) or {})


@contextmanager
def replacing_report(out: Path, names: Collection[str]) -> Iterator[None]:
    """Write the files of these names, within the folder, in the block; figures and cards of an earlier report go then.

    Raises
    ------
    InputError
        one of the names is a file that no report made, or a link is in the way
    """
    before = made.listed(out) or {}
    _refuse(out, names, before)
    made.write_list(out, {*before, *names})  # a report that is killed leaves files that the next one may replace
    yield
    for name in before:
        if name not in names and _REMOVED.fullmatch(name):
            tables.remove(below(out, *name.split("/")))
    made.write_list(out, names)


def _refuse(out: Path, names: Collection[str], own: Collection[str]) -> None:
    for folder in (FIGURES, CARDS):
        below(out, folder)
    taken = [name for name in names if os.path.lexists(out / name) and name not in own]
    if taken:
        do = "Choose another folder, or move them elsewhere."
        expected, found = (
            "a new folder, or that of an earlier report",
            f"{len(taken)} other files that it would replace",
        )
        raise InputError(out, expected, found, examples=taken, do=do)
