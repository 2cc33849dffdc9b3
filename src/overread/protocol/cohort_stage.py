"""From a known source, or from tables, to a cohort: load, then build."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from overread import cohort as cohorts
from overread import datasets, tables
from overread.cohort import CohortConfig
from overread.cohort.building import Progress
from overread.errors import InputError
from overread.evaluation.join import layouts
from overread.evaluation.join.account import UNMATCHED, Dropped, account_frame
from overread.evaluation.join.unmatched import UnmatchedAllowance, matched
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.protocol.configuration import with_settings
from overread.protocol.input_tables import account_of_files, account_sentences, without_used


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CohortSource:
    """Images, labels and regions of a source, the folder of its files and the vocabulary, ready to be built."""

    source: tables.Source
    root: Path
    vocabulary: Vocabulary

    @property
    def images(self) -> pl.DataFrame:
        """The table `images`."""
        return self.source.images

    @property
    def labels(self) -> pl.DataFrame:
        """The table `labels`."""
        return self.source.labels

    def build(
        self,
        out: Path | str,
        config: CohortConfig | None = None,
        *,
        workers: int | str = 0,
        allow_outside: bool = False,
        progress: Progress | None = None,
        **settings: Any,
    ) -> cohorts.Cohort:
        """Build the cohort's folder, as `overread cohort` does; see `overread.cohort.build`.

        `settings` are fields of CohortConfig in place of those of `config`, such as seed=1. Without `config` the
        vocabulary is that of `load`.
        """
        chosen = with_settings(config or CohortConfig(vocabulary=self.vocabulary), settings, "build")
        return cohorts.build(
            self.source, self.root, out, chosen, workers=workers, allow_outside=allow_outside, progress=progress
        )

    def __repr__(self) -> str:
        images = self.images
        return (
            f"Source in {self.root}: {images.height:,} images of {images['patient_id'].n_unique():,} patients, "
            f"sites {', '.join(sorted(images['site'].unique()))}; {self.labels.height:,} labels"
        )


def load(
    name: str,
    root: Path | str,
    *,
    allow_outside: bool = False,
    cache: Path | None = None,
    vocabulary: Vocabulary | None = None,
    **options: Any,
) -> CohortSource:
    """Load a known source, such as nih14, or "table", from the folder in which it lies.

    Parameters
    ----------
    name : str
        A source, see `overread.datasets.names`.
    root : path
        The folder that the images' paths are relative to.
    allow_outside : bool
        Whether options may name tables that do not lie below `root`.
    cache : path, optional
        A file of the caller's own that keeps the headers of DICOM files.
    vocabulary : Vocabulary, optional
        The findings that the source may name; None = those of "chest".
    **options
        What the source takes, such as prefix="a-"; see docs/reference/sources.md.

    Returns
    -------
    CohortSource
        Its method `build(folder)` selects, splits and stores the pixels: the function form of `overread cohort`.

    Raises
    ------
    InputError
        No such source or option, or whatever the source finds wrong.
    """
    where, words = f"load('{name}')", vocabulary or load_vocabulary("chest")
    source = datasets.load(name, root, options, where=where, allow_outside=allow_outside, cache=cache, vocabulary=words)
    return CohortSource(source, Path(root), words)


def cohort_tables(
    images: Path,
    labels: Path,
    regions: Path | None = None,
    *,
    allowed: float = 0.01,
    vocabulary: Vocabulary | None = None,
) -> tuple[tables.Source, list[str]]:
    """Read the tables of a cohort as an evaluation reads them; what was left out or changed is in its notes.

    The second value describes the text of the files where it is not UTF-8 with commas.

    Parameters
    ----------
    images, labels, regions : Path
        The tables, long or wide.
    allowed : float
        The share of labelled cases, and of images with regions, that `images` may lack.
    vocabulary : Vocabulary, optional
        The findings that labels and regions may name; None = those of "chest".

    Raises
    ------
    InputError
        What `wide` refuses, images without a site, and labels or regions of images that are not there.
    """
    read = {"images": layouts.images(images), "labels": layouts.labels(labels, vocabulary=vocabulary)}
    if regions is not None:
        read["regions"] = layouts.regions(regions, vocabulary=vocabulary)
    if "site" not in read["images"].columns.values():
        expected = "a column 'site'"
        raise InputError(images, expected, "none", do="Add it: sites are never mixed between training and test.")
    frame = read["images"].frame
    lost: list[Dropped] = []
    allowance = UnmatchedAllowance("cohort.missing_allowed", allowed)
    for name, key in (("labels", "case_id"), ("regions", "image_id")):
        if name in read:
            rows, dropped = matched(read[name].frame, frame, allowance, name=name, key=key)
            read[name], lost = replace(read[name], frame=rows), lost + dropped
    paths = {"images": images, "labels": labels, "regions": regions}
    understood = without_used([(Path(str(paths[name])), r) for name, r in read.items()])
    account = pl.concat([account_of_files(understood), account_frame(UNMATCHED, lost)])
    notes: tuple[str | tables.Note, ...] = (
        *account_sentences(account),
        *(note for r in read.values() for note in r.notes),
    )
    said = [f"{f.name}: read as text with {'; '.join(r.dialect)}." for f, r in understood if r.dialect]
    boxes = read["regions"].frame if "regions" in read else None
    return tables.Source(frame, read["labels"].frame, boxes, notes=notes), said
