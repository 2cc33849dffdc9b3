"""Leave-one-site-out splits: each site in turn is the external test set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from overread import runs, tables
from overread.cohort.building import Cohort, open_cohort
from overread.cohort.cohort_config import CohortConfig
from overread.cohort.patient_split import split, split_hash
from overread.errors import InputError
from overread.tables.records.configuration import with_settings

_COMMAND = "leave one site out"


def leave_one_site_out(images: pl.DataFrame, labels: pl.DataFrame, config: CohortConfig) -> dict[str, pl.DataFrame]:
    """Make one split per site, in which that site is test and the other sites are split as configured.

    Parameters
    ----------
    images : DataFrame
        Table of images.
    labels : DataFrame
        Table of labels.
    config : CohortConfig
        Options of the split; by patient or by time.

    Returns
    -------
    dict of str to DataFrame
        Site -> image_id, patient_id, site and split.

    Raises
    ------
    InputError
        There is one site only, or the split is given by a list or a column.

    Notes
    -----
    The test share of the other sites is the internal test set. A patient of several sites is test if one of them is
    the site left out.
    """
    sites = images["site"].unique().sort().to_list()
    if len(sites) < 2:
        raise InputError("leave one site out", "images of two sites or more", f"{len(sites)}", examples=sites)
    if config.split_column or config.split_file:
        raise InputError(
            "leave one site out",
            "a split by patient or by time",
            "one that is given",
            do="Leave split_column and split_file out.",
        )
    columns = ("image_id", "patient_id", "site", "split")
    return {
        site: split(images, labels, replace(config, external_sites=(site,)))[0].select(columns).sort("image_id")
        for site in sites
    }


def splits(
    cohort: Path | str | Cohort, out: Path | str, config: CohortConfig | None = None, **settings: Any
) -> dict[str, str]:
    """Write SITE.parquet for every site of a cohort, and run.json with the hash and the file of each split.

    Parameters
    ----------
    cohort : path or Cohort
        The cohort.
    out : path
        Folder to write.
    config : CohortConfig, optional
        Options of the split; None = the defaults with the cohort's vocabulary.
    **settings
        Fields of CohortConfig that replace those of `config`, such as seed=1.

    Returns
    -------
    dict of str to str
        Site -> hash of its split.

    Raises
    ------
    InputError
        Fewer than two sites, a split that is given by a list or column, or a folder with files that would be replaced.

    Notes
    -----
    Each file can be the `split_file` of another cohort. If a site's name is not a valid file name, the file has a
    similar name, see `tables.file_names`.
    """
    source_cohort = open_cohort(cohort)
    config = with_settings(config or CohortConfig(vocabulary=source_cohort.vocabulary), settings, "splits")
    split_by_site = leave_one_site_out(source_cohort.images, source_cohort.labels, config)
    files = {site: f"{file}.parquet" for site, file in tables.file_names(split_by_site).items()}
    with (
        runs.claimed(out, _COMMAND, files.values()),
        runs.start(out, _COMMAND, config=config, inputs={"cohort": source_cohort.folder}, seed=config.seed) as run,
    ):
        for site, frame in split_by_site.items():
            run.output(tables.write_frame(frame, run.folder / files[site]))
        hashes = {site: split_hash(frame) for site, frame in split_by_site.items()}
        run.note("file", files)
        run.note("split_hash", hashes)
    return hashes
