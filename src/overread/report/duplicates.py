"""One picture twice: how many pairs there are, what they cross, and the worst of them side by side."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread.images import store
from overread.report.blocks import Block, Picture, Pictures, Section, Table, Text, figures, heads, table, words
from overread.report.evidence import Evidence
from overread.report.heatmaps import data_uri, grey
from overread.report.numbers import count, fixed

_TITLE = "One picture twice"
_SHOWN = 6  # pairs side by side
_PLACES = ("two sites", "two patients of one site", "one patient", "one case")
_HOW = (
    "Every stored picture was compared with every other: by its pixels, and by a fingerprint that another format, size "
    "or contrast does not change, confirmed by the correlation of details (at least 0.90). Another crop is not found."
)


def duplicates(evidence: Evidence, cohort_folder: Path | str | None) -> Section:
    """The pairs by kind and by what they cross, those that cross splits counted apart; the worst as pictures."""
    file = None if cohort_folder is None else Path(cohort_folder) / "duplicates.parquet"
    if file is None or not file.is_file():
        return Section("duplicates", _TITLE, absent="no cohort was given that was searched for copies of one picture")
    pairs = _with_splits(pl.read_parquet(file), evidence.images)
    if pairs.is_empty():
        return Section("duplicates", _TITLE, (Text(f"{_HOW} None was found."),))
    blocks: list[Block] = [Text(_HOW), _counts(pairs)]
    shown = _pictures(pairs, Path(cohort_folder or ""))
    blocks += [Pictures("The pairs that cross most, first picture and second.", shown)] if shown else []
    return Section("duplicates", _TITLE, tuple(blocks))


def _with_splits(pairs: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    """The pairs with the split of each side ("" = left out since), the worst first: across splits, then by place."""
    split = images.select("image_id", pl.col("split").cast(pl.String).fill_null(""))
    for side in ("a", "b"):
        own = split.rename({"image_id": f"image_{side}", "split": f"split_{side}"})
        pairs = pairs.join(own, on=f"image_{side}", how="left", maintain_order="left")
    pairs = pairs.with_columns(pl.col("split_a", "split_b").fill_null(""))
    crossed = (pl.col("split_a") != pl.col("split_b")) & (pl.col("split_a") != "") & (pl.col("split_b") != "")
    rank = pl.col("place").replace_strict({p: i for i, p in enumerate(_PLACES)}, return_dtype=pl.Int32)
    ordered = pairs.with_columns(across=crossed, _rank=rank)
    worst = ("across", "_rank", "correlation", "image_a")
    return ordered.sort(*worst, descending=[True, False, True, False]).drop("_rank")


def _counts(pairs: pl.DataFrame) -> Table:
    kinds = [k for k in ("same pixels", "nearly the same") if (pairs["kind"] == k).any()]
    body = []
    for place in _PLACES:
        own = pairs.filter(pl.col("place") == place)
        if own.height:
            cells = [count(own.filter(pl.col("kind") == k).height) for k in kinds]
            body.append((*words(place), *figures([*cells, count(int(own["across"].sum()))])))
    head = heads("The two pictures are of", *(k.capitalize() for k in kinds), "Across splits")
    remark = "Across splits: the two images are in different splits." * bool(pairs["across"].any())
    return table("Pairs of images that are one picture.", (head,), body, remark=remark)


def _pictures(pairs: pl.DataFrame, folder: Path) -> tuple[Picture, ...]:
    pixels = store.open_store(folder)
    made = []
    for row in pairs.head(_SHOWN).iter_rows(named=True):
        one, other = (
            grey(pixels.parts[row[f"part_{side}"]][row[f"row_{side}"]]) for side in ("a", "b")
        )  # fmt: skip
        where = [f"{row[f'site_{s}']}, patient {row[f'patient_{s}']}, {row[f'split_{s}'] or 'left out'}" for s in "ab"]
        lines = (f"{row['image_a']}: {where[0]}", f"{row['image_b']}: {where[1]}",
                 f"correlation {fixed(row['correlation'], 2)}")  # fmt: skip
        kind = "across splits" if row["across"] else "one split"
        alt = f"Two radiographs that are one picture: {row['image_a']} and {row['image_b']}"
        made.append(
            Picture(row["place"].capitalize(), kind, data_uri(one, "JPEG"), data_uri(other, "JPEG"), alt, lines)
        )
    return tuple(made)
