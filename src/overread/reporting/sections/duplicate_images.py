"""Duplicate images: the number of pairs, between which sets they are, examples, and the limits of the search."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread.images.raster.file_content import ALIKE, LEAST_COMPARED
from overread.images.store import pixel_store
from overread.reporting.blocks import Block, Paragraph, Picture, Pictures, Section, Table, figures, heads, table, words
from overread.reporting.number_format import count, fixed
from overread.reporting.report_data import ReportData
from overread.reporting.sections.heatmaps import data_uri, grey

_TITLE = "Duplicate images"
_SHOWN = 6  # pairs side by side
_PLACES = ("two sites", "two patients of one site", "one patient", "one case")
_HOW = (
    "Stored images were compared by their pixels, and by fingerprints of many views of each, so that crops and images "
    "with borders are compared too. Pairs of views that look alike were aligned and are listed if their details "
    f"correlate at {ALIKE:.2f} or better (two images of one patient at 0.995). "
)
_SMALL = (
    f"The stored images are smaller than {LEAST_COMPARED} x {LEAST_COMPARED} pixels. Only images with the same pixels "
    "were searched for; near-duplicates cannot be excluded. "
)
_UNKNOWN = (
    "The size of the stored images is not known to this report: below "
    f"{LEAST_COMPARED} x {LEAST_COMPARED} pixels only images with the same pixels are searched for. "
)
# Measured by validation/near_duplicates.py; see docs/reference/duplicates.md.
_LIMITS = (
    "The search is for copies in another contrast or gamma, with borders of up to 10 % of a side, and crops of up to "
    "25 % from each side. In its validation it found {recall}. Copies that were cropped "
    "further, mirrored, inverted, rotated or retouched, or changed in several ways at once, cannot be excluded."
)
_RECALL = "94 to 100 of 100 radiographs with one such change, and 72 of 100 with all of them at once"


def excluded_duplicates(evidence: ReportData) -> str:
    """What the search for duplicate images did and did not exclude between training and external test images."""
    pairs = evidence.duplicates
    if pairs is None:
        return "Duplicate images were not searched for, so that images of these sites may have been used in training."
    shared = _with_splits(pairs, evidence.images)
    crossing = shared.filter(pl.col("tested")).height
    found = (
        f"Pairs of duplicate images with one image in the test set and the other in the training or tuning set: "
        f"{count(crossing)}."
        if crossing
        else "The search for duplicate images found none between the test set and the training and tuning sets."
    )
    return f"{found} {_limits(evidence)}"


def _limits(evidence: ReportData) -> str:
    limits = _LIMITS.format(recall=_RECALL)
    if evidence.stored_size is None:
        return _UNKNOWN + limits
    return _SMALL.strip() if evidence.stored_size < LEAST_COMPARED else limits


def duplicates(evidence: ReportData, cohort_folder: Path | str | None) -> Section:
    """The pairs by kind and place, with those between splits; examples as pictures."""
    file = None if cohort_folder is None else Path(cohort_folder) / "duplicates.parquet"
    if file is None or not file.is_file():
        return Section("duplicates", _TITLE, absent="no cohort was given that was searched for duplicate images")
    pairs = _with_splits(pl.read_parquet(file), evidence.images)
    fingerprinted = evidence.stored_size is not None and evidence.stored_size >= LEAST_COMPARED
    how = (_HOW if fingerprinted else "") + _limits(evidence)
    if pairs.is_empty():
        return Section("duplicates", _TITLE, (Paragraph(f"{how} None was found."),))
    blocks: list[Block] = [Paragraph(how), _counts(pairs)]
    shown = _pictures(pairs, Path(cohort_folder or ""))
    blocks += [Pictures("Examples, pairs with one test image first: first and second image.", shown)] if shown else []
    return Section("duplicates", _TITLE, tuple(blocks))


def _with_splits(pairs: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    """The pairs with the split of each image ("" = excluded since): those with one test image first, then by place."""
    split = images.select("image_id", pl.col("split").cast(pl.String).fill_null(""))
    for side in ("a", "b"):
        own = split.rename({"image_id": f"image_{side}", "split": f"split_{side}"})
        pairs = pairs.join(own, on=f"image_{side}", how="left", maintain_order="left")
    pairs = pairs.with_columns(pl.col("split_a", "split_b").fill_null(""))
    crossed = (pl.col("split_a") != pl.col("split_b")) & (pl.col("split_a") != "") & (pl.col("split_b") != "")
    rank = pl.col("place").replace_strict({p: i for i, p in enumerate(_PLACES)}, return_dtype=pl.Int32)
    tested = crossed & ((pl.col("split_a") == "test") | (pl.col("split_b") == "test"))
    ordered = pairs.with_columns(across=crossed, tested=tested, _rank=rank)
    worst = ("tested", "across", "_rank", "correlation", "image_a")
    return ordered.sort(*worst, descending=[True, True, False, True, False]).drop("_rank")


def _counts(pairs: pl.DataFrame) -> Table:
    kinds = [k for k in ("same pixels", "nearly the same") if (pairs["kind"] == k).any()]
    body = []
    for place in _PLACES:
        own = pairs.filter(pl.col("place") == place)
        if own.height:
            cells = [count(own.filter(pl.col("kind") == k).height) for k in kinds]
            body.append((*words(place), *figures([*cells, count(int(own["across"].sum()))])))
    head = heads("The two images are of", *(k.capitalize() for k in kinds), "Across splits")
    remark = "Across splits: the two images are in different splits." * bool(pairs["across"].any())
    return table("Pairs of duplicate images.", (head,), body, remark=remark)


def _pictures(pairs: pl.DataFrame, folder: Path) -> tuple[Picture, ...]:
    pixels = pixel_store.open_store(folder)
    made = []
    for row in pairs.head(_SHOWN).iter_rows(named=True):
        one, other = (grey(pixels.parts[row[f"part_{side}"]][row[f"row_{side}"]]) for side in ("a", "b"))
        where = [f"{row[f'site_{s}']}, patient {row[f'patient_{s}']}, {row[f'split_{s}'] or 'excluded'}" for s in "ab"]
        lines = (
            f"{row['image_a']}: {where[0]}",
            f"{row['image_b']}: {where[1]}",
            f"correlation {fixed(row['correlation'], 2)}",
        )
        kind = "across splits" if row["across"] else "one split"
        alt = f"Two files of one radiograph: {row['image_a']} and {row['image_b']}"
        made.append(
            Picture(row["place"].capitalize(), kind, data_uri(one, "JPEG"), data_uri(other, "JPEG"), alt, lines)
        )
    return tuple(made)
