"""One split per site, in which that site is test as a whole: what a model is worth at a hospital it has never seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from overread import runs, tables
from overread.cohort.building import Cohort, open_cohort
from overread.cohort.cohort_config import CohortConfig
from overread.cohort.patient_split import split, split_hash
from overread.errors import InputError

_COMMAND = "leave one site out"


def leave_one_site_out(images: pl.DataFrame, labels: pl.DataFrame, config: CohortConfig) -> dict[str, pl.DataFrame]:
    """For every site a split (image_id, patient_id, site, split) in which it is test and the others are split.

    The other sites are split as `config` says, by patient or by time; of these, too, the share of test is held back as
    the internal test. A patient of several sites is test where one of them is the site left out.

    Raises InputError: one site only; a split that a list or a column gives.
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


def splits(cohort: Path | str | Cohort, out: Path | str, config: CohortConfig | None = None) -> dict[str, str]:
    """Write SITE.parquet for every site of a cohort's folder, and run.json with the hash and the file of each split.

    A site whose name cannot be that of a file has a similar one, see `tables.file_names`. Each is a `split_file` for a
    cohort of its own. Returns the hash of every site's split.
    """
    held = open_cohort(cohort)
    config = config or CohortConfig(vocabulary=held.vocabulary)
    made = leave_one_site_out(held.images, held.labels, config)
    files = {site: f"{file}.parquet" for site, file in tables.file_names(made).items()}
    with (
        runs.claimed(out, _COMMAND, files.values()),
        runs.start(out, _COMMAND, config=config, inputs={"cohort": held.folder}, seed=config.seed) as run,
    ):
        for site, frame in made.items():
            run.output(tables.write_frame(frame, run.folder / files[site]))
        hashes = {site: split_hash(frame) for site, frame in made.items()}
        run.note("file", files)
        run.note("split_hash", hashes)
    return hashes
