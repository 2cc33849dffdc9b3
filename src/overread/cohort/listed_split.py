"""Split by a published list or a list that overread wrote, by image or by patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from overread import tables
from overread.cohort.cohort_config import CohortConfig
from overread.cohort.selection import identifiers
from overread.errors import InputError

LISTED = "_listed_split"
_KEYS = ("image_id", "patient_id")


def listed(images: pl.DataFrame, config: CohortConfig) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Assign the split of a list to the images.

    Parameters
    ----------
    images : DataFrame
        Table of images.
    config : CohortConfig
        `split_file`, `split_unlisted` and `external_sites`.

    Returns
    -------
    images : DataFrame
        The images with `_listed_split`.
    flow : list of DataFrame
        Rows of the flow that count names without a match.

    Raises
    ------
    InputError
        The file or its columns are missing, a name is in two splits, or images are not in the list (they are named).

    Notes
    -----
    A list with both image_id and patient_id is applied by image. Names that the cohort lacks are noted, because a
    selection excludes images. Images that the list lacks are refused, or are assigned `split_unlisted` and noted;
    images of external sites need not be listed.
    """
    path = Path(config.split_file)
    split_list = tables.frame_of(path)
    key = next((k for k in _KEYS if k in split_list.columns), "")
    if not key or "split" not in split_list.columns:
        raise InputError(
            path, "the columns image_id or patient_id, and split", f"columns {', '.join(split_list.columns)}"
        )
    identifier_notes: list[tables.Note] = []
    split_list = tables.identify(split_list, "images", where=path, notes=identifier_notes)
    rows = split_list.select(
        pl.col(key).cast(pl.String), pl.col("split").cast(pl.String).str.strip_chars().alias(LISTED)
    )
    rows = rows.unique().sort(key, LISTED)
    ambiguous = rows.group_by(key, maintain_order=True).agg(LISTED).filter(pl.col(LISTED).list.len() > 1)
    if ambiguous.height:
        examples = [f"{name}: {' and '.join(str(s) for s in splits)}" for name, splits in ambiguous.head(5).iter_rows()]
        raise InputError(path, f"every {key} in one split", f"{ambiguous.height:,} in several", examples=examples)
    assigned = images.join(rows, on=key, how="left", maintain_order="left")
    notes = [_row(key, f"in the list {path.name}, not in the cohort", rows.join(images, on=key, how="anti")[key])]
    external = pl.col("site").is_in(list(config.external_sites))
    unlisted = assigned.filter(pl.col(LISTED).is_null() & ~external)["image_id"]
    if len(unlisted) and not config.split_unlisted:
        hint = tables.spelling_hint(assigned.filter(pl.col(LISTED).is_null() & ~external)[key], rows[key])
        raise InputError(
            path,
            "a split for every image of the cohort",
            f"{len(unlisted):,} of {images.height:,} images not listed",
            examples=unlisted.sort().head(5).to_list(),
            do=f"{hint} Leave them out, or name the split they get in split_unlisted.".strip(),
        )
    if len(unlisted):
        assigned = assigned.with_columns(pl.col(LISTED).fill_null(config.split_unlisted))
        what = f"not in the list {path.name}: in {config.split_unlisted}, as set by split_unlisted"
        notes.append(_row("images", what, unlisted))
    return assigned, [n for n in notes if n.height] + [
        identifiers(replace(n, table=path.name)) for n in identifier_notes
    ]


def _row(unit: str, reason: str, names: pl.Series) -> pl.DataFrame:
    row = {"step": ["noted"], "unit": [unit], "reason": [reason], "count": [len(names)]}
    frame = pl.DataFrame(row | {"examples": [", ".join(names.sort().head(5))]})
    return tables.check(frame if len(names) else frame.clear(), "flow")
