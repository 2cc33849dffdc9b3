"""Duplicate and near-duplicate images of a cohort, within a source and across sources.

An image in both training and test is leakage; an image twice in test is counted twice. The option `duplicates` keeps
them marked and in one split, keeps one of each group, or refuses the cohort.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from overread.cohort.selection import left, noted, remaining
from overread.errors import InputError
from overread.images.duplicates import near_duplicates
from overread.images.raster.file_content import LEAST_COMPARED
from overread.images.store.pixel_store import Store

GROUP = "near_dup_group"
SAME, NEAR = "same pixels", "nearly the same"
_REASON = "_reason"
# Radiographs of one patient on different days are alike: simulated ones correlate at up to 0.988. They stay in one
# split anyway, so only nearly perfect copies among them are listed.
ALIKE_OF_ONE_PATIENT = 0.995
_BATCH_BYTES = 8 << 20  # pixels held at a time
_IDS = ("image_id", "case_id", "patient_id", "site")
PAIRS = {
    "image_a": pl.String,
    "image_b": pl.String,
    "kind": pl.String,
    "place": pl.String,
    "similarity": pl.Float64,
    "correlation": pl.Float64,
    "patient_a": pl.String,
    "patient_b": pl.String,
    "site_a": pl.String,
    "site_b": pl.String,
    "part_a": pl.Int32,
    "row_a": pl.Int32,
    "part_b": pl.Int32,
    "row_b": pl.Int32,
}

Progress = Callable[[int, int], None]


def find(images: pl.DataFrame, store: Store, *, progress: Progress | None = None) -> pl.DataFrame:
    """Find the pairs of duplicate and near-duplicate images.

    Parameters
    ----------
    images : DataFrame
        Table of images with part and row in the store; the order of rows does not matter.
    store : Store
        The pixels. Below 64 x 64 pixels only identical images are found.
    progress : callable, optional
        Called with (images read, images in all).

    Returns
    -------
    DataFrame
        Columns of `PAIRS`. `kind` is "same pixels" (each image paired with the first image that has these pixels) or
        "nearly the same" (see images/duplicates/near_duplicates.py; within one patient only for a correlation of at
        least 0.995). `place` is the most serious boundary that the pair crosses: "two sites", "two patients of one
        site" (one patient with two numbers, or one file with two names), "one patient", "one case". An image with a
        single grey value has no duplicates.

    Notes
    -----
    Measured recall and number of false pairs: docs/reference/duplicates.md.
    """
    ordered = images.sort("image_id")
    part, row = ordered["part"].to_numpy(), ordered["row"].to_numpy()
    digests: list[bytes] = []
    for at in _batches(len(part), store.recipe.size):
        digests += [_digest(p) for p in store.gather(part[at], row[at])]
        store.release()
        if progress:
            progress(min(at.stop, len(part)), len(part))
    same = _same(digests)
    frames = [_table(ordered, same, SAME, np.ones(len(same)), np.ones(len(same)))]
    alone = np.setdiff1d(np.arange(len(part)), same[:, 1])  # of images with the same pixels the first represents all
    if store.recipe.size >= LEAST_COMPARED and len(alone) > 1:
        sites = ordered["site"].fill_null("").to_list()
        pairs, similarity, alike = near_duplicates.find(store, part[alone], row[alone], [sites[i] for i in alone])
        near = _table(ordered, alone[pairs], NEAR, similarity, alike)
        of_two = pl.col("patient_a").ne_missing(pl.col("patient_b")) | (pl.col("site_a") != pl.col("site_b"))
        frames.append(near.filter(of_two | (pl.col("correlation") >= ALIKE_OF_ONE_PATIENT)))
    return pl.concat(frames).sort("kind", "image_a", "image_b")


def _digest(picture: NDArray[np.uint8]) -> bytes:
    flat = picture.min() == picture.max()
    return b"" if flat else hashlib.blake2b(picture.tobytes(), digest_size=16).digest()


def _batches(n: int, size: int) -> Iterator[slice]:
    each = max(1, _BATCH_BYTES // size**2)
    return (slice(i, min(i + each, n)) for i in range(0, n, each))


def _same(digests: list[bytes]) -> NDArray[np.int64]:
    """Pairs of each image with the first image that has the same pixels."""
    first: dict[bytes, int] = {}
    pairs = [(first[d], i) for i, d in enumerate(digests) if d and first.setdefault(d, i) != i]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _table(
    images: pl.DataFrame,
    pairs: NDArray[np.int64],
    kind: str,
    similarity: NDArray[np.float64],
    alike: NDArray[np.float64],
) -> pl.DataFrame:
    a, b = (images[pairs[:, k]] for k in (0, 1))
    sides = {
        f"{name}_{side}": frame[column].cast(pl.String if column in _IDS else pl.Int32)
        for side, frame in (("a", a), ("b", b))
        for name, column in (
            ("image", "image_id"),
            ("case", "case_id"),
            ("patient", "patient_id"),
            ("site", "site"),
            ("part", "part"),
            ("row", "row"),
        )
    }
    pair_table = pl.DataFrame(sides).with_columns(
        kind=pl.lit(kind),
        similarity=pl.Series(similarity, dtype=pl.Float64),
        correlation=pl.Series(alike, dtype=pl.Float64),
        place=pl.when(pl.col("site_a") != pl.col("site_b"))
        .then(pl.lit("two sites"))
        .when(pl.col("patient_a") != pl.col("patient_b"))
        .then(pl.lit("two patients of one site"))
        .when(pl.col("case_a") != pl.col("case_b"))
        .then(pl.lit("one patient"))
        .otherwise(pl.lit("one case")),
    )
    return pair_table.select(pl.col(c).cast(t) for c, t in PAIRS.items())


def applied(
    images: pl.DataFrame, pairs: pl.DataFrame, policy: str, *, labelled: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Apply the policy for duplicates.

    Parameters
    ----------
    images : DataFrame
        Table of images.
    pairs : DataFrame
        Pairs as returned by `find`.
    policy : {"together", "drop", "refuse"}
        "together": all images are kept, and `near_dup_group` (lowest image_id of the group, merged with groups that a
        source states) keeps them in one split. "drop": the lowest image_id of every group is kept, preferably one of a
        case with labels. "refuse": raise an error.
    labelled : DataFrame, optional
        Table whose case_ids have labels.

    Returns
    -------
    images : DataFrame
        Images that are kept.
    flow : list of DataFrame
        Rows of the flow for duplicates found and images excluded.

    Raises
    ------
    InputError
        There are pairs and the policy is "refuse"; the pairs are named.
    """
    if policy == "refuse" and pairs.height:
        worst = pairs.sort(pl.col("place").replace_strict(_ORDER, return_dtype=pl.Int32), "image_a")
        examples = [f"{a} = {b} ({place})" for a, b, place in worst.select("image_a", "image_b", "place").rows()]
        raise InputError(
            "images",
            "every image once",
            f"{pairs.height:,} pairs of duplicate images",
            examples=examples,
            do="Set duplicates to 'together' (one split) or 'drop'.",
        )
    grouped = _grouped(images, pairs)
    pair_images = pairs.select("kind", "place", "image_a", "image_b").unpivot(
        ["image_a", "image_b"], index=["kind", "place"], value_name="image_id"
    )
    notes = []
    for kind, place in pair_images.select("kind", "place").unique().sort("kind", "place").rows():
        images_of_kind = (
            pair_images.filter(pl.col("kind") == kind, pl.col("place") == place).select("image_id").unique()
        )
        similarity = "the same pixels" if kind == SAME else "nearly the same pixels"
        notes.append(
            noted(
                f"{similarity} as another image, {_PLACES[place]}",
                grouped.join(images_of_kind, on="image_id", how="semi"),
            )
        )
    stems = _shared_stems(grouped)
    if policy != "drop":
        return grouped, notes + stems
    is_duplicate = pl.col("image_id").is_in(pair_images["image_id"].unique().implode())
    known = [] if labelled is None else labelled["case_id"].unique().to_list()
    place = pl.struct(~pl.col("case_id").is_in(known), "image_id").rank("ordinal")
    ranked = grouped.with_columns(_place=place, _found=is_duplicate)
    first = pl.col("_place").filter(pl.col("_found")).min().over(GROUP)
    exact = pair_images.filter(pl.col("kind") == SAME)["image_id"].unique()
    exact_reason = pl.when(pl.col("image_id").is_in(exact.implode())).then(pl.lit("the same pixels as another image"))
    reason = exact_reason.otherwise(pl.lit("nearly the same pixels as another image"))
    judged = ranked.with_columns(pl.when(pl.col("_found") & (pl.col("_place") != first)).then(reason).alias(_REASON))
    judged = judged.drop("_place", "_found")
    kept_images = judged.filter(pl.col(_REASON).is_null()).drop(_REASON)
    out = judged.filter(pl.col(_REASON).is_not_null())
    return kept_images, [left("duplicates", out), remaining("duplicates", kept_images), *stems] if out.height else stems


def _shared_stems(images: pl.DataFrame) -> list[pl.DataFrame]:
    """Note images whose file has the same name as a file of another site, unless they are known duplicates.

    Redistributed collections often keep the file names. Names that occur several times at one site ("image.dcm") do
    not identify an image and are ignored.
    """
    stem = pl.col("path").str.replace_all(r"\\", "/").str.extract(r"([^/]+?)(?:\.[^./]*)?$").str.to_lowercase()
    named = images.filter(pl.col("path").is_not_null()).with_columns(_stem=stem)
    alone = named.filter(pl.len().over("_stem", "site") == 1)
    known = (pl.col(GROUP).n_unique() == 1) & (pl.col(GROUP).null_count() == 0)
    shared = alone.filter((pl.len().over("_stem") > 1) & ~known.over("_stem"))
    return [noted("the file has the name of a file of another site", shared)] if shared.height else []


_ORDER = {"two sites": 0, "two patients of one site": 1, "one patient": 2, "one case": 3}
_PLACES = {
    "two sites": "at another site",
    "two patients of one site": "of another patient of the site",
    "one patient": "of the same patient",
    "one case": "of the same case",
}


def _grouped(images: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Add `near_dup_group`: the lowest image_id among connected pairs and groups that a source states."""
    has_groups = GROUP in images.columns and images[GROUP].null_count() < images.height
    if not pairs.height and not has_groups:
        return images if GROUP in images.columns else images.with_columns(pl.lit(None, pl.String).alias(GROUP))
    ids = images["image_id"].sort()
    code = {name: i for i, name in enumerate(ids)}
    links = [(code[a], code[b]) for a, b in pairs.select("image_a", "image_b").rows() if a in code and b in code]
    alone: dict[int, str] = {}
    if has_groups:
        for group, members in images.filter(pl.col(GROUP).is_not_null()).group_by(GROUP).agg("image_id").rows():
            links += [(code[members[0]], code[m]) for m in members[1:]]
            alone |= {code[members[0]]: str(group)} if len(members) == 1 else {}
    a, b = (np.array([pair[k] for pair in links], np.int64) for k in (0, 1))
    n = len(ids)
    component = connected_components(coo_matrix((np.ones(len(links)), (a, b)), shape=(n, n)), directed=False)[1]
    table = pl.DataFrame({"image_id": ids, "_component": component})
    least = pl.col("image_id").min().over("_component")
    table = table.with_columns(pl.when(pl.len().over("_component") > 1).then(least).alias(GROUP)).drop("_component")
    own = pl.DataFrame(
        {"image_id": [ids[i] for i in alone], "_own": list(alone.values())},
        schema={"image_id": pl.String, "_own": pl.String},
    )
    table = (
        table.join(own, on="image_id", how="left").with_columns(pl.coalesce(GROUP, "_own").alias(GROUP)).drop("_own")
    )
    return images.drop(GROUP, strict=False).join(table, on="image_id", how="left", maintain_order="left")
