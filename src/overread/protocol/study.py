"""The stages of a study, in order, each in its folder: images, cohort, models, predictions, evaluation, report."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from overread import cohort as cohorts
from overread import datasets, ledger, runs, simulate, tables
from overread import evaluate as evaluation
from overread.errors import InputError
from overread.protocol.files import open_labels
from overread.protocol.schema import Protocol, SourceSpec, load
from overread.protocol.stage import STAMP, stage
from overread.tables import Source

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Study:
    """A protocol under way: where its data lie, where its results go, how many processes, whom to tell."""

    protocol: Protocol
    out: Path
    data: Path | None
    workers: int
    progress: Progress

    def told(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress(what, done, total)

    def folder(self, *names: str) -> Path:
        return self.out.joinpath(*names)

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
    workers: int | None = None,
    changes: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Do a whole study: cohort, training, prediction, evaluation, report; returns the report's path.

    Parameters
    ----------
    protocol
        the TOML file that states the study
    out
        the study's folder; what is there and unchanged is not done again, what was interrupted goes on
    data
        the folder that the sources' roots are relative to; not needed where everything is simulated
    workers
        processes for images (default: every core)
    changes
        values put in place of the file's, by dotted key
    progress
        called with what is being done, how much is done, how much there is

    Raises
    ------
    InputError
        whatever is wrong with the protocol, the data or the folder; finished stages stay as they are
    """
    stated = load(protocol, changes=changes)
    study = _Study(
        stated, Path(out), Path(data) if data else None, workers or os.cpu_count() or 1, progress or (lambda *_: None)
    )
    if stated.models and importlib.util.find_spec("torch") is None:
        do = "pip install 'overread[train]', or evaluate predictions that you have: overread evaluate."
        raise InputError(protocol, "torch, since this protocol trains models", "an installation without it", do=do)
    tables.make_folder(study.out)
    tables.write_text(study.folder("protocol.toml"), Path(protocol).read_text(encoding="utf-8"))
    tables.write_json(study.folder("protocol.json"), {"hash": stated.hash, **stated.resolved()})
    _build_cohort(study)
    for name in stated.models:
        _train(study, name)
    for name in stated.models:
        _predict(study, name)
    _evaluate(study)
    return _report(study)


def demo(out: Path | str, *, seeds: int = 1, workers: int | None = None, progress: Progress | None = None) -> Path:
    """The study that ships with the package: five simulated hospitals, from radiographs to the report's path."""
    changes = {"study.training_seeds": list(range(1, seeds + 1))}
    with resources.as_file(resources.files("overread.protocols") / "demo.toml") as path:
        return run(path, out, workers=workers, changes=changes, progress=progress)


def _build_cohort(study: _Study) -> None:
    loaded = [(_load_source(study, name, spec)) for name, spec in study.protocol.sources.items()]
    sources, roots = [s for s, _ in loaded], [r for _, r in loaded]
    _check_sites(study, sources)
    config = {
        "cohort": study.protocol.cohort,
        "sources": [_content(source, root) for source, root in loaded],
        "max_unreadable": {name: spec.max_unreadable for name, spec in study.protocol.sources.items()},
    }
    stage(
        study.folder("cohort"),
        lambda part: cohorts.build(
            sources, roots, part, study.protocol.cohort, workers=study.workers, progress=study.progress
        ),
        config=config,
    )


def _load_source(study: _Study, name: str, spec: SourceSpec) -> tuple[Source, Path]:
    if spec.reader == "simulate":
        return _simulate(study, name, spec)
    if study.data is None:
        raise InputError(
            f"source '{name}'", "the folder of its data", "none given", do="Say where it is with --data FOLDER."
        )
    root = study.data / spec.root
    cache = study.folder(f".headers-{runs.text_hash(name)[:16]}.parquet")  # a source's name may be no file name
    source = datasets.load(spec.reader, root, spec.options, where=f"[sources.{name}.options]", cache=cache)
    return replace(source, name=name, max_unreadable=spec.max_unreadable), root


def _simulate(study: _Study, name: str, spec: SourceSpec) -> tuple[Source, Path]:
    folder = study.folder(name)

    def work(part: Path) -> None:
        made = simulate.hospitals(
            part,
            seed=study.protocol.study.seed,
            workers=study.workers,
            progress=study.told("radiographs"),
            **spec.options,
        )
        tables.write(made.images, part / "images.parquet", "images")
        tables.write(made.labels, part / "labels.parquet", "labels")
        if made.regions is not None:
            tables.write(made.regions, part / "regions.parquet", "regions")

    stage(folder, work, config={"options": spec.options, "seed": study.protocol.study.seed})
    regions = folder / "regions.parquet"
    return Source(
        tables.read(folder / "images.parquet", "images"),
        tables.read(folder / "labels.parquet", "labels"),
        tables.read(regions, "regions") if regions.is_file() else None,
    ), folder


def _check_sites(study: _Study, sources: list[Source]) -> None:
    present = set(pl.concat([s.images["site"] for s in sources]).unique())
    named = {*study.protocol.sites.internal, *study.protocol.sites.external}
    if named - present:
        raise InputError(
            "protocol [sites]", f"sites of the sources ({', '.join(sorted(present))})", "others",
            examples=sorted(named - present),
        )  # fmt: skip
    if present - named:
        raise InputError(
            "protocol [sites]", "every site of the sources, as internal or external", "sites it does not name",
            examples=sorted(present - named), do="Name them, or leave them out with the source's `where`.",
        )  # fmt: skip


def _content(source: Source, root: Path) -> dict[str, Any]:
    """What a cohort is made of: the tables' rows, and each image file's size and time (not its every byte)."""
    frames = {"images": source.images, "labels": source.labels, "regions": source.regions, "reads": source.reads,
              "excluded": source.excluded}  # fmt: skip
    hashes = {name: runs.frame_hash(frame) for name, frame in frames.items() if frame is not None}
    files = [(p, _size_and_time(root / p)) for p in source.images["path"].drop_nulls()]
    return {**hashes, "files": runs.fingerprint(files)}


def _size_and_time(path: Path) -> tuple[int, int]:
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (-1, 0)


def _train(study: _Study, name: str) -> None:
    from overread.learn.ensemble import combine

    for seed in study.seeds():
        _train_seed(study, name, seed)
    if len(study.seeds()) > 1:
        members = [study.seed_folder(name, seed) for seed in study.seeds()]
        stage(
            study.model_folder(name),
            lambda part: combine(part, members, name),
            config={"name": name},
            inputs={m.name: m / STAMP for m in members},
        )


def _train_seed(study: _Study, name: str, seed: int) -> None:
    from overread.learn.train import train

    model, cohort = study.protocol.models[name], study.folder("cohort")
    config = replace(study.protocol.training, seed=seed)
    limit = _largest_single(study) if model.role == "matched" else None

    def told(done: int, total: int, _: str) -> None:
        study.progress(f"train {name}, seed {seed}", done, total)

    def work(part: Path) -> None:
        train(
            cohort, part, config, sites=model.sites, max_images=limit, name=name, protocol_hash=study.protocol.hash,
            progress=told,
        )  # fmt: skip

    stage(
        study.seed_folder(name, seed),
        work,
        config={"training": config, "sites": model.sites, "max_images": limit, "name": name},
        inputs={"cohort": cohort / STAMP},
    )


def _largest_single(study: _Study) -> int:
    """The training images of the largest institution that has a model of its own: the matched model gets no more."""
    images = cohorts.open_cohort(study.folder("cohort")).images
    singles = [m.sites[0] for m in study.protocol.models.values() if m.role == "single"]
    counts = images.filter((pl.col("split") == "train") & pl.col("site").is_in(singles)).group_by("site").len()
    return int(counts["len"].max() or 0)  # type: ignore[arg-type]


def _predict(study: _Study, name: str) -> None:
    from overread.learn.predict import predict

    model, cohort = study.model_folder(name), study.folder("cohort")
    pooled = study.protocol.models[name].role == "pooled" or len(study.protocol.models) == 1
    stage(
        study.folder("predictions", name),
        lambda part: predict(model, cohort, part, heatmaps=pooled, progress=study.told(f"predict {name}")),
        config={"heatmaps": pooled},
        inputs={"model": model / STAMP, "cohort": cohort / STAMP},
    )


def _evaluate(study: _Study) -> None:
    protocol, cohort = study.protocol, cohorts.open_cohort(study.folder("cohort"))
    folders = {name: study.folder("predictions", name) for name in protocol.models}

    def work(part: Path) -> None:
        predictions = pl.concat([tables.read(f / "predictions.parquet", "predictions") for f in folders.values()])
        with runs.start(part, "evaluate", config=protocol.evaluation, seed=protocol.evaluation.seed):
            evidence = open_labels(
                study.folder("ledger.jsonl"), cohort.images, cohort.labels, predictions, protocol.evaluation,
                reads=cohort.reads if cohort.reads.height else None, models=_models(study), protocol_hash=protocol.hash,
                progress=study.told("evaluate"),
            )  # fmt: skip
            evaluation.write(evidence, part)

    stage(
        study.folder("evaluation"),
        work,
        config={"evaluation": protocol.evaluation},
        inputs={"cohort": study.folder("cohort") / STAMP, **{n: f / STAMP for n, f in folders.items()}},
    )


def _models(study: _Study) -> dict[str, dict[str, Any]]:
    return {name: runs.read_json(study.model_folder(name) / "model.json") for name in study.protocol.models}


def _report(study: _Study) -> Path:
    from overread import report  # plots: not loaded where only a protocol is read

    protocol = study.protocol
    told = {
        "title": protocol.study.title, "question": protocol.study.question, "protocol": protocol.resolved(),
        "protocol_hash": protocol.hash, "warnings": protocol.warnings(), "governance": protocol.governance.model_dump(),
        "statements": dict(protocol.statements),
        "models": _models(study), "runs": _run_records(study),
        "command": "overread run protocol.toml --out STUDY" + (" --data FOLDER" if study.data else ""),
    }  # fmt: skip
    heatmaps = {n: study.folder("predictions", n) for n, m in protocol.models.items() if m.role == "pooled"}
    entries = ledger.read(study.folder("ledger.jsonl"))
    stage(
        study.folder("report"),
        lambda part: report.write(
            study.folder("evaluation"),
            part,
            study=told,
            cohort_folder=study.folder("cohort"),
            heatmap_folders=heatmaps,
            ledger=study.folder("ledger.jsonl"),
            models={name: study.seed_folder(name, study.seeds()[0]) for name in protocol.models},
        ),
        config={
            "study": {k: v for k, v in told.items() if k != "runs"},
            "ledger": [e.hash for e in entries],
        },
        inputs={"evaluation": study.folder("evaluation") / STAMP},
    )
    return study.folder("report", "report.html")


def _run_records(study: _Study) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(study.out.rglob("run.json")):
        where = path.parent.relative_to(study.out)
        if not any(part.startswith(".") for part in where.parts) and where.parts[0] != "report":
            found[str(where)] = runs.read(path.parent)
    return found
