"""Rows whose case or image is not in the images table: refused above an allowed share, otherwise counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from overread import codes, tables
from overread.errors import InputError
from overread.evaluation.join.account import UNMATCHED, Dropped, examples_of


@dataclass(frozen=True, slots=True)
class UnmatchedAllowance:
    """The allowed share of unmatched units of a table, and the name of the setting."""

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
    """Return the rows whose `key` is in the images table, and the account of the others.

    Parameters
    ----------
    rows, images : DataFrame
        The table to be joined, and the images.
    allowance : UnmatchedAllowance
        The share that may be unmatched.
    name : str
        Name of the rows in messages.
    key : str
        The common column: case_id or image_id.
    unit : sequence of str
        The columns that identify a read, where reads are counted; () = images or cases are counted.

    Returns
    -------
    rows : DataFrame
        The matched rows.
    dropped : list of Dropped
        The account of the unmatched rows.

    Raises
    ------
    InputError
        The unmatched share is above the allowed one.
    """
    lone = rows.join(images.select(key).unique(), on=key, how="anti")
    if lone.is_empty():
        return rows, []
    columns = list(unit) or [key]
    count, total = lone.select(columns).n_unique(), rows.select(columns).n_unique()
    what = "reads" if unit else "cases" if key == "case_id" else "images"
    hint = tables.spelling_hint(lone[key], images[key])
    if count > allowance.share * total:
        shown = lone[key].unique(maintain_order=True).head(6)
        named = "images" if key == "image_id" else "cases"
        do = f"{hint and f'{hint} '}Check that both files use the same names of {named}"
        if count == total and images.height:  # two ways to name them, and no subset
            do += f": {name} have '{shown[0]}', images have '{images[key].drop_nulls()[0]}'."
        else:
            do += f". If the images are a subset on purpose, allow it: {allowed(allowance.setting, count / total)}."
        raise InputError(
            name,
            f"{what} of the images table",
            f"{count:,} of {total:,} {what} ({count / total:.1%}) that are not in it",
            examples=[f"'{s}'" for s in shown],
            do=do,
        )
    parameters: dict[str, codes.Parameter] = {"table": name, "share": share_of(count, total), "of": total}
    reason = (
        codes.note("not_in_images_hint", **parameters, hint=hint) if hint else codes.note("not_in_images", **parameters)
    )
    matched_rows = rows.join(images.select(key).unique(), on=key, how="semi")
    return matched_rows, [Dropped(what, reason, count, examples_of(lone, (key,)), UNMATCHED)]


def share_of(count: int, total: int) -> str:
    """Format a share for the account.

    >>> share_of(176, 352)
    '50%'
    """
    return f"{100 * count / total:.2g}%"


def allowed(setting: str, share: float) -> str:
    """Say how a share of missing rows is allowed, on the command line and in a file.

    >>> allowed("evaluation.missing_allowed.labels", 0.79)
    '--set missing_allowed.labels=0.83 (evaluation.missing_allowed.labels = 0.83 in a file)'
    """
    key = setting.partition(".")[2]  # without the section
    return f"--set {key}={roomy(share)} ({setting} = {roomy(share)} in a file)"


def roomy(share: float) -> str:
    """Round a share up to two significant figures, so that it can be used as a setting.

    >>> roomy(1 / 3), roomy(1.0)
    ('0.35', '1')
    """
    return f"{min(share * 1.05 + 0.0001, 1):.2g}"
