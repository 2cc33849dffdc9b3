"""Error message for missing or unreadable images above the allowed share."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread.errors import InputError

SCHEMA = {"image_id": pl.String, "path": pl.String, "reason": pl.String}
_SHOWN = 20  # images named in one message


def problems(
    unreadable: pl.DataFrame, n_images: int, share: float = 0.0, *, where: object = "images", key: str = ""
) -> list[InputError]:
    """Errors to raise if more than `share` of the images are missing or unreadable.

    Parameters
    ----------
    unreadable : DataFrame
        image_id, path and reason of every such image; image_id is "" for a file without identifier.
    n_images : int
        Number of images, including these.
    share : float
        Allowed share, from 0 to 1.
    where : object
        Source or folder that the message names.
    key : str
        Setting that increases the share, such as "max_unreadable under [cohort]"; "" = none.

    Returns
    -------
    list of InputError
        Empty if the share is not exceeded; otherwise one error with counts by reason, and one for each of the first
        images.
    """
    if unreadable.height <= share * n_images:
        return []
    counts = unreadable["reason"].value_counts(sort=True).sort("count", "reason", descending=[True, False])
    do = "Correct the files" + (f", or raise {key} (now {share:g})." if key else ".")
    head = InputError(
        where,
        f"at most {100 * share:.3g} % of the images to be missing or unreadable" if share else "every image to be read",
        f"{unreadable.height:,} of {n_images:,} ({_per_cent(unreadable.height / n_images)}) that cannot be used",
        examples=[f"{n:,}: {reason}" for reason, n in counts.rows()],
        do=do,
    )
    rows = unreadable.head(_SHOWN).select("image_id", "path", "reason").rows()
    return [head, *(InputError(f"{i} ({p})" if i else Path(p), "a radiograph", why) for i, p, why in rows)]


def _per_cent(share: float) -> str:
    """A share in per cent, with two digits below ten.

    >>> _per_cent(1.0), _per_cent(0.4), _per_cent(0.00123)
    ('100 %', '40 %', '0.12 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
