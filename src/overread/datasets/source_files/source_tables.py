"""Description of a public data set, location of its tables, and checks that they are complete."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

import overread.datasets
from overread import tables
from overread.datasets.fields import label_layouts
from overread.errors import InputError, did_you_mean
from overread.images import file_tree as tree
from overread.tables.identifiers.identity import canonical, is_missing

# A set is assumed complete if its table has at least this share of the published images.
_WHOLE = 0.95


@dataclass(frozen=True, slots=True)
class About:
    """Description of a public data set: citation, terms of use and published size.

    Parameters
    ----------
    title, citation, doi, url, licence, terms : str
        Name, reference and terms of use.
    marks : tuple of str
        File names or patterns, relative to the root, any of which identifies the set's folder.
    images, patients : int, optional
        Published counts; None = not published.
    """

    title: str
    citation: str
    doi: str
    url: str
    licence: str
    terms: str
    marks: tuple[str, ...]
    images: int | None = None
    patients: int | None = None


def table(root: Path, names: Sequence[str], needed: Iterable[str], about: About) -> tuple[Path, pl.DataFrame]:
    """Read the first of these files, or its .gz, as text and check its columns.

    Parameters
    ----------
    root : Path
        Folder of the set.
    names : sequence of str
        File names or patterns, in order of preference.
    needed : iterable of str
        Required columns.
    about : About
        Description of the set.

    Returns
    -------
    path : Path
        The file.
    frame : DataFrame
        Its rows as text.

    Raises
    ------
    InputError
        The folder is missing, is an archive or holds another set (which is named), the file is missing, columns are
        missing (all are listed, with the nearest present), or the table has a header without rows.
    """
    path = found(root, names)
    if path is None:
        raise InputError(
            root, f"{names[0]} of {about.title}", _instead(root, about), do="Give the folder as its owner ships it."
        )
    frame = label_layouts.as_text(tables.frame_of(path))
    check_columns(frame, path, needed, about)
    if not frame.height:
        raise InputError(path, f"the rows of {about.title}", "a header alone", do="Download the file again.")
    return path, frame


def found(root: Path, names: Sequence[str]) -> Path | None:
    """The first of these files (patterns are allowed) that exists, also as .gz; InputError if the folder is
    missing.
    """
    root = tree.folder(root)
    for name in names:
        for wanted in (name, f"{name}.gz"):
            matches = sorted(root.glob(wanted)) if any(c in wanted for c in "*?[") else [root / wanted]
            for path in matches:
                if path.is_file():
                    return path
    return None


def check_columns(frame: pl.DataFrame, where: object, needed: Iterable[str], about: About) -> None:
    """Refuse a table whose columns differ from the published ones; all missing columns are reported."""
    missing = [c for c in needed if c not in frame.columns]
    if not missing:
        return
    other_columns = [c for c in frame.columns if c not in set(needed)]
    hints = [h for c in missing if (h := did_you_mean(c, other_columns))]
    do = " ".join(hints) or f"It has {', '.join(frame.columns[:12])}{', …' if frame.width > 12 else ''}."
    raise InputError(where, f"the columns of {about.title}", f"{len(missing)} missing", examples=missing, do=do)


def check_filled(frame: pl.DataFrame, where: object, columns: Iterable[str]) -> None:
    """Refuse a table with empty cells in these columns; every such column and its first lines are reported."""
    empty = {c: frame.with_row_index("_line", 2).filter(is_missing(canonical(frame[c]))) for c in columns}
    problems = [
        InputError(
            where,
            f"a value in every row of '{column}'",
            f"{rows.height:,} empty cells",
            examples=[f"line {n}" for n in rows["_line"].head(5)],
        )
        for column, rows in empty.items()
        if rows.height
    ]
    if problems:
        raise InputError.all(problems)


def _instead(root: Path, about: About) -> str:
    similar_sets = [a.title for a in known() if a != about and any(True for m in a.marks for _ in root.glob(m))]
    if similar_sets:
        return f"a folder that looks like {' or '.join(similar_sets)}"
    file_names = sorted(p.name for p in root.iterdir())
    archives = [name for name in file_names if name.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".7z"))]
    if archives:
        return f"an archive that was not unpacked ({', '.join(archives[:3])})"
    return f"{', '.join(file_names[:5])}{', …' if len(file_names) > 5 else ''}" if file_names else "an empty folder"


def known() -> tuple[About, ...]:
    """Descriptions of all public data sets that can be read, in alphabetical order of their modules."""
    modules = [
        importlib.import_module(f"{overread.datasets.__name__}.{m.name}")
        for m in pkgutil.iter_modules(overread.datasets.__path__)
    ]
    return tuple(m.ABOUT for m in modules if hasattr(m, "ABOUT"))


def about(name: str) -> About | None:
    """Description of the public data set of this name; None for a format such as "table".

    Examples
    --------
    >>> about("nih14").patients, about("table")
    (30805, None)
    """
    known_names = {m.name for m in pkgutil.iter_modules(overread.datasets.__path__)}
    if name not in known_names:
        return None
    found: About | None = getattr(importlib.import_module(f"{overread.datasets.__name__}.{name}"), "ABOUT", None)
    return found


def paths(root: Path, suffixes: tuple[str, ...], *, below: Iterable[Path] | None = None) -> dict[str, str]:
    """File name -> path relative to the root of every image file; the first path for a repeated name.

    `below` holds the folders to search (default: the root).
    """
    here = [p for folder in (below if below is not None else [root]) for p in tree.files(folder, suffixes=suffixes)]
    return {p.name: p.relative_to(root).as_posix() for p in sorted(here, reverse=True)}


def counts_note(images: pl.DataFrame, about: About) -> tuple[str, ...]:
    """Note that a set that appears complete differs from the published number of images or patients.

    Examples
    --------
    >>> about = About("A", "", "", "", "", "", (), images=100)
    >>> counts_note(pl.DataFrame({"image_id": [str(i) for i in range(99)], "patient_id": ["1"] * 99}), about)
    ('A looks whole, but has 99 images where 100 were published',)
    """
    if not about.images or images.height < _WHOLE * about.images:
        return ()
    here = {"images": images.height, "patients": images["patient_id"].n_unique()}
    published = {"images": about.images, "patients": about.patients}
    return tuple(
        f"{about.title} looks whole, but has {here[what]:,} {what} where {n:,} were published"
        for what, n in published.items()
        if n and here[what] != n
    )


def known_errors(images: pl.DataFrame, module: str, column: str = "image_id") -> pl.DataFrame:
    """Note the known errors of images from the file `NAME_errors.csv` of a source.

    The file has the columns `column` and `error`; its comment lines (#) give the origin of each entry.
    """
    path = Path(__file__).with_name(f"{module}_errors.csv")
    errors = pl.read_csv(path, infer_schema=False, comment_prefix="#").select(column, "error")
    from overread.datasets.fields import normalise

    marked = images.join(errors, on=column, how="left", maintain_order="left")
    note = pl.when(pl.col("error").is_not_null()).then(pl.format("known error: {}", "error"))
    return normalise.noted(marked, note).drop("error")
