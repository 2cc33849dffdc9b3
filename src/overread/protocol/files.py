"""Stages alone, on files: an evaluation of predictions that someone else made, and the report of any evaluation."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from overread import evaluate as evaluation
from overread import ledger, runs, tables
from overread.errors import InputError, did_you_mean
from overread.evaluate import EvaluationConfig, wide


def evaluate_files(
    images: Path,
    labels: Path | str | Sequence[Path | str],
    predictions: Sequence[Path],
    out: Path,
    config: EvaluationConfig,
    *,
    tune: Sequence[Path] = (),
    reads: Path | None = None,
    title: str = "Evaluation of predictions",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Evaluate predictions in files and write evidence, ledger and report into `out`; returns the report's path.

    Parameters
    ----------
    images, labels, predictions
        the tables, long or wide, CSV or Parquet; a wide file's model is named by the file, its label source by the
        file or as NAME=FILE; labels may be several files, also of one source
    out
        the folder; the ledger in it goes on with every evaluation
    config
        everything that decides a number and is not data
    tune
        predictions of tuning cases that are in `images` and `labels`; without them and without a split "tune",
        thresholds and recalibration are fitted on half of the patients and tested on the other half
    reads
        the answers of readers, long or wide; with them the model is set beside the readers

    Raises
    ------
    InputError
        whatever is wrong with the files or does not fit together; nothing is written but the failed run
    """
    named = [_named(f) for f in ([labels] if isinstance(labels, Path | str) else labels)]
    cases, truth = wide.images(images), _labels(named)
    _check_sites(cases.frame, config, images)
    given, tuned = _together(predictions), _together(tune) if tune else None
    answers = None if reads is None else wide.reads(reads)
    files = {"images": images, **{f"labels {i}" if i > 1 else "labels": p for i, (_, p) in enumerate(named, 1)}}
    files |= {f"predictions {p.name}": p for p in predictions} | ({"reads": reads} if reads is not None else {})
    with runs.start(
        out, "evaluate", config=config, inputs=files | {f"tune {p.name}": p for p in tune}, seed=config.seed
    ) as run:
        evidence = open_labels(
            out / "ledger.jsonl", cases.frame, truth.frame, given.frame, config,
            tune=None if tuned is None else tuned.frame,
            reads=None if answers is None else answers.frame, progress=progress,
            notes=[n for r in (cases, truth, given, tuned, answers) if r is not None for n in r.notes],
        )  # fmt: skip
        evaluation.write(evidence, out)
        unused = {"images": cases.unused, "labels": truth.unused, "predictions": given.unused}
        run.note("columns not used", unused if answers is None else unused | {"reads": answers.unused})
        for name in ("estimates", "verdicts", "curves", "joined", "account"):
            run.output(out / f"{name}.parquet")
    return report_folder(out, out / "report", title=title)


def open_labels(
    path: Path, images: pl.DataFrame, labels: pl.DataFrame, predictions: pl.DataFrame, config: EvaluationConfig,
    *, tune: pl.DataFrame | None = None, reads: pl.DataFrame | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None, protocol_hash: str = "", notes: Sequence[tables.Note] = (),
    progress: Callable[[int, int], None] | None = None,
) -> evaluation.Evidence:  # fmt: skip
    """Evaluate; the access to the test labels (and reads, whose votes are labels) is recorded in the ledger first.

    The evidence keeps the head of the ledger, the number and hash of that entry.
    """
    opened = runs.frame_hash(labels)
    if reads is not None:
        opened = runs.text_hash(opened + runs.frame_hash(reads))
    test = images.filter(pl.col("split").cast(pl.String).fill_null("").is_in(["test", ""]))
    entry = ledger.append(
        path,
        analysis="evaluate",
        models=sorted(predictions["model"].unique()),
        cases=test["case_id"].n_unique(),
        labels_hash=opened,
        protocol_hash=protocol_hash,
    )
    evidence = evaluation.evaluate(
        images, labels, predictions, config, rng=np.random.default_rng(config.seed), tune=tune, reads=reads,
        models=models, protocol_hash=protocol_hash, notes=notes, progress=progress,
    )  # fmt: skip
    return replace(evidence, ledger_head=entry.head)


def report_folder(
    evaluation: Path,
    out: Path,
    *,
    title: str,
    cohort: Path | None = None,
    heatmaps: Mapping[str, Path] | None = None,
    models: Sequence[Path] = (),
    statements: Path | None = None,
) -> Path:
    """The report of an evaluation's folder, with what else is at hand: cohort, heat maps, models, statements (TOML)."""
    from overread import report as reporting  # plots: not loaded where only a protocol is read

    records = {name: runs.read(folder) for name, folder in (("evaluate", evaluation), ("cohort", cohort)) if folder}
    stated = [runs.read_json(m / "model.json") for m in models]
    said = {
        "title": title,
        "protocol": {"evaluation": records["evaluate"]["config"]},
        "models": {m["name"]: m for m in stated},
        "runs": records,
        "statements": _stated(statements) if statements else {},
    }
    book = evaluation / "ledger.jsonl"
    return reporting.write(
        evaluation, out, study=said, cohort_folder=cohort, heatmap_folders=dict(heatmaps or {}),
        ledger=book if book.is_file() else None, models={m["name"]: f for m, f in zip(stated, models, strict=True)},
    )  # fmt: skip


def _stated(path: Path) -> dict[str, Any]:
    """What the authors state for the checklists: a TOML file of topics and texts."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "a TOML file of statements", "no file there", do="Check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, 'TOML, such as funding = "None."', str(error)) from error


def _check_sites(images: pl.DataFrame, config: EvaluationConfig, where: Path) -> None:
    sites = sorted(images["site"].unique())
    for site in (*config.external_sites, *config.internal_sites):
        if site not in sites:
            named = [s for s in sites if s]
            do = did_you_mean(site, named) or ("" if named else "The images have no column 'site'.")
            raise InputError(where, f"a site '{site}', named as internal or external", f"sites {named}", do=do)


def _named(given: Path | str) -> tuple[str, Path]:
    """The source and the file of NAME=FILE; "" where only a file is given (also one with = in its name)."""
    name, equals, file = str(given).partition("=")
    return (name, Path(file)) if equals and not Path(given).exists() else ("", Path(given))


def _labels(named: Sequence[tuple[str, Path]]) -> wide.Read:
    """The labels of all files; two that state the same case and finding for one source are refused."""
    read = [wide.labels(file, source=name) for name, file in named]
    whole = pl.concat([r.frame for r in read], how="diagonal_relaxed")
    if len(read) > 1:
        whole = tables.check(whole, "labels", where=f"labels {', '.join(str(f) for _, f in named)}")
    return wide.Read(whole, tuple(dict.fromkeys(c for r in read for c in r.unused)), _notes(read))


def _together(files: Sequence[Path]) -> wide.Read:
    """The scores of all files; a model in two of them, or two wide files of one name, are refused."""
    read = [wide.predictions(f) for f in files]
    frames = [r.frame for r in read]
    stems = [f.name.split(".")[0] for f, r in zip(files, read, strict=True) if _by_file(r.frame, f)]
    alike = sorted({s for s in stems if stems.count(s) > 1})
    if alike:
        do = "A wide file is named as its model is: rename one, or add a column 'model'."
        raise InputError("predictions", "files of different names", "files named alike", examples=alike, do=do)
    units = {"image_id" if "image_id" in f.columns else "case_id" for f in frames}
    if len(units) > 1:
        raise InputError("predictions", "files that all score images, or all score cases", "both kinds", examples=files)
    whole = pl.concat(frames, how="diagonal")
    repeated = whole.filter(pl.struct(*units, "finding", "model", "shift").is_duplicated())
    if repeated.height:
        raise InputError(
            "predictions", "a model in one file only", "the same scores in several", examples=repeated["model"].unique()
        )
    return wide.Read(whole, tuple(dict.fromkeys(c for r in read for c in r.unused)), _notes(read))


def _notes(read: Sequence[wide.Read]) -> tuple[tables.Note, ...]:
    return tuple(note for r in read for note in r.notes)


def _by_file(frame: pl.DataFrame, file: Path) -> bool:
    """Whether all scores are of a model of the file's name."""
    return frame["model"].unique().to_list() == [file.name.split(".")[0]]


__all__ = ["evaluate_files", "open_labels", "report_folder"]
