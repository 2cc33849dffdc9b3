"""Stages alone, on files: an evaluation of predictions that someone else made, and the report of any evaluation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from overread import codes, evaluation, ledger, runs, tables
from overread.errors import InputError, did_you_mean
from overread.evaluation import EvaluationConfig
from overread.evaluation.join import layouts
from overread.evaluation.join.account import TABLES, UNMATCHED, Dropped, account_frame
from overread.evaluation.join.unmatched import UnmatchedAllowance, matched
from overread.reporting.figures.figure_pool import drawing_pool
from overread.reporting.report_folder import check_report_folder
from overread.tables import records
from overread.tables.records.kinds import ModelRecord
from overread.tables.table_notes import sentences
from overread.tables.writing.names import below

_EVALUATION = 60  # per cent of the time; the rest is the report


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
    workers: int = 1,
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
    workers
        processes that draw the figures of the report; more than one needs a main module that can be imported

    Raises
    ------
    InputError
        whatever is wrong with the files or does not fit together; nothing is written but the failed run. `out` holds
        files that no evaluation wrote and this one would replace, or another process writes to it
    """
    told = progress or (lambda done, total: None)
    with runs.claimed(out, "evaluate", evaluation.FILES), drawing_pool(workers) as pool:
        for name in ("ledger.jsonl", "report"):
            below(out, name)
        check_report_folder(out / "report")
        _evaluate_files(
            images,
            labels,
            predictions,
            out,
            config,
            tune=tune,
            reads=reads,
            progress=lambda done, total: told(round(_EVALUATION * done / total), 100),
        )
        page = report_folder(out, out / "report", title=title, pool=pool)
        told(100, 100)
        return page


def _evaluate_files(
    images: Path,
    labels: Path | str | Sequence[Path | str],
    predictions: Sequence[Path],
    out: Path,
    config: EvaluationConfig,
    *,
    tune: Sequence[Path],
    reads: Path | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Read the files, evaluate, and write evidence and ledger."""
    named = [_named(f) for f in ([labels] if isinstance(labels, Path | str) else labels)]
    for file in (images, *(f for _, f in named), *predictions, *tune, *([reads] if reads else [])):
        runs.check_file(file)
    known = earlier_heads(out / "ledger.jsonl", out, out / "report")
    ledger.read(out / "ledger.jsonl")  # one that cannot go on is refused before the earlier evaluation's run.json is
    words = config.spellings
    cases = layouts.images(images, spellings=words)
    check_sites(cases.frame, config, images)
    truths = [(f, layouts.labels(f, source=name, spellings=words)) for name, f in named]
    scores, tuned = ([(f, layouts.predictions(f, spellings=words)) for f in given] for given in (predictions, tune))
    answers = [] if reads is None else [(reads, layouts.reads(reads, spellings=words))]
    truth, given, tuning = _stacked_labels(truths), _together(scores), _together(tuned) if tuned else None
    cases = replace(cases, unused=tuple(c for c in cases.unused if c not in config.subgroups))
    understood = _without_used([(images, cases), *truths, *scores, *tuned, *answers])
    files = {"images": images, **{f"labels {i}" if i > 1 else "labels": p for i, (_, p) in enumerate(named, 1)}}
    files |= {f"predictions {p.name}": p for p in predictions} | ({"reads": reads} if reads is not None else {})
    with runs.start(
        out, "evaluate", config=config, inputs=files | {f"tune {p.name}": p for p in tune}, seed=config.seed
    ) as run:
        if known:
            run.note("ledger", known[0])  # kept also by a run that fails
        evidence = open_labels(
            out / "ledger.jsonl",
            cases.frame,
            truth,
            given,
            config,
            tune=tuning,
            reads=answers[0][1].frame if answers else None,
            progress=progress,
            notes=[note for _, read in understood for note in read.notes],
            known=known,
        )
        evidence = replace(evidence, account=pl.concat([_account(understood), evidence.account]))
        run.note("files as read", {str(f): _understood(r) for f, r in understood})
        record_evidence(run, evidence, ledger_path=out / "ledger.jsonl")


def record_evidence(run: runs.Run, evidence: evaluation.Evidence, *, ledger_path: Path) -> None:
    """Write the evidence into the run's folder; run.json keeps its hashes, and where the head of the ledger is."""
    for path in evaluation.write(evidence, run.folder):
        run.output(path)
    if evidence.ledger_head:
        run.note("ledger", {**evidence.ledger_head, "file": os.path.relpath(ledger_path, run.folder)})


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
    opened = runs.frame_hash(labels)
    if reads is not None:
        opened = runs.text_hash(opened + runs.frame_hash(reads))
    test = images.filter(pl.col("split").cast(pl.String).fill_null("").is_in(["test", ""]))
    ledger.record_missing(path, known)
    entry = ledger.append(
        path,
        analysis="evaluate",
        models=sorted(predictions["model"].unique()),
        cases=test["case_id"].n_unique(),
        labels_hash=opened,
        protocol_hash=protocol_hash,
    )
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


def report_folder(
    evaluation: Path,
    out: Path,
    *,
    title: str,
    cohort: Path | None = None,
    heatmaps: Mapping[str, Path] | None = None,
    models: Sequence[Path] = (),
    statements: Path | None = None,
    pool: Executor | None = None,
) -> Path:
    """The report of an evaluation's folder, with what else is at hand: cohort, heat maps, models, statements (TOML).

    `pool` is that of `report.drawing_pool`, processes that draw figures beside this one.
    """
    from overread import reporting  # plots: not loaded where only a protocol is read

    check_report_folder(out)
    found = {name: runs.check(folder) for name, folder in (("evaluate", evaluation), ("cohort", cohort)) if folder}
    for folder in (heatmaps or {}).values():
        runs.check(folder)
    stated = [_model(m / "model.json") for m in models]
    said = {
        "title": title,
        "protocol": {"evaluation": found["evaluate"].get("config") or {}},
        "models": {m["name"]: m for m in stated},
        "runs": found,
        "statements": _stated(statements) if statements else {},
    }
    book = evaluation / "ledger.jsonl"
    with tables.holding(out, "report"):
        return reporting.write(
            evaluation,
            out,
            study=said,
            cohort_folder=cohort,
            heatmap_folders=dict(heatmaps or {}),
            ledger=book if book.is_file() else None,
            models={m["name"]: f for m, f in zip(stated, models, strict=True)},
            pool=pool,
        )


def _model(path: Path) -> Any:
    """A model.json that gives at least the model's name."""
    record = runs.read_sealed(path, ModelRecord)
    if "name" not in record:
        raise InputError(path, "a key 'name'", f"keys {', '.join(record) or '(none)'}")
    return record


def _stated(path: Path) -> dict[str, Any]:
    """What the authors state for the checklists: a TOML file of topics and texts."""
    stated: dict[str, str] = records.typed(records.read_toml(path, "a TOML file of statements"), dict[str, str], path)
    return stated


def check_sites(images: pl.DataFrame, config: EvaluationConfig, where: Path) -> None:
    """Refuse a configuration that names a site which the images do not have."""
    sites = sorted(images["site"].unique())
    for site in (*config.external_sites, *config.internal_sites):
        if site not in sites:
            named = [s for s in sites if s]
            do = did_you_mean(site, named) or ("" if named else "The images have no column 'site'.")
            raise InputError(where, f"a site '{site}', named as internal or external", f"sites {named}", do=do)


def _named(given: Path | str) -> tuple[str, Path]:
    """The source and the file of NAME=FILE; "" where only a file is given (also one with = in its name)."""
    name, equals, file = str(given).partition("=")
    return (name, Path(file)) if equals and not os.path.exists(given) else ("", Path(given))


def _stacked_labels(read: Sequence[tuple[Path, layouts.Read]]) -> pl.DataFrame:
    """The labels of all files; two that state the same case and finding for one source are refused."""
    whole = pl.concat([r.frame for _, r in read], how="diagonal_relaxed")
    if len(read) > 1:
        whole = tables.check(whole, "labels", where=f"labels {', '.join(str(f) for f, _ in read)}")
    return whole


def _together(read: Sequence[tuple[Path, layouts.Read]]) -> pl.DataFrame:
    """The scores of all files; a model in two of them, or two wide files of one name, are refused."""
    frames = [r.frame for _, r in read]
    stems = [f.name.split(".")[0] for f, r in read if _by_file(r.frame, f)]
    alike = sorted({s for s in stems if stems.count(s) > 1})
    if alike:
        do = "A wide file is named as its model is: rename one, or add a column 'model'."
        raise InputError("predictions", "files of different names", "files named alike", examples=alike, do=do)
    units = {"image_id" if "image_id" in f.columns else "case_id" for f in frames}
    if len(units) > 1:
        raise InputError(
            "predictions",
            "files that all score images, or all score cases",
            "both kinds",
            examples=[f for f, _ in read],
        )
    whole = pl.concat(frames, how="diagonal")
    if (nameless := int((whole["model"] == "").sum())) > 0:
        do = "Fill the column 'model', or leave it out: the model is then named as its file."
        raise InputError("predictions", "the name of the model in every row", f"{nameless:,} rows without", do=do)
    repeated = whole.filter(pl.struct(*units, "finding", "model", "shift").is_duplicated())
    if repeated.height:
        raise InputError(
            "predictions", "a model in one file only", "the same scores in several", examples=repeated["model"].unique()
        )
    return whole


def _by_file(frame: pl.DataFrame, file: Path) -> bool:
    """Whether all scores are of a model of the file's name."""
    return frame["model"].unique().to_list() == [file.name.split(".")[0]]


def _understood(read: layouts.Read) -> dict[str, Any]:
    """How a file was understood, for run.json."""
    return {"text": list(read.dialect), "columns": dict(read.columns), "columns not used": list(read.unused)}


def _without_used(understood: Sequence[tuple[Path, layouts.Read]]) -> list[tuple[Path, layouts.Read]]:
    """The tables, each column of a file that none of them uses listed once: one file may be several tables."""
    known: dict[Path, set[str]] = {}
    for file, read in understood:
        known.setdefault(file.resolve(), set()).update(read.columns)
    made = []
    for file, read in understood:
        left = tuple(c for c in read.unused if c not in known[file.resolve()])
        known[file.resolve()].update(left)
        made.append((file, replace(read, unused=left)))
    return made


def _account(understood: Sequence[tuple[Path, layouts.Read]]) -> pl.DataFrame:
    """What was left out or changed when the files were read, each row with the name of its file."""
    rows: dict[tuple[str, str], Dropped] = {}
    for file, read in understood:
        unused = Dropped("columns", codes.note("columns_not_used"), len(read.unused), "; ".join(read.unused[:5]))
        for row in (*read.dropped, *([unused] if read.unused else [])):
            reason = codes.note("reason_of_file", file=file.name, reason=str(row.reason))
            before = rows.get((row.unit, reason))  # files of one name in two folders: counted together
            rows[row.unit, reason] = replace(row, reason=reason, count=row.count + (before.count if before else 0))
    return account_frame(TABLES, list(rows.values()))


def cohort_tables(
    images: Path, labels: Path, regions: Path | None = None, *, allowed: float = 0.01
) -> tuple[tables.Source, list[str]]:
    """Read the tables of a cohort as an evaluation reads them; what was left out or changed is in its notes.

    The second value describes the text of the files where it is not UTF-8 with commas.

    Parameters
    ----------
    images, labels, regions : Path
        The tables, long or wide.
    allowed : float
        The share of labelled cases, and of images with regions, that `images` may lack.

    Raises
    ------
    InputError
        What `wide` refuses, images without a site, and labels or regions of images that are not there.
    """
    read = {"images": layouts.images(images), "labels": layouts.labels(labels)}
    if regions is not None:
        read["regions"] = layouts.regions(regions)
    if "site" not in read["images"].columns.values():
        expected = "a column 'site'"
        raise InputError(images, expected, "none", do="Add it: sites are never mixed between training and test.")
    frame = read["images"].frame
    lost: list[Dropped] = []
    allowance = UnmatchedAllowance("cohort.missing_allowed", allowed)
    for name, key in (("labels", "case_id"), ("regions", "image_id")):
        if name in read:
            rows, dropped = matched(read[name].frame, frame, allowance, name=name, key=key)
            read[name], lost = replace(read[name], frame=rows), lost + dropped
    paths = {"images": images, "labels": labels, "regions": regions}
    understood = _without_used([(Path(str(paths[name])), r) for name, r in read.items()])
    account = pl.concat([_account(understood), account_frame(UNMATCHED, lost)])
    notes: tuple[str | tables.Note, ...] = (*_sentences(account), *(note for r in read.values() for note in r.notes))
    said = [f"{f.name}: read as text with {'; '.join(r.dialect)}." for f, r in understood if r.dialect]
    boxes = read["regions"].frame if "regions" in read else None
    return tables.Source(frame, read["labels"].frame, boxes, notes=notes), said


def _sentences(account: pl.DataFrame) -> list[str]:
    rows = account.filter(pl.col("stage").is_in([TABLES, UNMATCHED])).iter_rows(named=True)
    shown = [(r, f" ({r['examples']})" if r["examples"] else "") for r in rows]
    return [f"{r['count']:,} {r['unit']}, {r['reason']}{examples}." for r, examples in shown]


def remarks(folder: Path) -> list[str]:
    """What a person who ran an evaluation must know of its tables.

    Dialects of text, columns that were not used, rows that were left out, identifiers that were changed, and what is
    missing in the ledger.

    Parameters
    ----------
    folder : Path
        The evaluation's folder, with run.json and account.parquet.
    """
    notes = runs.read(folder)["notes"]
    files: dict[str, Any] = notes.get("files as read", {})
    said = [f"{Path(f).name}: read as text with {'; '.join(r['text'])}." for f, r in files.items() if r["text"]]
    account = tables.read(folder / "account.parquet", "account")
    head = notes.get("ledger")
    lost = ledger.faults(folder / head["file"], head) if head else []
    return [*said, *_sentences(account), *sentences(account), *lost]
