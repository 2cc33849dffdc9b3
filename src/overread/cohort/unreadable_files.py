"""Files that a source left out and images that cannot be read: counts for the flow, the list, the share allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from overread import tables
from overread.cohort.cohort_folders import REFUSED
from overread.errors import InputError
from overread.images.store.unreadable_images import problems
from overread.tables import Source


@dataclass(frozen=True, slots=True)
class UnreadableAllowance:
    """The share of images of each source that may be missing or unreadable.

    sources: the sources of the cohort.
    selected: the images that the cohort selects from them.
    share: the cohort's `max_unreadable`, for sources that have none of their own.
    out: the folder of the cohort, where the list is written if the cohort is refused.
    """

    sources: Sequence[Source]
    selected: pl.DataFrame
    share: float
    out: Path

    def check(self, unreadable: pl.DataFrame) -> None:
        """Raise InputError if a source has more missing or unreadable images than its share; the message names a list.

        unreadable: image_id, path and reason of images. Unusable files that the sources left out are added.
        """
        found = [p for n, source in enumerate(self.sources, 1) for p in self._problems(source, n, unreadable)]
        if found:
            path = self.out / REFUSED
            listed = tables.write_frame(listing(self.sources, self.selected, unreadable), path)
            head = found[0]
            found[0] = InputError(
                head.where,
                head.expected,
                head.found,
                examples=head.examples,
                do=f"{head.do} All of them are listed in {listed}.",
            )
            raise InputError.all(found)

    def _problems(self, source: Source, number: int, unreadable: pl.DataFrame) -> list[InputError]:
        own = self.selected.join(source.images, on="image_id", how="semi")
        files = unreadable.join(own, on="image_id", how="semi")
        if source.excluded is not None:
            left = source.excluded.filter("unreadable").with_columns(image_id=pl.lit(""))
            files = pl.concat([left.select(files.columns), files])
        key, share = "max_unreadable under [cohort]", self.share
        if source.max_unreadable is not None:
            key, share = f"max_unreadable under [sources.{source.name}]", source.max_unreadable
        where = source.name or (f"source {number}" if len(self.sources) > 1 else "images")
        count = own.height + files.filter(pl.col("image_id") == "").height
        return problems(files, count, share, where=where, key=key)


def listing(sources: Sequence[Source], images: pl.DataFrame, unreadable: pl.DataFrame) -> pl.DataFrame:
    """Every unusable file of these sources and every unreadable image: site, image_id, path and reason."""
    columns = ["site", "image_id", "path", "reason"]
    read = unreadable.join(images.select("image_id", "site"), on="image_id", how="left").select(columns)
    why = pl.concat_str("reason", "detail", separator="; ", ignore_nulls=True)
    left = [
        s.excluded.filter("unreadable").with_columns(image_id=pl.lit(""), reason=why)
        for s in sources
        if s.excluded is not None
    ]
    return pl.concat([*(f.select(columns) for f in left), read])


def flow(source: Source) -> list[pl.DataFrame]:
    """Rows of the flow for the files that the sources left out: all, left out by reason, usable; in all and by site."""
    if source.excluded is None or not source.excluded.height:
        return []
    left = source.excluded.with_columns(pl.col("site").fill_null(""))
    kept = source.images.select("site", reason=pl.lit(None, pl.String), path="path")
    every = pl.concat([left.select(kept.columns), kept], how="vertical_relaxed")
    lost = every.filter(pl.col("reason").is_not_null()).sort("path")
    return [_counts("in the sources", every, ""), _counts("usable", lost, None), _counts("usable", kept, "")]


def _counts(step: str, files: pl.DataFrame, reason: str | None) -> pl.DataFrame:
    """Counts of files, by reason (all of one where it is given), in all and by site, with five examples of each."""
    named = files if reason is None else files.with_columns(reason=pl.lit(reason))
    counted = [pl.len().alias("count"), pl.col("path").head(5).str.join(", ").alias("examples")]
    whole = named.group_by("reason").agg(counted).with_columns(site=pl.lit(""))
    sites = named.filter(pl.col("site") != "").group_by("reason", "site").agg(counted)
    both = pl.concat([whole, sites.select(whole.columns)]).sort("reason", "site")
    both = both.with_columns(step=pl.lit(step), unit=pl.lit("files"))
    if reason is not None:
        both = both.with_columns(examples=pl.lit(None, pl.String))
    return tables.check(both.select(tables.empty("flow").columns), "flow")
