"""Evaluate anyone's predictions, in files or frames; with a folder also the record, the ledger and the report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from overread import evaluation, ledger, runs, tables
from overread.evaluation import EvaluationConfig
from overread.evaluation.evaluation_text import as_html, as_text
from overread.evaluation.join import layouts
from overread.protocol import report_stage
from overread.protocol.configuration import with_settings
from overread.protocol.input_tables import (
    account_of_files,
    check_sites,
    description,
    stacked_labels,
    stacked_predictions,
    without_used,
)
from overread.reporting.figures.figure_pool import drawing_pool
from overread.reporting.report_folder import check_report_folder
from overread.stats.random_numbers import Random, generator
from overread.tables.frames import NamedFrame, Table, inputs_of
from overread.tables.storage.names import below

Progress = Callable[[int, int], None]
_EVALUATION = 60  # per cent of the time; the rest is the report
_TITLE = "Evaluation of predictions"


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The tables of an evaluation as they were read, and how: what its record, ledger and evidence say of them."""

    images: pl.DataFrame
    labels: pl.DataFrame
    predictions: pl.DataFrame
    tune: pl.DataFrame | None
    reads: pl.DataFrame | None
    understood: Sequence[tuple[Any, layouts.Read]]
    sources: Mapping[str, Path | NamedFrame]

    def files(self) -> dict[str, Path]:
        """The tables that are files, by what they are."""
        return {name: given for name, given in self.sources.items() if isinstance(given, Path)}

    def frames(self) -> dict[str, str]:
        """The hashes of the tables that were given in memory, by what they are."""
        return {n: runs.frame_hash(f.frame) for n, f in self.sources.items() if isinstance(f, NamedFrame)}

    def arguments(self, config: EvaluationConfig) -> dict[str, Any]:
        """The arguments of `evaluation.evaluate`."""
        return {
            "images": self.images,
            "labels": self.labels,
            "predictions": self.predictions,
            "config": config,
            "rng": np.random.default_rng(config.seed),
            "tune": self.tune,
            "reads": self.reads,
            "notes": [note for _, read in self.understood for note in read.notes],
        }

    def completed(self, evidence: evaluation.Evidence) -> evaluation.Evidence:
        """The evidence, with what reading the tables left out or changed at the head of its account."""
        return replace(evidence, account=pl.concat([account_of_files(self.understood), evidence.account]))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EvaluationResult:
    """The evidence of an evaluation, which prints as a summary and is written by `report`.

    `folder` is the folder that the evaluation wrote, None where it wrote nothing; the page of its report is
    `folder / "report" / "report.html"`.
    """

    evidence: evaluation.Evidence
    config: EvaluationConfig
    inputs: Inputs
    folder: Path | None = None

    @property
    def estimates(self) -> pl.DataFrame:
        """The table `estimates`: every number with its interval."""
        return self.evidence.estimates

    @property
    def verdicts(self) -> pl.DataFrame:
        """The table `verdicts`: what the hypotheses' rules say."""
        return self.evidence.verdicts

    @property
    def curves(self) -> pl.DataFrame:
        """The table `curves`: the points of plots."""
        return self.evidence.curves

    @property
    def joined(self) -> pl.DataFrame:
        """The table `joined`: every score beside its truth."""
        return self.evidence.joined

    @property
    def account(self) -> pl.DataFrame:
        """The table `account`: what was left out or changed, and why."""
        return self.evidence.account

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the evidence must know."""
        return self.evidence.notes

    def report(self, folder: Path | str, *, title: str = _TITLE, workers: int = 1) -> Path:
        """Write evidence, record, ledger and report into a folder, as `overread evaluate` does; the report's path.

        The entry of the ledger has the time of this call.
        """
        with _claimed(Path(folder), workers) as pool:
            with _record(self.inputs, self.config, Path(folder)) as keep:
                keep(self.evidence)
            return report_stage.report(folder, Path(folder) / "report", title=title, pool=pool)

    def __repr__(self) -> str:
        return as_text(self.evidence, self.config)

    def _repr_html_(self) -> str:
        return as_html(self.evidence, self.config)


def evaluate(
    images: Table,
    labels: Table | Sequence[Table] | Mapping[str, Table],
    predictions: Table | Sequence[Table] | Mapping[str, Table],
    *,
    out: Path | str | None = None,
    reads: Table | None = None,
    tune: Table | Sequence[Table] | Mapping[str, Table] = (),
    config: EvaluationConfig | None = None,
    rng: Random | None = None,
    title: str = _TITLE,
    workers: int = 1,
    progress: Progress | None = None,
    **settings: Any,
) -> EvaluationResult:
    """Evaluate predictions: AUCs, operating points, calibration, subgroups, comparisons, each with its interval.

    Parameters
    ----------
    images, labels, predictions : path, Polars or pandas frame
        The tables, long or wide. Labels and predictions may be several: a list, or {name: table}, where the name is
        that of the label source or the model. A wide file is named by the file, its label source also by "NAME=FILE".
    out : path, optional
        The folder for evidence, ledger and report; the ledger in it goes on with every evaluation. Without it nothing
        is written.
    reads : path or frame, optional
        The answers of readers, long or wide; with them the model is set beside the readers.
    tune : as predictions
        Predictions of tuning cases that are in `images` and `labels`; without them and without a split "tune",
        thresholds and recalibration are fitted on half of the patients and tested on the other half.
    config : EvaluationConfig, optional
        Everything that decides a number and is not data.
    rng : int or numpy.random.Generator, optional
        The seed in place of that of `config`; of a generator a seed is drawn, which the record keeps.
    title, workers
        The title of the report, and the processes that draw its figures; more than one needs a main module that can
        be imported.
    progress : callable, optional
        Called with per cent done and 100.
    **settings
        Fields of EvaluationConfig in place of those of `config`, such as replicates=500.

    Returns
    -------
    EvaluationResult
        The tables `estimates`, `verdicts`, `curves`, `joined`, `account`; `report(folder)` writes them.

    Raises
    ------
    InputError
        Whatever is wrong with the tables or does not fit together; nothing is written but the failed run. `out` holds
        files that no evaluation wrote and this one would replace, or another process writes to it.
    """
    chosen = _settings(config, settings, rng)
    if out is None:
        given = _read(images, labels, predictions, chosen, tune=tune, reads=reads)
        evidence = evaluation.evaluate(**given.arguments(chosen), progress=progress)
        return EvaluationResult(given.completed(evidence), chosen, given)
    out, told = Path(out), progress or (lambda done, total: None)
    with _claimed(out, workers) as pool:
        given = _read(images, labels, predictions, chosen, tune=tune, reads=reads)
        shown = partial(_first_part, told)
        with _record(given, chosen, out) as keep:
            evidence = keep(given.completed(evaluation.evaluate(**given.arguments(chosen), progress=shown)))
        report_stage.report(out, out / "report", title=title, pool=pool)
        told(100, 100)
    return EvaluationResult(evidence, chosen, given, out)


def _first_part(told: Progress, done: int, total: int) -> None:
    """Progress of an evaluation that a report follows."""
    told(round(_EVALUATION * done / total), 100)


def _settings(config: EvaluationConfig | None, settings: Mapping[str, Any], rng: Random | None) -> EvaluationConfig:
    """The configuration with what was given by keyword; a generator gives a seed, so that the record is whole."""
    chosen: EvaluationConfig = with_settings(config or EvaluationConfig(), settings, "evaluate")
    if isinstance(rng, np.random.Generator):
        return replace(chosen, seed=int(rng.integers(2**32)))
    if rng is not None:
        generator(rng, where="evaluate")
        chosen = replace(chosen, seed=int(rng))
    return chosen


@contextmanager
def _claimed(out: Path, workers: int) -> Iterator[Any]:
    """Hold the folder of an evaluation, which refuses one that is another's; the processes that draw its figures."""
    with runs.claimed(out, "evaluate", evaluation.FILES), drawing_pool(workers) as pool:
        for name in ("ledger.jsonl", "report"):
            below(out, name)
        check_report_folder(out / "report")
        yield pool


def _read(
    images: Table, labels: Any, predictions: Any, config: EvaluationConfig, *, tune: Any, reads: Table | None
) -> Inputs:
    """Read the tables of an evaluation; each is refused by its own name."""
    [(_, image_file)] = inputs_of(images, "images")
    named = inputs_of(labels, "labels", source=True)
    given, tuning = inputs_of(predictions, "predictions"), inputs_of(tune, "tune")
    answer_files = [] if reads is None else inputs_of(reads, "reads")
    for _, file in (("", image_file), *named, *given, *tuning, *answer_files):
        if isinstance(file, Path):
            runs.check_file(file)
    words: dict[str, Any] = {"spellings": config.spellings, "vocabulary": config.vocabulary}
    cases = layouts.images(image_file, spellings=config.spellings)
    check_sites(cases.frame, config, image_file)
    truths = [(f, layouts.labels(f, source=name, **words)) for name, f in named]
    scores, tuned = ([(f, layouts.predictions(f, model=name, **words)) for name, f in each] for each in (given, tuning))
    answers = [(f, layouts.reads(f, **words)) for _, f in answer_files]
    cases = replace(cases, unused=tuple(c for c in cases.unused if c not in config.subgroups))
    sources = {"images": image_file, **{f"labels {i}" if i > 1 else "labels": f for i, (_, f) in enumerate(named, 1)}}
    sources |= {f"predictions {f.name}": f for _, f in given}
    sources |= {"reads": answer_files[0][1]} if answer_files else {}
    return Inputs(
        cases.frame,
        stacked_labels(truths, config.vocabulary),
        stacked_predictions(scores),
        stacked_predictions(tuned) if tuned else None,
        answers[0][1].frame if answers else None,
        without_used([(image_file, cases), *truths, *scores, *tuned, *answers]),
        sources | {f"tune {f.name}": f for _, f in tuning},
    )


@contextmanager
def _record(
    given: Inputs, config: EvaluationConfig, out: Path
) -> Iterator[Callable[[evaluation.Evidence], evaluation.Evidence]]:
    """Record an evaluation: the ledger entry comes before the work; what is yielded writes the evidence."""
    book = out / "ledger.jsonl"
    known = earlier_heads(book, out, out / "report")
    ledger.read(book)  # one that cannot go on is refused before the earlier evaluation's run.json is
    with runs.start(out, "evaluate", config=config, inputs=given.files(), seed=config.seed) as run:
        if known:
            run.note("ledger", known[0])  # kept also by a run that fails
        entry = record_access(
            book, given.images, given.labels, given.predictions, reads=given.reads, protocol_hash="", known=known
        )

        def keep(evidence: evaluation.Evidence) -> evaluation.Evidence:
            evidence = replace(evidence, ledger_head=entry.head)
            run.note("files as read", {str(f): description(r) for f, r in given.understood})
            if frames := given.frames():
                run.note("frames", frames)
            record_evidence(run, evidence, ledger_path=book)
            return evidence

        yield keep


def record_evidence(run: runs.Run, evidence: evaluation.Evidence, *, ledger_path: Path) -> None:
    """Write the evidence into the run's folder; run.json keeps its hashes, and where the head of the ledger is."""
    for path in evaluation.write(evidence, run.folder):
        run.output(path)
    if evidence.ledger_head:
        run.note("ledger", {**evidence.ledger_head, "file": os.path.relpath(ledger_path, run.folder)})


def record_access(
    path: Path,
    images: pl.DataFrame,
    labels: pl.DataFrame,
    predictions: pl.DataFrame,
    *,
    reads: pl.DataFrame | None,
    protocol_hash: str,
    known: Sequence[Mapping[str, Any]],
) -> ledger.Entry:
    """Record the access to the test labels, and to reads, whose votes are labels, in the ledger.

    `known` are heads that were kept earlier, see `earlier_heads`: entries that the ledger has lost are recorded in it.
    """
    opened = runs.frame_hash(labels)
    if reads is not None:
        opened = runs.text_hash(opened + runs.frame_hash(reads))
    test = images.filter(pl.col("split").cast(pl.String).fill_null("").is_in(["test", ""]))
    ledger.record_missing(path, known)
    return ledger.append(
        path,
        analysis="evaluate",
        models=sorted(predictions["model"].unique()),
        cases=test["case_id"].n_unique(),
        labels_hash=opened,
        protocol_hash=protocol_hash,
    )


def open_labels(
    path: Path,
    images: pl.DataFrame,
    labels: pl.DataFrame,
    predictions: pl.DataFrame,
    config: EvaluationConfig,
    *,
    tune: pl.DataFrame | None = None,
    reads: pl.DataFrame | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    protocol_hash: str = "",
    notes: Sequence[tables.Note] = (),
    known: Sequence[Mapping[str, Any]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> evaluation.Evidence:
    """Evaluate; the access to the test labels (and reads, whose votes are labels) is recorded in the ledger first.

    The evidence keeps the head of the ledger, the number and hash of that entry. `known` are heads that were kept
    earlier, see `earlier_heads`: entries that the ledger has lost since are recorded in it.
    """
    entry = record_access(path, images, labels, predictions, reads=reads, protocol_hash=protocol_hash, known=known)
    evidence = evaluation.evaluate(
        images,
        labels,
        predictions,
        config,
        rng=np.random.default_rng(config.seed),
        tune=tune,
        reads=reads,
        models=models,
        protocol_hash=protocol_hash,
        notes=notes,
        progress=progress,
    )
    return replace(evidence, ledger_head=entry.head)


def earlier_heads(ledger_path: Path, *folders: Path) -> list[dict[str, Any]]:
    """The heads of a ledger that the runs in these folders, an evaluation and its report, have kept."""
    found = []
    for folder in folders:
        head = runs.read(folder).get("notes", {}).get("ledger") if (folder / "run.json").is_file() else None
        if head and (folder / head["file"]).resolve() == ledger_path.resolve():
            found.append(head)
    return found
