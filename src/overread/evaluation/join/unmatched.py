"""Rows whose case or image the images table lacks: refused above the share that is allowed, else counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from overread import codes, tables
from overread.errors import InputError
from overread.evaluation.join.account import UNMATCHED, Dropped, examples_of


@dataclass(frozen=True, slots=True)
class UnmatchedAllowance:
    """The share of a table's units whose image or case may be missing, and the setting that states it."""

    setting: str
    share: float


def matched(
    rows: pl.DataFrame,
    images: pl.DataFrame,
    allowance: UnmatchedAllowance,
    *,
    name: str,
    key: str = "case_id",
    unit: Sequence[str] = (),
) -> tuple[pl.DataFrame, list[Dropped]]:
    """The rows whose `key` the images table has, and the account of the others.

    Parameters
    ----------
    rows, images : DataFrame
        The table that is joined, and the images.
    allowance : Allowance
        The share that may be missing.
    name : str
        What messages call the rows.
    key : str
        The column that both have: case_id or image_id.
    unit : sequence of str
        The columns that name a read, where reads are counted; () = images or cases are.

    Raises
    ------
    InputError
        The share of units without an image is above the one that is allowed.
    """
    lone = rows.join(images.select(key).unique(), on=key, how="anti")
    if lone.is_empty():
        return rows, []
    columns = list(unit) or [key]
    count, of = lone.select(columns).n_unique(), rows.select(columns).n_unique()
    what = "reads" if unit else "cases" if key == "case_id" else "images"
    hint = tables.spelling_hint(lone[key], images[key])
    if count > allowance.share * of:
        shown = lone[key].unique(maintain_order=True).head(6)
        do = f"{hint and f'{hint} '}Check that both files name the {'images' if key == 'image_id' else 'cases'} alike"
        if count == of and images.height:  # two ways to name them, and no subset
            do += f": {name} have '{shown[0]}', images have '{images[key].drop_nulls()[0]}'."
        else:
            do += f". If the images are a subset on purpose, state it: {allowance.setting} = {roomy(count / of)}."
        raise InputError(
            name,
            f"{what} of the images table",
            f"{count:,} of {of:,} {what} ({count / of:.1%}) that it lacks",
            examples=[f"'{s}'" for s in shown],
            do=do,
        )
    given: dict[str, codes.Parameter] = {"table": name, "share": share_of(count, of), "of": of}
    reason = codes.note("not_in_images_hint", **given, hint=hint) if hint else codes.note("not_in_images", **given)
    kept = rows.join(images.select(key).unique(), on=key, how="semi")
    return kept, [Dropped(what, reason, count, examples_of(lone, (key,)), UNMATCHED)]


def share_of(count: int, of: int) -> str:
    """The share as the account shows it.

    >>> share_of(176, 352)
    '50%'
    """
    return f"{100 * count / of:.2g}%"


def roomy(share: float) -> str:
    """The share, rounded up to two figures so that setting it is enough.

    >>> roomy(1 / 3), roomy(1.0)
    ('0.35', '1')
    """
    return f"{min(share * 1.05 + 0.0001, 1):.2g}"
