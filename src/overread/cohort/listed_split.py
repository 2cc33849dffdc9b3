"""The split of a published list, or one that this program wrote: by image or by patient."""

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
    """The images with `_listed_split`, and rows of the flow that count what does not match.

    A list by image_id is used by image where it has both columns. Names of the list that the cohort lacks are noted, as
    a selection leaves images out. Images that the list lacks are refused, or get `split_unlisted` and are noted; images
    of external sites need not be listed.

    Raises InputError: no such file or columns; one name in two splits; images that are not in the list, by name.
    """
    path = Path(config.split_file)
    given = tables.frame_of(path)
    key = next((k for k in _KEYS if k in given.columns), "")
    if not key or "split" not in given.columns:
        raise InputError(path, "the columns image_id or patient_id, and split", f"columns {', '.join(given.columns)}")
    found: list[tables.Note] = []
    given = tables.identify(given, "images", where=path, notes=found)
    rows = given.select(pl.col(key).cast(pl.String), pl.col("split").cast(pl.String).str.strip_chars().alias(LISTED))
    rows = rows.unique().sort(key, LISTED)
    twice = rows.group_by(key, maintain_order=True).agg(LISTED).filter(pl.col(LISTED).list.len() > 1)
    if twice.height:
        examples = [f"{name}: {' and '.join(str(s) for s in splits)}" for name, splits in twice.head(5).iter_rows()]
        raise InputError(path, f"every {key} in one split", f"{twice.height:,} in several", examples=examples)
    made = images.join(rows, on=key, how="left", maintain_order="left")
    notes = [_row(key, f"in the list {path.name}, not in the cohort", rows.join(images, on=key, how="anti")[key])]
    external = pl.col("site").is_in(list(config.external_sites))
    unlisted = made.filter(pl.col(LISTED).is_null() & ~external)["image_id"]
    if len(unlisted) and not config.split_unlisted:
        hint = tables.spelling_hint(made.filter(pl.col(LISTED).is_null() & ~external)[key], rows[key])
        raise InputError(
            path,
            "a split for every image of the cohort",
            f"{len(unlisted):,} of {images.height:,} images not listed",
            examples=unlisted.sort().head(5).to_list(),
            do=f"{hint} Leave them out, or name the split they get in split_unlisted.".strip(),
        )
    if len(unlisted):
        made = made.with_columns(pl.col(LISTED).fill_null(config.split_unlisted))
        what = f"not in the list {path.name}: in {config.split_unlisted}, as split_unlisted says"
        notes.append(_row("images", what, unlisted))
    return made, [n for n in notes if n.height] + [identifiers(replace(n, table=path.name)) for n in found]


def _row(unit: str, reason: str, names: pl.Series) -> pl.DataFrame:
    row = {"step": ["noted"], "unit": [unit], "reason": [reason], "count": [len(names)]}
    frame = pl.DataFrame(row | {"examples": [", ".join(names.sort().head(5))]})
    return tables.check(frame if len(names) else frame.clear(), "flow")
