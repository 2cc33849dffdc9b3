"""Evaluation of predictions in files or frames, with optional record, ledger and report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from overread import evaluation, ledger, runs, tables
from overread.errors import InputError
from overread.evaluation import EvaluationConfig
from overread.evaluation.context.threshold_tables import thresholds as read_thresholds
from overread.evaluation.evaluation_text import as_html, as_text
from overread.evaluation.evidence import check_complete
from overread.evaluation.join import layouts, read_layouts
from overread.evaluation.join.counted_reads import read_makers
from overread.protocol import report_stage
from overread.protocol.input_tables import (
    account_of_files,
    configured,
    description,
    model_records,
    patients_named,
    stacked_images,
    stacked_labels,
    stacked_predictions,
    stacked_thresholds,
    without_used,
)
from overread.protocol.reader_files import stacked_reads
from overread.reporting.figures.figure_pool import drawing_pool
from overread.reporting.report_folder import check_report_folder
from overread.stats.random_numbers import Random, generator
from overread.tables.frames import NamedFrame, Table, input_of, inputs_of
from overread.tables.storage.names import below

Progress = Callable[[int, int], None]
_EVALUATION = 60  # per cent of the time; the rest is the report


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The tables of an evaluation, and how their files were interpreted."""

    images: pl.DataFrame | None
    labels: pl.DataFrame | None
    predictions: pl.DataFrame | None
    tune: pl.DataFrame | None
    reads: pl.DataFrame | None
    made_by: pl.DataFrame | None
    sittings: pl.DataFrame | None
    understood: Sequence[tuple[Any, layouts.Read]]
    sources: Mapping[str, Path | NamedFrame]
    thresholds: pl.DataFrame | None = None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # the records of model folders, by name
    folders: Sequence[Path] = ()  # the model folders

    def files(self) -> dict[str, Path]:
        """Return the tables that are files, by name."""
        return {name: given for name, given in self.sources.items() if isinstance(given, Path)}

    def frames(self) -> dict[str, str]:
        """Return the hashes of the tables given in memory, by name."""
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
            "thresholds": self.thresholds,
            "models": self.models,
            "made_by": self.made_by,
            "sittings": self.sittings,
            "notes": [note for _, read in self.understood for note in read.notes],
        }

    def completed(self, evidence: evaluation.Evidence) -> evaluation.Evidence:
        """The evidence, with what reading the tables left out or changed at the head of its account."""
        return replace(evidence, account=pl.concat([account_of_files(self.understood), evidence.account]))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EvaluationResult:
    """The result of an evaluation; it prints as a summary.

    Attributes
    ----------
    evidence : overread.evaluation.Evidence
        All tables of the evaluation.
    config : EvaluationConfig
        The settings.
    inputs : Inputs
        The tables as they were read.
    folder : Path or None
        The folder that was written; None if none was. The report is `folder / "report" / "report.html"`.
    """

    evidence: evaluation.Evidence
    config: EvaluationConfig
    inputs: Inputs
    folder: Path | None = None

    @property
    def estimates(self) -> pl.DataFrame:
        """The table `estimates`: every estimate with its interval."""
        return self.evidence.estimates

    @property
    def verdicts(self) -> pl.DataFrame:
        """The table `verdicts`: the verdicts on the hypotheses."""
        return self.evidence.verdicts

    @property
    def curves(self) -> pl.DataFrame:
        """The table `curves`: points of ROC, calibration and decision curves."""
        return self.evidence.curves

    @property
    def joined(self) -> pl.DataFrame:
        """The table `joined`: every score beside its reference standard."""
        return self.evidence.joined

    @property
    def account(self) -> pl.DataFrame:
        """The table `account`: exclusions and changes with their reasons."""
        return self.evidence.account

    @property
    def notes(self) -> tuple[str, ...]:
        """Methods and limitations that a reader of the evidence must know."""
        return self.evidence.notes

    def report(self, folder: Path | str, *, title: str = "", workers: int = 1) -> Path:
        """Write evidence, record, ledger and report into a folder, as `overread evaluate` does.

        Parameters
        ----------
        folder : path
            The folder of the evaluation.
        title : str
            The title of the report; "" = "Evaluation of predictions", "Evaluation of models and readers", or
            "Evaluation of readers".
        workers : int
            Processes that draw figures; 1 = this process, as in `evaluate`.

        Returns
        -------
        Path
            The report.

        Notes
        -----
        The entry of the ledger has the time of this call.
        """
        with _claimed(Path(folder), workers) as pool:
            with _record(self.inputs, self.config, Path(folder)) as keep:
                keep(self.evidence)
            return report_stage.write_report(
                Path(folder), Path(folder) / "report", title=title, models=self.inputs.folders, pool=pool
            )

    def __repr__(self) -> str:
        return as_text(self.evidence, self.config)

    def _repr_html_(self) -> str:
        return as_html(self.evidence, self.config)


def evaluate(
    images: Table | Sequence[Table] | None = None,
    labels: Table | Sequence[Table] | Mapping[str, Table] | None = None,
    predictions: Table | Sequence[Table] | Mapping[str, Table] | None = None,
    *,
    out: Path | str | None = None,
    reads: Table | Sequence[Table] | Mapping[str, Table] | None = None,
    made_by: Table | None = None,
    sittings: Table | None = None,
    tune: Table | Sequence[Table] | Mapping[str, Table] = (),
    thresholds: Table | Sequence[Table] | Mapping[str, Table] = (),
    models: Path | str | Sequence[Path | str] = (),
    extra_findings: str | Path | Sequence[str | Path] = (),
    config: EvaluationConfig | None = None,
    rng: Random | None = None,
    title: str = "",
    workers: int = 1,
    progress: Progress | None = None,
    **settings: Any,
) -> EvaluationResult:
    """Evaluate predictions, reads, or both: performance, agreement, subgroups and comparisons, with intervals.

    Parameters
    ----------
    images, labels, predictions : path, Polars or pandas frame, optional
        The tables, in long or wide layout. Predictions need labels. Reads need none of the three: without labels the
        readers are judged by their own consensus only. Without images the patients are those of a column of the
        labels or reads that names the patient of every case, or else every case is taken as a patient of its own.
        Each may be several tables: a list, or for labels and predictions a mapping from the
        name of the label source or model to the table. Otherwise the name of a wide file is the name of the model or
        source; a label source may also be given as "NAME=FILE".
    out : path, optional
        The folder for evidence, ledger and report. Every evaluation adds an entry to the ledger in it. Without `out`
        nothing is written.
    reads : path or frame, or several, optional
        The answers of readers, alone or for comparison with the models: in long or wide layout, or boxes. Several
        tables are a list, a mapping from name to table, or "NAME=FILE". A table without a column of readers is that of
        one reader, by this name or the name of its file; in a table with readers and without arms the name is the arm.
    made_by : path or frame, optional
        The readers who contributed to the label of a case: source, case_id, reader and optionally finding. A label
        source does not judge the reads of those who made it. Where readers made all labels of a source, the setting
        `reader_made` names them instead.
    sittings : path or frame, optional
        Reading times and trust, one row per case that a reader read: reader, case_id, arm, round, seconds, trust, role.
    tune : as predictions
        Predictions of tuning cases that are in `images` and `labels`. Without them and without a split "tune",
        thresholds and recalibration are fitted on half of the patients and tested on the other half.
    thresholds : as predictions
        Given operating points: model, finding, name and threshold, or a row per model and a column per finding. Nothing
        is fitted for these models and findings, and all cases are tested.
    models : path or sequence of paths
        Model folders. The operating points, the recalibration and the training sites of their model.json are used for
        the predictions of the model of that name.
    extra_findings : text, path, or sequence of them
        Findings of the study's own behind those of the vocabulary: a title ("Aortic enlargement"), a title and its
        parents ("Aortic enlargement < enlarged_cardiomediastinum"), or a TOML file, see
        `overread.findings.with_extra_findings`.
    config : EvaluationConfig, optional
        The settings that affect numbers.
    rng : int or numpy.random.Generator, optional
        The seed, in place of that of `config`; with a generator a seed is drawn from it and recorded.
    title : str
        The title of the report; "" = "Evaluation of predictions", "Evaluation of models and readers", or "Evaluation
        of readers".
    workers : int
        Processes that draw figures of the report; 1 = this process. In a script, more than one require that the call is
        under `if __name__ == "__main__":`.
    progress : callable, optional
        Called with per cent done and 100.
    **settings
        Fields of EvaluationConfig that replace those of `config`, such as replicates=500.

    Returns
    -------
    EvaluationResult
        The tables `estimates`, `verdicts`, `curves`, `joined` and `account`; its method `report` writes them.

    Raises
    ------
    InputError
        Invalid or inconsistent tables, or a folder with files that would be replaced and were not written by an
        evaluation, or that another process is writing to.

    Notes
    -----
    The statistical methods of each number are in the column `method` of `estimates`.

    Examples
    --------
    .. code-block:: python

        import overread as ov
        result = ov.evaluate("images.csv", "labels.csv", ["acme.csv"])
        result.report("evidence")
    """
    chosen = _settings(config, settings, rng, extra_findings)
    further: dict[str, Any] = {
        "tune": tune,
        "reads": reads,
        "made_by": made_by,
        "sittings": sittings,
        "locked": (thresholds, models),
    }
    if out is None:
        given = _read(images, labels, predictions, chosen, **further)
        evidence = evaluation.evaluate(**given.arguments(chosen), progress=progress)
        return EvaluationResult(given.completed(evidence), chosen, given)
    out, told = Path(out), progress or (lambda done, total: None)
    with _claimed(out, workers) as pool:
        given = _read(images, labels, predictions, chosen, **further)
        shown = partial(_first_part, told)
        with _record(given, chosen, out) as keep:
            evidence = keep(given.completed(evaluation.evaluate(**given.arguments(chosen), progress=shown, pool=pool)))
        report_stage.write_report(out, out / "report", title=title, models=given.folders, pool=pool)
        told(100, 100)
    return EvaluationResult(evidence, chosen, given, out)


def _first_part(progress: Progress, done: int, total: int) -> None:
    """Report the progress of an evaluation that is followed by a report."""
    progress(round(_EVALUATION * done / total), 100)


def _settings(
    config: EvaluationConfig | None,
    settings: Mapping[str, Any],
    rng: Random | None,
    extra_findings: str | Path | Sequence[str | Path],
) -> EvaluationConfig:
    """Apply keyword settings; a generator is replaced by a seed drawn from it, so that the record is complete."""
    chosen = configured(config, settings, extra_findings, "evaluate")
    if rng is not None and "seed" in settings:
        raise InputError("evaluate", "rng or seed", "both", do="They state the same: leave one of them out.")
    if isinstance(rng, np.random.Generator):
        return replace(chosen, seed=int(rng.integers(2**32)))
    if rng is not None:
        generator(rng, where="evaluate")
        chosen = replace(chosen, seed=int(rng))
    return chosen


@contextmanager
def _claimed(out: Path, workers: int) -> Iterator[Any]:
    """Lock the folder of an evaluation, refuse one of another command, and provide the processes that draw figures."""
    with runs.claimed(out, "evaluate", evaluation.FILES), drawing_pool(workers) as pool:
        for name in ("ledger.jsonl", "report"):
            below(out, name)
        check_report_folder(out / "report")
        yield pool


def _read(
    images: Table | Sequence[Table] | None,
    labels: Any,
    predictions: Any,
    config: EvaluationConfig,
    *,
    tune: Any,
    reads: Any,
    made_by: Table | None,
    sittings: Table | None,
    locked: tuple[Any, Any],
) -> Inputs:
    """Read the tables of an evaluation; messages name the file. `locked` holds given thresholds and model folders."""
    check_complete(labels, predictions, reads)
    image_files = [] if images is None else [f for _, f in inputs_of(images, "images")]
    named = [] if labels is None else inputs_of(labels, "labels", source=True)
    given = [] if predictions is None else inputs_of(predictions, "predictions")
    tuning, points = inputs_of(tune, "tune"), inputs_of(locked[0], "thresholds")
    answering = [] if reads is None else inputs_of(reads, "reads", source=True)
    maker_files = [] if made_by is None else [input_of(made_by, "made_by")]
    sitting_files = [] if sittings is None else [input_of(sittings, "sittings")]
    several = [f for _, f in (*named, *given, *tuning, *points, *answering)]
    for file in (*image_files, *several, *maker_files, *sitting_files):
        if isinstance(file, Path):
            runs.check_file(file)
    words: dict[str, Any] = {"spellings": config.spellings, "vocabulary": config.vocabulary}
    one = words | {"only": config.findings[0] if len(config.findings) == 1 else ""}  # in tables that name no finding
    cases = [(f, layouts.images(f, spellings=config.spellings)) for f in image_files]
    images_read = stacked_images(cases, config) if cases else None
    truths = [(f, layouts.labels(f, source=name, **one)) for name, f in named]
    scores, tuned = ([(f, layouts.predictions(f, model=name, **one)) for name, f in each] for each in (given, tuning))
    answers = [(f, read_layouts.reads(f, name=name, **one)) for name, f in answering]
    if not cases:
        both, images_read = patients_named([*truths, *answers], [*scores, *tuned])
        truths, answers = both[: len(truths)], both[len(truths) :]
    sat = [(f, read_layouts.sittings(f)) for f in sitting_files]
    cases = [(f, replace(r, unused=tuple(c for c in r.unused if c not in config.subgroups))) for f, r in cases]
    sources = {f"images {i}" if i > 1 else "images": f for i, f in enumerate(image_files, 1)}
    sources |= {f"labels {i}" if i > 1 else "labels": f for i, (_, f) in enumerate(named, 1)}
    sources |= {f"predictions {f.name}": f for _, f in given}
    sources |= {f"reads {i}" if i > 1 else "reads": f for i, (_, f) in enumerate(answering, 1)}
    sources |= {f"thresholds {f.name}": f for _, f in points}
    operating = [(f, read_thresholds(f, model=name, **words)) for name, f in points]
    folders = [Path(m) for m in ([locked[1]] if isinstance(locked[1], str | os.PathLike) else locked[1])]
    records = model_records(folders, [r.frame for _, r in scores], [] if images_read is None else [images_read])
    sources |= {f"model {name}": folder / "model.json" for name, folder in zip(records, folders, strict=True)}
    sources |= {"made_by": maker_files[0]} if maker_files else {}
    sources |= {"sittings": sitting_files[0]} if sitting_files else {}
    return Inputs(
        images_read,
        stacked_labels(truths, config.vocabulary) if truths else None,
        stacked_predictions(scores) if scores else None,
        stacked_predictions(tuned) if tuned else None,
        stacked_reads(answers, config.vocabulary) if answers else None,
        read_makers(maker_files[0], notes=[]) if maker_files else None,
        sat[0][1].frame if sat else None,
        without_used([*cases, *truths, *scores, *tuned, *operating, *answers, *sat]),
        sources | {f"tune {f.name}": f for _, f in tuning},
        stacked_thresholds(operating, config.vocabulary) if operating else None,
        records,
        folders,
    )


@contextmanager
def _record(
    given: Inputs, config: EvaluationConfig, out: Path
) -> Iterator[Callable[[evaluation.Evidence], evaluation.Evidence]]:
    """Record an evaluation: the ledger entry is written before the block; the yielded function writes the evidence."""
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
    """Write the evidence into the folder of a run, and its hashes and the position of the ledger entry into
    run.json.
    """
    for path in evaluation.write(evidence, run.folder):
        run.output(path)
    if evidence.ledger_head:
        run.note("ledger", {**evidence.ledger_head, "file": os.path.relpath(ledger_path, run.folder)})


def record_access(
    path: Path,
    images: pl.DataFrame | None,
    labels: pl.DataFrame | None,
    predictions: pl.DataFrame | None,
    *,
    reads: pl.DataFrame | None,
    protocol_hash: str,
    known: Sequence[Mapping[str, Any]],
) -> ledger.Entry:
    """Record the access to the test labels, and to reads, whose votes are labels, in the ledger.

    `known` are heads of the ledger that were kept earlier, see `earlier_heads`: lost entries are recorded.
    """
    opened = "" if labels is None else runs.frame_hash(labels)
    if reads is not None:
        opened = runs.text_hash(opened + runs.frame_hash(reads))
    if images is not None:
        cases = images.filter(pl.col("split").cast(pl.String).fill_null("").is_in(["test", ""]))["case_id"].n_unique()
    else:
        cases = 0 if reads is None else reads["case_id"].n_unique()
    ledger.record_missing(path, known)
    return ledger.append(
        path,
        analysis="evaluate",
        models=[] if predictions is None else sorted(predictions["model"].unique()),
        cases=cases,
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
    sittings: pl.DataFrame | None = None,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    protocol_hash: str = "",
    notes: Sequence[tables.Note] = (),
    known: Sequence[Mapping[str, Any]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> evaluation.Evidence:
    """Record the access to the test labels in the ledger, then evaluate.

    The evidence keeps the number and hash of the ledger entry. `known` are heads that were kept earlier, see
    `earlier_heads`: lost entries are recorded.
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
        sittings=sittings,
        models=models,
        protocol_hash=protocol_hash,
        notes=notes,
        progress=progress,
    )
    return replace(evidence, ledger_head=entry.head)


def earlier_heads(ledger_path: Path, *folders: Path) -> list[dict[str, Any]]:
    """Return the heads of a ledger that are kept in these folders of an evaluation and its report."""
    found = []
    for folder in folders:
        head = runs.read(folder).get("notes", {}).get("ledger") if (folder / "run.json").is_file() else None
        if head and (folder / head["file"]).resolve() == ledger_path.resolve():
            found.append(head)
    return found
