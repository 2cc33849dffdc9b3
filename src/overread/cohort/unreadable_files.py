"""Excluded files and unreadable images: counts for the flow, the list, and the allowed share."""

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

    Parameters
    ----------
    sources : sequence of Source
        Sources of the cohort.
    selected : DataFrame
        Images that the cohort selects from them.
    share : float
        `max_unreadable` of the cohort, for sources without their own.
    out : Path
        Cohort folder, where the list is written if the cohort is refused.
    """

    sources: Sequence[Source]
    selected: pl.DataFrame
    share: float
    out: Path

    def check(self, unreadable: pl.DataFrame) -> None:
        """Raise InputError if a source has more missing or unreadable images than its share.

        The message names the file that lists them.

        Parameters
        ----------
        unreadable : DataFrame
            image_id, path and reason of images; unusable files that the sources excluded are added.
        """
        source_problems = [p for n, source in enumerate(self.sources, 1) for p in self._problems(source, n, unreadable)]
        if source_problems:
            path = self.out / REFUSED
            listed = tables.write_frame(listing(self.sources, self.selected, unreadable), path)
            head = source_problems[0]
            source_problems[0] = InputError(
                head.where,
                head.expected,
                head.found,
                examples=head.examples,
                do=f"{head.do} All of them are listed in {listed}.",
            )
            raise InputError.all(source_problems)

    def _problems(self, source: Source, number: int, unreadable: pl.DataFrame) -> list[InputError]:
        own = self.selected.join(source.images, on="image_id", how="semi")
        files = unreadable.join(own, on="image_id", how="semi")
        if source.excluded is not None:
            excluded_files = source.excluded.filter("unreadable").with_columns(image_id=pl.lit(""))
            files = pl.concat([excluded_files.select(files.columns), files])
        key, share = "max_unreadable under [cohort]", self.share
        if source.max_unreadable is not None:
            key, share = f"max_unreadable under [sources.{source.name}]", source.max_unreadable
        where = source.name or (f"source {number}" if len(self.sources) > 1 else "images")
        count = own.height + files.filter(pl.col("image_id") == "").height
        return problems(files, count, share, where=where, key=key)


def listing(sources: Sequence[Source], images: pl.DataFrame, unreadable: pl.DataFrame) -> pl.DataFrame:
    """List every unusable file of these sources and every unreadable image: site, image_id, path and reason."""
    columns = ["site", "image_id", "path", "reason"]
    unreadable_images = unreadable.join(images.select("image_id", "site"), on="image_id", how="left").select(columns)
    why = pl.concat_str("reason", "detail", separator="; ", ignore_nulls=True)
    excluded_files = [
        s.excluded.filter("unreadable").with_columns(image_id=pl.lit(""), reason=why)
        for s in sources
        if s.excluded is not None
    ]
    return pl.concat([*(f.select(columns) for f in excluded_files), unreadable_images])


def flow(source: Source) -> list[pl.DataFrame]:
    """Rows of the flow for files: all files, excluded files by reason, usable files; in total and by site."""
    if source.excluded is None or not source.excluded.height:
        return []
    excluded_files = source.excluded.with_columns(pl.col("site").fill_null(""))
    usable_files = source.images.select("site", reason=pl.lit(None, pl.String), path="path")
    all_files = pl.concat([excluded_files.select(usable_files.columns), usable_files], how="vertical_relaxed")
    unusable_files = all_files.filter(pl.col("reason").is_not_null()).sort("path")
    return [
        _counts("in the sources", all_files, ""),
        _counts("usable", unusable_files, None),
        _counts("usable", usable_files, ""),
    ]


def _counts(step: str, files: pl.DataFrame, reason: str | None) -> pl.DataFrame:
    """Count files by reason (or all under `reason`), in total and by site, with five examples of each."""
    named = files if reason is None else files.with_columns(reason=pl.lit(reason))
    counted = [pl.len().alias("count"), pl.col("path").head(5).str.join(", ").alias("examples")]
    whole = named.group_by("reason").agg(counted).with_columns(site=pl.lit(""))
    sites = named.filter(pl.col("site") != "").group_by("reason", "site").agg(counted)
    both = pl.concat([whole, sites.select(whole.columns)]).sort("reason", "site")
    both = both.with_columns(step=pl.lit(step), unit=pl.lit("files"))
    if reason is not None:
        both = both.with_columns(examples=pl.lit(None, pl.String))
    return tables.check(both.select(tables.empty("flow").columns), "flow")
