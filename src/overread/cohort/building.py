"""Building and opening of a cohort folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from overread import runs, tables, threads
from overread.cohort import cohort_duplicates, cohort_folders, selection
from overread.cohort.cohort_config import CohortConfig, check_columns
from overread.cohort.finding_hierarchy import with_parents
from overread.cohort.merge import merged, rooted
from overread.cohort.patient_split import split, split_hash
from overread.cohort.unreadable_files import UnreadableAllowance, listing
from overread.cohort.unreadable_files import flow as excluded_flow
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.images.store import pixel_store
from overread.images.store.decode_worker import SEPARATOR
from overread.limits import Bounds
from overread.tables import Source
from overread.tables.identifiers.identity import canonical
from overread.tables.table_notes import combined

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cohort:
    """A cohort on disk.

    Parameters
    ----------
    folder : Path
        The cohort folder.
    vocabulary : Vocabulary
        Findings that its labels, regions and reads may name.
    images, labels, regions, reads : DataFrame
        Tables of the cohort.
    flow : DataFrame
        Number of images, cases and patients after each selection step, with the reasons for exclusion.
    """

    folder: Path
    vocabulary: Vocabulary
    images: pl.DataFrame
    labels: pl.DataFrame
    regions: pl.DataFrame
    reads: pl.DataFrame
    flow: pl.DataFrame

    def __repr__(self) -> str:
        counts = self.images.group_by("site", "split").len().sort("site", "split")
        patients = self.images["patient_id"].n_unique()
        return "\n".join(
            [
                f"Cohort in {self.folder}: {self.images.height:,} images of {patients:,} patients; "
                f"{self.labels.height:,} labels",
                *(f"  {site:20} {split or '':6} {count:8,}" for site, split, count in counts.iter_rows()),
            ]
        )

    def __fspath__(self) -> str:
        return str(self.folder)  # so that a Cohort is accepted wherever its folder is

    def store(self) -> pixel_store.Store:
        """Open the pixels as memory maps."""
        return pixel_store.open_store(self.folder)


def build(
    source: Source | Sequence[Source],
    root: Path | str | Sequence[Path | str],
    out: Path | str,
    config: CohortConfig | None = None,
    *,
    workers: int | str = 0,
    allow_outside: bool = False,
    progress: Progress | None = None,
) -> Cohort:
    """Build a cohort folder: check and merge sources, select images, render pixels, find duplicates and split.

    Parameters
    ----------
    source : Source or sequence of Source
        One source or several; several must not share an image_id, case_id or patient_id.
    root : path or sequence of paths
        Folder that the paths of each source are relative to.
    out : path
        Folder to write. The cohort is built in `.building` within it and moved into place when complete: an existing
        cohort survives a failure, and pixels of an interrupted build are reused.
    config : CohortConfig, optional
        Selection, split, pixel recipe and vocabulary; None = the defaults.
    workers : int or str
        Processes that read images, each limited in time and memory (see `limits`); 0 = this process, or the address of
        a Dask scheduler, both without these limits. The pixels do not depend on it.
    allow_outside : bool
        Whether paths may lead out of the folder of their source (absolute, "..", links).
    progress : callable, optional
        Called with (stage, images done, images in all); stage is "pixels", then "duplicates".

    Returns
    -------
    Cohort
        The cohort. Files: images, labels, regions, reads, flow, splits (patient_id, site, split) and duplicates (pairs
        of duplicate images) as Parquet; unreadable.csv (site, image_id, path and reason of every file that could not
        be used); pixels/; run.json.

    Raises
    ------
    InputError
        Errors in the tables, all at once; more missing or unreadable images than `max_unreadable` (refused.csv lists
        them); a patient in two splits; a full disk; files in `out` that are not from a cohort and would be replaced;
        another process that writes to `out`.

    Notes
    -----
    Labels are checked against `config.vocabulary`. If a finding is present, its ancestors in the vocabulary's
    hierarchy are set present for the same source, see `finding_hierarchy.with_parents`.
    """
    report = progress or (lambda what, done, total: None)
    sources = [source] if isinstance(source, Source) else list(source)
    roots = [root] * len(sources) if isinstance(root, str | Path) else list(root)
    out, config = Path(out), config or CohortConfig()
    _check_given(roots, config)
    sources, base = rooted(sources, [Path(r) for r in roots], vocabulary=config.vocabulary, allow_outside=allow_outside)
    merged_source = merged(sources)
    check_columns(config, merged_source.images.columns)
    selected, flow = selection.select(merged_source.images.sort("image_id"), config)
    flow = excluded_flow(merged_source) + flow
    labels, implied = with_parents(merged_source.labels, merged_source.images, vocabulary=config.vocabulary)
    split(selected, _of(selected, labels, "case_id"), config)  # reports errors of the split before the pixels are read
    lists = {str(p): p for p in (*config.exclude_files, config.split_file) if p}
    with (
        tables.holding(out, cohort_folders.COMMAND),
        cohort_folders.placing(out) as building,
        threads.computing(),
        runs.start(building, cohort_folders.COMMAND, config=config, inputs=lists, seed=config.seed) as run,
    ):
        cohort_folders.reuse_pixels(out, building)
        images, unreadable = pixel_store.build(
            selected,
            base,
            building,
            config.recipe,
            workers=workers,
            bounds=Bounds(config.file_seconds, config.file_memory_mb),
            check=UnreadableAllowance(sources, selected, config.max_unreadable, out).check,
            progress=partial(report, "pixels"),
        )
        flow += _readable(selected, images, unreadable)
        images, small = selection.large_enough(images, config)
        flow += small
        pairs = cohort_duplicates.find(images, pixel_store.open_store(building), progress=partial(report, "duplicates"))
        images, duplicate_flow = cohort_duplicates.applied(images, pairs, config.duplicates, labelled=labels)
        flow += [f for f in duplicate_flow if f["step"][0] != "noted"]
        images, notes = split(images, _of(images, labels, "case_id"), config)
        flow += (
            [f for f in duplicate_flow if f["step"][0] == "noted"]
            + notes
            + _noted(merged_source, images, config, implied)
        )
        regions = (
            tables.empty("regions") if merged_source.regions is None else _of(images, merged_source.regions, "image_id")
        )
        reads = tables.empty("reads") if merged_source.reads is None else _of(images, merged_source.reads, "case_id")
        labels = _of(images, labels, "case_id")
        frames = {"images": images, "labels": labels, "regions": regions, "reads": reads, "flow": pl.concat(flow)}
        other_files = {cohort_folders.LIST: listing(sources, selected, unreadable), "duplicates.parquet": pairs}
        _write(run, frames, other_files, config.vocabulary)
        run.note("root", str(base))
        run.note("split_hash", split_hash(images))
        run.note("pixels", config.recipe.describe())
    return open_cohort(out)


def _check_given(roots: Sequence[Path | str], config: CohortConfig) -> None:
    """Refuse exclusion lists, split lists and images that overread wrote and that were altered since."""
    for path in (*config.exclude_files, config.split_file):
        if path:
            runs.check_file(path)
    for folder in dict.fromkeys(p for root in roots for p in (Path(root), Path(root).parent)):
        if runs.is_run(folder) and runs.read(folder).get("command") in ("deidentify", "simulate"):
            runs.check(folder)


def open_cohort(folder: Path | str | Cohort) -> Cohort:
    """Open a cohort folder.

    Parameters
    ----------
    folder : path or Cohort
        The cohort folder.

    Returns
    -------
    Cohort
        Its tables and its vocabulary, as recorded in the folder.

    Raises
    ------
    InputError
        The folder is not a cohort, its build is incomplete, or a file was altered after the build.
    """
    folder = Path(folder)
    if not (folder / "images.parquet").is_file():
        raise InputError(folder, "a cohort folder with images.parquet", "none", do="Build it first.")
    if not cohort_folders.is_whole(folder):
        raise InputError(folder, "a complete cohort", "one whose build was interrupted", do="Build it again.")
    runs.check(folder)
    table_paths = {name: folder / f"{name}.parquet" for name in cohort_folders.TABLES}
    vocabulary = runs.vocabulary(folder)
    frames = {
        n: tables.read(p, n, vocabulary=vocabulary) if p.is_file() else tables.empty(n) for n, p in table_paths.items()
    }
    return Cohort(folder, vocabulary, **frames)


def _of(images: pl.DataFrame, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """Rows of a table that belong to these images."""
    return frame.join(images.select(key).unique(), on=key, how="semi").sort(
        [c for c in ("case_id", "image_id", "finding", "source", "reader", "arm", "number", "round") if c in frame]
    )


def _readable(selected: pl.DataFrame, images: pl.DataFrame, unreadable: pl.DataFrame) -> list[pl.DataFrame]:
    if not images.height:
        raise InputError("images", "files that can be read", f"none of {selected.height:,}")
    unreadable_images = selected.join(
        unreadable.select("image_id", _why=pl.lit("unreadable: ") + pl.col("reason")), on="image_id"
    )
    return [selection.reasons("readable", unreadable_images, "_why"), selection.remaining("readable", images)]


def _noted(whole: Source, images: pl.DataFrame, config: CohortConfig, implied: pl.DataFrame) -> list[pl.DataFrame]:
    """Rows of the flow for notes: notes of sources and on pixels, images without label, exclusions without effect."""
    notes = [
        selection.reasons("noted", images, "source_note") if "source_note" in images.columns else None,
        selection.reasons("noted", _pixel_notes(images), "pixel_note"),
        selection.noted(
            "a finding is present whose parent was not: the parent is taken as present",
            images.join(implied, on="case_id", how="semi"),
        ),
        selection.noted("no label", images.join(whole.labels, on="case_id", how="anti")),
    ]
    rows = [n for n in notes if n is not None and n.height]
    rows += _lost(whole, images)
    rows += [_count("sources", note, pl.Series([""])) for note in whole.notes if isinstance(note, str)]
    rows += [selection.identifiers(n) for n in combined(n for n in whole.notes if isinstance(n, tables.Note))]
    orphans = whole.labels.join(whole.images, on="case_id", how="anti")["case_id"].unique().sort()
    if len(orphans):
        hint = tables.spelling_hint(orphans, whole.images["case_id"])
        rows.append(_count("cases", f"labels of a case without image{hint and f': {hint}'}", orphans))
    for column, values in config.exclude.items():
        names = canonical(pl.Series(values, dtype=pl.String))
        idle = sorted(set(names) - set(whole.images[column].cast(pl.String).drop_nulls()))
        if idle:
            rows.append(_count(column, "on the exclusion list, not in the source", pl.Series(idle)))
    return rows


def _lost(whole: Source, images: pl.DataFrame) -> list[pl.DataFrame]:
    """Rows of the flow for labels and reads of cases that were excluded."""
    lost_cases = whole.images.select("case_id").unique().join(images, on="case_id", how="anti")
    lost_rows: list[pl.DataFrame] = []
    for unit, frame in (("labels", whole.labels), ("reads", whole.reads)):
        lost_labels = None if frame is None else frame.join(lost_cases, on="case_id", how="semi")
        if lost_labels is not None and lost_labels.height:
            examples = ", ".join(lost_labels["case_id"].unique().sort().head(5).to_list())
            row = {
                "step": ["noted"],
                "unit": [unit],
                "reason": ["of cases that were left out"],
                "count": [lost_labels.height],
                "examples": [examples],
            }
            lost_rows.append(tables.check(pl.DataFrame(row), "flow"))
    return lost_rows


def _pixel_notes(images: pl.DataFrame) -> pl.DataFrame:
    """One row per note on the pixels of an image: conversions, omitted elements, low contrast."""
    return (
        images.with_columns(pl.col("pixel_note").str.split(SEPARATOR))
        .explode("pixel_note")
        .filter(pl.col("pixel_note") != "")
    )


def _count(unit: str, reason: str, ids: pl.Series) -> pl.DataFrame:
    examples = ", ".join(ids.head(5).to_list())
    row = {"step": ["noted"], "unit": [unit], "reason": [reason], "count": [len(ids)], "examples": [examples]}
    return tables.check(pl.DataFrame(row), "flow")


def _write(
    run: runs.Run, frames: dict[str, pl.DataFrame], others: dict[str, pl.DataFrame], vocabulary: Vocabulary
) -> None:
    """Write the tables into the run folder and register every file as an output."""
    images = frames["images"]
    for name, frame in frames.items():
        run.output(tables.write(frame, run.folder / f"{name}.parquet", name, vocabulary=vocabulary))
    splits = images.select("patient_id", "site", "split").unique().sort("patient_id", "site")
    run.output(tables.write_frame(splits, run.folder / "splits.parquet"))
    for name, frame in others.items():
        run.output(tables.write_frame(frame, run.folder / name))
    for path in sorted((run.folder / "pixels").iterdir()):
        run.output(path)
