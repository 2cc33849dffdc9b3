"""The stages of a study in order: images, cohort, models, predictions, evaluation and report."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from overread import cohort as cohorts
from overread import datasets, ledger, runs, simulation, tables, threads
from overread.errors import InputError
from overread.evaluation.join import read_layouts
from overread.images import file_tree
from overread.protocol.evaluation_stage import earlier_heads, open_labels, record_evidence
from overread.protocol.input_tables import account_of_files, without_used
from overread.protocol.schema import SIMULATED, Protocol, SourceSpec, load
from overread.protocol.stage_folder import begun_with, clear_left, stage, stamps
from overread.tables import Source
from overread.tables.storage.made import STAMP
from overread.tables.storage.names import below

Progress = Callable[[str, int, int], None]
_LOG = logging.getLogger("overread")


@dataclass(frozen=True)
class _Study:
    """A study in progress: protocol, data folder, output folder, number of processes, and progress callback."""

    protocol: Protocol
    out: Path
    data: Path | None
    workers: int
    progress: Progress
    allow_outside: bool = False
    unsaid: list[str] = field(default_factory=list)  # about the threads, until a stage begins

    def stage(
        self, folder: Path, work: Callable[[Path], object], *, config: Any, inputs: Mapping[str, Path] | None = None
    ) -> None:
        """Run a stage unless it is complete; pending messages about threads are logged first."""

        def begun(part: Path) -> None:
            while self.unsaid:
                _LOG.warning("%s", self.unsaid.pop(0))
            work(part)

        stage(folder, begun, config=config, inputs=inputs)

    def told(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress(what, done, total)

    def folder(self, *names: str) -> Path:
        return below(self.out, *names)

    def stages(self) -> set[Path]:
        """Return the folders of all stages, whether they exist or not."""
        kinds = [f"seed-{seed}" for seed in self.seeds()] + (["ensemble"] if len(self.seeds()) > 1 else [])
        models = {self.folder("models", m, kind) for m in self.protocol.models for kind in kinds}
        own = {self.folder(name) for name in (*self.protocol.sources, "cohort", "evaluation", "report")}
        return own | models | {self.folder("predictions", m) for m in self.protocol.models}

    def seeds(self) -> tuple[int, ...]:
        return self.protocol.study.training_seeds

    def seed_folder(self, model: str, seed: int) -> Path:
        return self.folder("models", model, f"seed-{seed}")

    def model_folder(self, model: str) -> Path:
        several = len(self.seeds()) > 1
        return self.folder("models", model, "ensemble") if several else self.seed_folder(model, self.seeds()[0])


def run(
    protocol: Path | str,
    out: Path | str,
    *,
    data: Path | str | None = None,
    workers: int = 0,
    changes: Mapping[str, Any] | None = None,
    allow_outside: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Conduct a whole study: cohort, training, prediction, evaluation and report.

    Parameters
    ----------
    protocol : path
        The TOML file that defines the study.
    out : path
        The folder of the study. Complete and unchanged stages are not repeated; interrupted ones are resumed.
    data : path, optional
        The folder to which the roots of the sources are relative; not needed if all data are simulated.
    workers : int
        Processes that simulate and read images; 0 = this process. In a script, one or more require that the call is
        under `if __name__ == "__main__":`.
    changes : mapping, optional
        Values that replace those of the file, by dotted key.
    allow_outside : bool
        Whether roots may be outside `data`, and tables and images outside their root (absolute paths, "..", links).
    progress : callable, optional
        Called with the name of the step, the work done, and the total work.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    InputError
        An invalid protocol or invalid data; a folder that another process is writing to, or with files that would be
        replaced and were not written by a study. Complete stages are kept.

    Examples
    --------
    .. code-block:: python

        import overread as ov
        ov.run("study.toml", "study", data="data")
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        do = "Start it without torchrun; it does one stage after the other. torchrun is for overread train."
        raise InputError("run", "one process", "one of several that torchrun started", do=do)
    loaded = load(protocol, changes=changes)
    study = _Study(
        loaded,
        Path(out),
        Path(data) if data else None,
        workers,
        progress or (lambda *_: None),
        allow_outside,
    )
    if loaded.models and importlib.util.find_spec("torch") is None:
        do = "pip install 'overread[train]', or evaluate predictions that you have: overread evaluate."
        raise InputError(protocol, "torch, since this protocol trains models", "an installation without it", do=do)
    text = Path(protocol).read_text(encoding="utf-8")
    _sittings(study)  # refused before the first stage
    with (
        tables.holding(study.out, "run"),
        threads.computing(threads.resumed(f"The study in {study.out}", begun_with(study.out), say=study.unsaid.append)),
        _begun(study, text) as done,
    ):
        _build_cohort(study)
        for name in loaded.models:
            _train(study, name)
        for name in loaded.models:
            _predict(study, name)
        _evaluate(study)
        page = _report(study)
        for stamp in stamps(study.out):
            done.output(stamp)
    return page


@contextmanager
def _begun(study: _Study, text: str) -> Iterator[runs.Run]:
    """Copy the protocol into the folder of the study, and remove incomplete files of interrupted stages."""
    stages = study.stages()  # refuses links before anything is written
    copy, resolved = study.folder("protocol.toml"), study.folder("protocol.json")
    runs.claim(study.out, "run", [])
    foreign = [resolved] if resolved.exists() and not _is_resolved(resolved) else []
    foreign += [copy] if copy.exists() and not _is_resolved(resolved) and copy.read_bytes() != text.encode() else []
    if foreign:
        do = "Choose another folder for the study, or move it elsewhere."
        raise InputError(foreign[0], "a new folder, or that of a study", "a file that would be replaced", do=do)
    stated = study.protocol
    with runs.start(study.out, "run", config=stated.resolved(), seed=stated.study.seed) as run:
        run.output(tables.write_text(copy, text))
        run.output(tables.write_json(resolved, {"hash": stated.hash, **stated.resolved()}))
        for parent in {folder.parent for folder in stages} | {*study.folder("models").glob("*")}:
            if parent.is_dir() and not parent.is_symlink():
                clear_left(parent, stages)
        yield run


def _is_resolved(path: Path) -> bool:
    """Return whether a file is the resolved protocol of a study."""
    try:
        return {"hash", "study", "sources", "sites"} <= set(runs.read_json(path))
    except (InputError, TypeError):
        return False


def demo(
    out: Path | str = "overread-demo", *, seeds: int = 1, workers: int = 0, progress: Progress | None = None
) -> Path:
    """Conduct the example study of the package: five simulated hospitals, from radiographs to the report.

    Parameters
    ----------
    out : path
        The folder of the study.
    seeds : int
        Number of training seeds.
    workers : int
        Processes that simulate and read images; 0 = this process, as in `run`.
    progress : callable, optional
        Called with the name of the step, the work done, and the total work.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    InputError
        torch is not installed, or `out` has files that would be replaced and were not written by a study.

    Examples
    --------
    .. code-block:: python

        import overread as ov
        ov.demo("demo")
    """
    changes = {"study.training_seeds": list(range(1, seeds + 1))}
    with resources.as_file(resources.files("overread.protocols") / "demo.toml") as path:
        return run(path, out, workers=workers, changes=changes, progress=progress)


def _build_cohort(study: _Study) -> None:
    loaded = [(_load_source(study, name, spec)) for name, spec in study.protocol.sources.items()]
    sources, roots = [s for s, _ in loaded], [r for _, r in loaded]
    _check_sites(study, sources)
    if study.protocol.reads.sittings and all(s.reads is None for s in sources):
        do = "Leave sittings out, or add the source of the reads."
        raise InputError("[reads] sittings", "a source with reads", "none", do=do)
    config = {
        "cohort": study.protocol.cohort,
        "sources": [_content(source, root) for source, root in loaded],
        "max_unreadable": {name: spec.max_unreadable for name, spec in study.protocol.sources.items()},
    }
    study.stage(
        study.folder("cohort"),
        lambda part: cohorts.build(
            sources,
            roots,
            part,
            study.protocol.cohort,
            workers=study.workers,
            allow_outside=study.allow_outside,
            progress=study.progress,
        ),
        config=config,
    )


def _sittings(study: _Study) -> Path | None:
    """Return the file of reading times that the protocol names; None if it names none."""
    name, where = study.protocol.reads.sittings, "[reads] sittings"
    if not name:
        return None
    if study.data is None:
        raise InputError(where, "the folder of its data", "none given", do="Give it with --data FOLDER.")
    if not study.allow_outside and file_tree.outside(study.data, [name]):
        do = "Give the folder that holds them all as --data, or allow it with --allow-outside."
        raise InputError(where, f"a file below {study.data}", f"{name!r}", do=do)
    if not (study.data / name).is_file():
        raise InputError(where, "a file", f"no file {study.data / name}")
    runs.check_file(study.data / name)
    return study.data / name


def _load_source(study: _Study, name: str, spec: SourceSpec) -> tuple[Source, Path]:
    if spec.reader == SIMULATED:
        return _simulate(study, name, spec)
    if study.data is None:
        raise InputError(f"source '{name}'", "the folder of its data", "none given", do="Give it with --data FOLDER.")
    root = study.data / spec.root
    if not study.allow_outside and file_tree.outside(study.data, [spec.root]):
        do = "Give the folder that holds them all as --data, or allow it with --allow-outside."
        raise InputError(f"[sources.{name}] root", f"a folder below {study.data}", f"{spec.root!r}", do=do)
    where = f"[sources.{name}.options]"
    source = datasets.load(
        spec.reader,
        root,
        spec.options,
        where=where,
        allow_outside=study.allow_outside,
        cache=study.folder(f".headers-{name}.parquet"),
        vocabulary=study.protocol.findings,
    )
    return replace(source, name=name, max_unreadable=spec.max_unreadable), root


def _simulate(study: _Study, name: str, spec: SourceSpec) -> tuple[Source, Path]:
    folder, words = study.folder(name), study.protocol.findings

    def work(part: Path) -> None:
        with runs.start(part, "simulate", config=spec.options, seed=study.protocol.study.seed) as run:
            made = simulation.hospitals(
                part,
                seed=study.protocol.study.seed,
                workers=study.workers,
                progress=study.told("radiographs"),
                **spec.options,
            )
            tables.write(made.images, part / "images.parquet", "images")
            tables.write(made.labels, part / "labels.parquet", "labels", vocabulary=words)
            if made.regions is not None:
                tables.write(made.regions, part / "regions.parquet", "regions", vocabulary=words)
            for path in sorted(p for p in part.rglob("*") if p.is_file() and p.name not in (STAMP, "run.json")):
                run.output(path)

    study.stage(folder, work, config={"options": spec.options, "seed": study.protocol.study.seed})
    regions = folder / "regions.parquet"
    return Source(
        tables.read(folder / "images.parquet", "images"),
        tables.read(folder / "labels.parquet", "labels", vocabulary=words),
        tables.read(regions, "regions", vocabulary=words) if regions.is_file() else None,
    ), folder


def _check_sites(study: _Study, sources: list[Source]) -> None:
    present = set(pl.concat([s.images["site"] for s in sources]).unique())
    named = {*study.protocol.sites.internal, *study.protocol.sites.external}
    if named - present:
        raise InputError(
            "protocol [sites]",
            f"sites of the sources ({', '.join(sorted(present))})",
            "others",
            examples=sorted(named - present),
        )
    if present - named:
        raise InputError(
            "protocol [sites]",
            "every site of the sources, as internal or external",
            "sites that it does not name",
            examples=sorted(present - named),
            do="Name them, or leave them out with the source's `where`.",
        )


def _content(source: Source, root: Path) -> dict[str, Any]:
    """Return what determines a cohort: the rows of the tables, and the size and time of each image file."""
    frames = {
        "images": source.images,
        "labels": source.labels,
        "regions": source.regions,
        "reads": source.reads,
        "excluded": source.excluded,
    }
    hashes = {name: runs.frame_hash(frame) for name, frame in frames.items() if frame is not None}
    files = [(p, _size_and_time(root / p)) for p in source.images["path"].drop_nulls()]
    return {**hashes, "files": runs.fingerprint(files)}


def _size_and_time(path: Path) -> tuple[int, int]:
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (-1, 0)


def _train(study: _Study, name: str) -> None:
    from overread.training.networks.ensemble import combine

    for seed in study.seeds():
        _train_seed(study, name, seed)
    if len(study.seeds()) > 1:
        members = [study.seed_folder(name, seed) for seed in study.seeds()]
        study.stage(
            study.model_folder(name),
            lambda part: combine(part, members, name),
            config={"name": name},
            inputs={m.name: m / STAMP for m in members},
        )


def _train_seed(study: _Study, name: str, seed: int) -> None:
    from overread.training.model_training import train

    model, cohort = study.protocol.models[name], study.folder("cohort")
    config = replace(study.protocol.trainings[name], seed=seed)
    limit = _largest_single(study) if model.role == "matched" else model.max_images

    def told(done: int, total: int, _: str) -> None:
        study.progress(f"train {name}, seed {seed}", done, total)

    def work(part: Path) -> None:
        train(
            cohort,
            part,
            config,
            sites=model.sites,
            max_images=limit,
            name=name,
            protocol_hash=study.protocol.hash,
            progress=told,
        )

    study.stage(
        study.seed_folder(name, seed),
        work,
        config={"training": config, "sites": model.sites, "max_images": limit, "name": name},
        inputs={"cohort": cohort / STAMP},
    )


def _largest_single(study: _Study) -> int:
    """Return the number of training images of the largest single institution, the limit of the size-matched model."""
    images = cohorts.open_cohort(study.folder("cohort")).images
    singles = [m.sites[0] for m in study.protocol.models.values() if m.role == "single"]
    counts = images.filter((pl.col("split") == "train") & pl.col("site").is_in(singles)).group_by("site").len()
    return int(counts["len"].max() or 0)  # type: ignore[arg-type]


def _predict(study: _Study, name: str) -> None:
    from overread.training.scoring.cohort_scores import score_cohort

    model, cohort = study.model_folder(name), study.folder("cohort")
    pooled = study.protocol.models[name].role == "pooled" or len(study.protocol.models) == 1
    study.stage(
        study.folder("predictions", name),
        lambda part: score_cohort(model, cohort, part, heatmaps=pooled, progress=study.told(f"predict {name}")),
        config={"heatmaps": pooled},
        inputs={"model": model / STAMP, "cohort": cohort / STAMP},
    )


def _evaluate(study: _Study) -> None:
    protocol, cohort = study.protocol, cohorts.open_cohort(study.folder("cohort"))
    folders = {name: study.folder("predictions", name) for name in protocol.models}
    book, file = study.folder("ledger.jsonl"), _sittings(study)
    given = {} if file is None else {"sittings": file}

    def work(part: Path) -> None:
        sat = [(f, read_layouts.sittings(f)) for f in given.values()]
        files = [f / "predictions.parquet" for f in folders.values()]
        predictions = pl.concat([tables.read(f, "predictions", vocabulary=protocol.findings) for f in files])
        settings = protocol.evaluation
        with runs.start(part, "evaluate", config=settings, inputs=given, seed=settings.seed) as run:
            evidence = open_labels(
                book,
                cohort.images,
                cohort.labels,
                predictions,
                protocol.evaluation,
                reads=cohort.reads if cohort.reads.height else None,
                sittings=sat[0][1].frame if sat else None,
                notes=[note for _, read in sat for note in read.notes],
                models=_models(study),
                protocol_hash=protocol.hash,
                progress=study.told("evaluate"),
                known=earlier_heads(book, study.folder("evaluation"), study.folder("report")),
            )
            account = pl.concat([account_of_files(without_used(sat)), evidence.account])
            record_evidence(run, replace(evidence, account=account), ledger_path=book)

    stamped = {"cohort": study.folder("cohort") / STAMP, **{n: f / STAMP for n, f in folders.items()}}
    study.stage(
        study.folder("evaluation"),
        work,
        config={"evaluation": protocol.evaluation},
        inputs=stamped | {f"[reads] {name}": f for name, f in given.items()},
    )


def _models(study: _Study) -> dict[str, dict[str, Any]]:
    return {name: runs.read_sealed(study.model_folder(name) / "model.json") for name in study.protocol.models}


def _report(study: _Study) -> Path:
    from overread import reporting  # plots: not loaded where only a protocol is read

    protocol = study.protocol
    study_record = {
        "title": protocol.study.title,
        "question": protocol.study.question,
        "protocol": protocol.resolved(),
        "protocol_hash": protocol.hash,
        "warnings": protocol.warnings(),
        "governance": protocol.governance.model_dump(),
        "statements": dict(protocol.statements),
        "models": _models(study),
        "runs": _run_records(study),
        "command": "overread run protocol.toml --out STUDY" + (" --data FOLDER" if study.data else ""),
    }
    heatmaps = {n: study.folder("predictions", n) for n, m in protocol.models.items() if m.role == "pooled"}
    entries = ledger.read(study.folder("ledger.jsonl"))
    study.stage(
        study.folder("report"),
        lambda part: reporting.write(
            study.folder("evaluation"),
            part,
            study=study_record,
            cohort_folder=study.folder("cohort"),
            heatmap_folders=heatmaps,
            ledger=study.folder("ledger.jsonl"),
            models={name: study.seed_folder(name, study.seeds()[0]) for name in protocol.models},
        ),
        config={
            "study": {k: v for k, v in study_record.items() if k != "runs"},
            "ledger": [e.hash for e in entries],
        },
        inputs={"evaluation": study.folder("evaluation") / STAMP},
    )
    return study.folder("report", "report.html")


def _run_records(study: _Study) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(study.out.rglob("run.json")):
        where = path.parent.relative_to(study.out)
        if where.parts and where.parts[0] != "report" and not any(part.startswith(".") for part in where.parts):
            found[str(where)] = runs.read(path.parent)
    return found
