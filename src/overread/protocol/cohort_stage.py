"""Loading of data sources and building of cohorts."""

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
from overread.protocol.input_tables import account_of_files, account_sentences, without_used
from overread.tables.records.configuration import with_settings


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CohortSource:
    """A data source that was loaded, and the root folder of its image files.

    Attributes
    ----------
    source : overread.tables.Source
        The tables of images, labels, regions and reads.
    root : Path
        The folder to which the paths of the images are relative.
    vocabulary : Vocabulary
        The findings that the source may name.
    """

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
        """Build the folder of a cohort, as `overread cohort` does.

        Parameters
        ----------
        out : path
            The folder of the cohort.
        config : CohortConfig, optional
            Selection, split and pixel recipe; by default the vocabulary is that of `load`.
        workers : int or str
            Processes that read image files; 0 = this process. In a script, one or more require that the call is under
            `if __name__ == "__main__":`.
        allow_outside : bool
            Whether image files may be outside `root`.
        progress : callable, optional
            Called with files done and total files.
        **settings
            Fields of CohortConfig that replace those of `config`, such as seed=1.

        Returns
        -------
        Cohort
            The cohort.

        Raises
        ------
        InputError
            Whatever `overread.cohort.build` refuses.
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
    cache: Path | str | None = None,
    vocabulary: Vocabulary | None = None,
    **options: Any,
) -> CohortSource:
    """Load a public data source, such as nih14, or own tables ("table").

    Parameters
    ----------
    name : str
        The name of the source, see `overread.datasets.names`.
    root : path
        The folder to which the paths of the images are relative.
    allow_outside : bool
        Whether options may name tables outside `root`.
    cache : path, optional
        A file in which the headers of DICOM files are cached.
    vocabulary : Vocabulary, optional
        The findings that the source may name; None = the vocabulary "chest".
    **options
        Options of the source, such as prefix="a-"; see the reference page on sources.

    Returns
    -------
    CohortSource
        The tables of the source; its method `build` selects, splits and stores the pixels.

    Raises
    ------
    InputError
        An unknown source or option, or invalid data.

    Examples
    --------
    .. code-block:: python

        import overread as ov
        source = ov.load("nih14", "data/nih14")
        cohort = source.build("cohort", external_sites=("nih",))
    """
    where, words = f"load('{name}')", vocabulary or load_vocabulary("chest")
    source = datasets.load(
        name,
        root,
        options,
        where=where,
        allow_outside=allow_outside,
        cache=None if cache is None else Path(cache),
        vocabulary=words,
    )
    return CohortSource(source, Path(root), words)


def cohort_tables(
    images: Path,
    labels: Path,
    regions: Path | None = None,
    *,
    allowed: float = 0.01,
    vocabulary: Vocabulary | None = None,
) -> tuple[tables.Source, list[str]]:
    """Read the tables of a cohort in the same way as an evaluation; exclusions and changes are in the notes of the
    source.

    Parameters
    ----------
    images, labels, regions : Path
        The tables, in long or wide layout.
    allowed : float
        The share (0 to 1) of labelled cases, and of images with regions, that may be missing in `images`.
    vocabulary : Vocabulary, optional
        The findings that labels and regions may name; None = the vocabulary "chest".

    Returns
    -------
    source : overread.tables.Source
        The tables.
    dialects : list of str
        Descriptions of text files that are not UTF-8 with commas.

    Raises
    ------
    InputError
        Invalid tables, images without a site, and labels or regions of unknown images.
    """
    read = {"images": layouts.images(images), "labels": layouts.labels(labels, vocabulary=vocabulary)}
    if regions is not None:
        read["regions"] = layouts.regions(regions, vocabulary=vocabulary)
    if "site" not in read["images"].columns.values():
        expected = "a column 'site'"
        raise InputError(images, expected, "none", do="Add it: sites are never mixed between training and test.")
    frame = read["images"].frame
    dropped_rows: list[Dropped] = []
    allowance = UnmatchedAllowance("cohort.missing_allowed", allowed)
    for name, key in (("labels", "case_id"), ("regions", "image_id")):
        if name in read:
            rows, dropped = matched(read[name].frame, frame, allowance, name=name, key=key)
            read[name], dropped_rows = replace(read[name], frame=rows), dropped_rows + dropped
    paths = {"images": images, "labels": labels, "regions": regions}
    understood = without_used([(Path(str(paths[name])), r) for name, r in read.items()])
    account = pl.concat([account_of_files(understood), account_frame(UNMATCHED, dropped_rows)])
    notes: tuple[str | tables.Note, ...] = (
        *account_sentences(account),
        *(note for r in read.values() for note in r.notes),
    )
    dialects = [f"{f.name}: read as text with {'; '.join(r.dialect)}." for f, r in understood if r.dialect]
    boxes = read["regions"].frame if "regions" in read else None
    return tables.Source(frame, read["labels"].frame, boxes, notes=notes), dialects
