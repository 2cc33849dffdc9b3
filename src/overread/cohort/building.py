"""From sources to a cohort's folder: checked, selected, pixels made, split, put in place as a whole."""

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
    """A cohort on disk: its folder, its tables and the vocabulary of their findings."""

    folder: Path
    vocabulary: Vocabulary
    images: pl.DataFrame
    labels: pl.DataFrame
    regions: pl.DataFrame
    reads: pl.DataFrame
    flow: pl.DataFrame

    def __fspath__(self) -> str:
        return str(self.folder)  # so that a cohort stands wherever its folder does

    def store(self) -> pixel_store.Store:
        """Its pixels, as memory maps."""
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
    """Build a cohort's folder: check and merge the sources, select with a flow of exclusions, make pixels, split.

    Parameters
    ----------
    source: one source or several; several must not share an image_id, case_id or patient_id.
    root: the folder that the paths of each source are relative to.
    out: the folder to write. The work is done in `.building` within it and put in place when it is whole: a cohort that
        was there survives a failure, and what an interrupted build made is used again.
    workers: processes that read images, each of them bounded in time and memory (see `limits`); 0 = in this process, or
        the address of a Dask scheduler, both without these bounds. The pixels do not depend on it.
    allow_outside: whether paths may lead out of the folder of their source (absolute, "..", links).
    progress: called with (what is being done, images done, in all): "pixels", then "duplicates".

    Returns the Cohort. It writes images, labels, regions, reads, flow, splits (patient_id, site, split) and duplicates
    (pairs of images that are one picture) as Parquet, unreadable.csv (site, image_id, path and reason of every file
    that could not be used), pixels/ and run.json.

    Raises InputError: whatever is wrong with the tables, all at once; more images missing or unreadable than
    `max_unreadable` allows (then refused.csv lists them); a patient in two splits; a full disk; `out` holds files that
    no cohort wrote and this one would replace, or another process writes to it.
    """
    report = progress or (lambda what, done, total: None)
    sources = [source] if isinstance(source, Source) else list(source)
    roots = [root] * len(sources) if isinstance(root, str | Path) else list(root)
    out, config = Path(out), config or CohortConfig()
    _check_given(roots, config)
    sources, base = rooted(sources, [Path(r) for r in roots], vocabulary=config.vocabulary, allow_outside=allow_outside)
    whole = merged(sources)
    check_columns(config, whole.images.columns)
    selected, flow = selection.select(whole.images.sort("image_id"), config)
    flow = excluded_flow(whole) + flow
    labels, implied = with_parents(whole.labels, whole.images, vocabulary=config.vocabulary)
    split(selected, _of(selected, labels, "case_id"), config)  # what is wrong with the split shows before the long work
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
        images, found = cohort_duplicates.applied(images, pairs, config.duplicates, labelled=labels)
        flow += [f for f in found if f["step"][0] != "noted"]
        images, notes = split(images, _of(images, labels, "case_id"), config)
        flow += [f for f in found if f["step"][0] == "noted"] + notes + _noted(whole, images, config, implied)
        regions = tables.empty("regions") if whole.regions is None else _of(images, whole.regions, "image_id")
        reads = tables.empty("reads") if whole.reads is None else _of(images, whole.reads, "case_id")
        labels = _of(images, labels, "case_id")
        frames = {"images": images, "labels": labels, "regions": regions, "reads": reads, "flow": pl.concat(flow)}
        others = {cohort_folders.LIST: listing(sources, selected, unreadable), "duplicates.parquet": pairs}
        _write(run, frames, others, config.vocabulary)
        run.note("root", str(base))
        run.note("split_hash", split_hash(images))
        run.note("pixels", config.recipe.describe())
    return open_cohort(out)


def _check_given(roots: Sequence[Path | str], config: CohortConfig) -> None:
    """Refuse altered lists, and altered images, where it was overread that wrote them."""
    for path in (*config.exclude_files, config.split_file):
        if path:
            runs.check_file(path)
    for folder in dict.fromkeys(p for root in roots for p in (Path(root), Path(root).parent)):
        if runs.is_run(folder) and runs.read(folder).get("command") in ("deidentify", "simulate"):
            runs.check(folder)


def open_cohort(folder: Path | str | Cohort) -> Cohort:
    """Open a cohort's folder.

    Raises InputError where it is none, where its build did not end, or where a file of it was altered since.
    """
    folder = Path(folder)
    if not (folder / "images.parquet").is_file():
        raise InputError(folder, "a cohort's folder, with images.parquet", "none there", do="Build it first.")
    if not cohort_folders.is_whole(folder):
        raise InputError(folder, "a whole cohort", "one whose build did not end", do="Build it again.")
    runs.check(folder)
    read = {name: folder / f"{name}.parquet" for name in cohort_folders.TABLES}
    vocabulary = runs.vocabulary(folder)
    frames = {n: tables.read(p, n, vocabulary=vocabulary) if p.is_file() else tables.empty(n) for n, p in read.items()}
    return Cohort(folder, vocabulary, **frames)


def _of(images: pl.DataFrame, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """The rows of a table that belong to these images."""
    return frame.join(images.select(key).unique(), on=key, how="semi").sort(
        [c for c in ("case_id", "image_id", "finding", "source", "reader", "arm", "number", "round") if c in frame]
    )


def _readable(selected: pl.DataFrame, images: pl.DataFrame, unreadable: pl.DataFrame) -> list[pl.DataFrame]:
    if not images.height:
        raise InputError("images", "files that can be read", f"none of {selected.height:,}")
    lost = selected.join(unreadable.select("image_id", _why=pl.lit("unreadable: ") + pl.col("reason")), on="image_id")
    return [selection.reasons("readable", lost, "_why"), selection.remaining("readable", images)]


def _noted(whole: Source, images: pl.DataFrame, config: CohortConfig, implied: pl.DataFrame) -> list[pl.DataFrame]:
    """What was odd and is kept: notes of the sources and on pixels, images without a label, idle exclusions."""
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
    """How many labels and reads went with the cases that were left out."""
    gone = whole.images.select("case_id").unique().join(images, on="case_id", how="anti")
    made = []
    for unit, frame in (("labels", whole.labels), ("reads", whole.reads)):
        own = None if frame is None else frame.join(gone, on="case_id", how="semi")
        if own is not None and own.height:
            examples = ", ".join(own["case_id"].unique().sort().head(5).to_list())
            row = {
                "step": ["noted"],
                "unit": [unit],
                "reason": ["of cases that were left out"],
                "count": [own.height],
                "examples": [examples],
            }
            made.append(tables.check(pl.DataFrame(row), "flow"))
    return made


def _pixel_notes(images: pl.DataFrame) -> pl.DataFrame:
    """A row for every note on the pixels of an image: what was converted, left out, or lacks contrast."""
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
    """Write the tables into the run's folder and name every file of it as an output."""
    images = frames["images"]
    for name, frame in frames.items():
        run.output(tables.write(frame, run.folder / f"{name}.parquet", name, vocabulary=vocabulary))
    splits = images.select("patient_id", "site", "split").unique().sort("patient_id", "site")
    run.output(tables.write_frame(splits, run.folder / "splits.parquet"))
    for name, frame in others.items():
        run.output(tables.write_frame(frame, run.folder / name))
    for path in sorted((run.folder / "pixels").iterdir()):
        run.output(path)
