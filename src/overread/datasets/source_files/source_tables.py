"""A set's folder as its owner ships it: what the set is, where its tables lie, whether they are what they should be."""

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

# A set is taken to be whole where its table has at least this share of the images published.
_WHOLE = 0.95


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a public set: who made it, under which terms it is given, and how many images it has.

    `marks` are the names or patterns of files, relative to the root, by any of which its folder is known. `images` and
    `patients` are the counts as published (None = not published).
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
    """The file of the first of these names (or its .gz) below the root, read as text, its columns checked.

    Raises InputError: no such folder, an archive in its place, a folder of another set (which one), no such file,
    columns that are missing (the owner may have changed the table: all of them, with the nearest that is there), a
    header without rows.
    """
    path = found(root, names)
    if path is None:
        raise InputError(
            root, f"{names[0]} of {about.title}", _instead(root, about), do="Give the folder as its owner ships it."
        )
    frame = label_layouts.as_text(tables.frame_of(path))
    check_columns(frame, path, needed, about)
    if not frame.height:
        raise InputError(path, f"the rows of {about.title}", "a header alone", do="Get the file anew.")
    return path, frame


def found(root: Path, names: Sequence[str]) -> Path | None:
    """The first of these files (patterns are allowed) that is there, also with .gz; InputError where no folder is."""
    root = tree.folder(root)
    for name in names:
        for wanted in (name, f"{name}.gz"):
            there = sorted(root.glob(wanted)) if any(c in wanted for c in "*?[") else [root / wanted]
            for path in there:
                if path.is_file():
                    return path
    return None


def check_columns(frame: pl.DataFrame, where: object, needed: Iterable[str], about: About) -> None:
    """Refuse a table whose columns are not those of the set as it was published; all that are missing are said."""
    missing = [c for c in needed if c not in frame.columns]
    if not missing:
        return
    spare = [c for c in frame.columns if c not in set(needed)]
    hints = [h for c in missing if (h := did_you_mean(c, spare))]
    do = " ".join(hints) or f"It has {', '.join(frame.columns[:12])}{', …' if frame.width > 12 else ''}."
    raise InputError(where, f"the columns of {about.title}", f"{len(missing)} missing", examples=missing, do=do)


def check_filled(frame: pl.DataFrame, where: object, columns: Iterable[str]) -> None:
    """Refuse a table that leaves cells of these columns empty; all such columns and their first lines are said."""
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
    alike = [a.title for a in known() if a != about and any(True for m in a.marks for _ in root.glob(m))]
    if alike:
        return f"a folder that looks like {' or '.join(alike)}"
    there = sorted(p.name for p in root.iterdir())
    packed = [name for name in there if name.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".7z"))]
    if packed:
        return f"an archive that was not unpacked ({', '.join(packed[:3])})"
    return f"{', '.join(there[:5])}{', …' if len(there) > 5 else ''}" if there else "an empty folder"


def known() -> tuple[About, ...]:
    """What is known of every public set that can be read, in the order of their names."""
    modules = [
        importlib.import_module(f"{overread.datasets.__name__}.{m.name}")
        for m in pkgutil.iter_modules(overread.datasets.__path__)
    ]
    return tuple(m.ABOUT for m in modules if hasattr(m, "ABOUT"))


def about(name: str) -> About | None:
    """What is known of the set that is read under this name; None where it is no public set.

    >>> about("nih14").patients, about("table")
    (30805, None)
    """
    known_names = {m.name for m in pkgutil.iter_modules(overread.datasets.__path__)}
    if name not in known_names:
        return None
    found: About | None = getattr(importlib.import_module(f"{overread.datasets.__name__}.{name}"), "ABOUT", None)
    return found


def paths(root: Path, suffixes: tuple[str, ...], *, below: Iterable[Path] | None = None) -> dict[str, str]:
    """Where every image file lies: its name -> its path relative to the root; of a repeated name the first path.

    `below`: folders to look in (default: the root).
    """
    here = [p for folder in (below if below is not None else [root]) for p in tree.files(folder, suffixes=suffixes)]
    return {p.name: p.relative_to(root).as_posix() for p in sorted(here, reverse=True)}


def counts_note(images: pl.DataFrame, about: About) -> tuple[str, ...]:
    """A note where a set that looks whole has not the images or patients that were published.

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
    """The images with what is known to be wrong with them noted, from the file `NAME_errors.csv` beside a source.

    That file has the columns `column` and `error`, and says in its first lines (after #) where each entry is from.
    """
    path = Path(__file__).with_name(f"{module}_errors.csv")
    errors = pl.read_csv(path, infer_schema=False, comment_prefix="#").select(column, "error")
    from overread.datasets.fields import normalise

    marked = images.join(errors, on=column, how="left", maintain_order="left")
    note = pl.when(pl.col("error").is_not_null()).then(pl.format("known error: {}", "error"))
    return normalise.noted(marked, note).drop("error")
