"""Input tables of an evaluation or a cohort, read together: account, remarks and checks across tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from overread import codes, findings, ledger, runs, tables
from overread.errors import InputError, did_you_mean
from overread.evaluation import EvaluationConfig
from overread.evaluation.join import layouts
from overread.evaluation.join.account import TABLES, UNMATCHED, Dropped, account_frame
from overread.evaluation.join.column_names import find
from overread.findings import Vocabulary
from overread.tables.records.configuration import with_settings
from overread.tables.records.kinds import ModelRecord
from overread.tables.table_notes import sentences

_LOUD = ("findings_not_stated", "classes_not_stated")  # come first: findings that nobody asked to leave out


def configured(
    config: EvaluationConfig | None,
    settings: Mapping[str, Any],
    extra_findings: str | Path | Sequence[str | Path],
    where: str,
) -> EvaluationConfig:
    """The configuration with fields replaced by keyword, and a vocabulary with the findings of the study's own."""
    config = config or EvaluationConfig()
    words = settings.get("vocabulary", config.vocabulary)
    if extra_findings:
        words = findings.with_extra_findings(words, extra_findings)
        settings = {**settings, "vocabulary": words}
    if isinstance(named := settings.get("findings"), list | tuple):
        settings = {**settings, "findings": words.names_of(named)}
    chosen: EvaluationConfig = with_settings(config, settings, where)
    return chosen


def check_sites(images: pl.DataFrame, config: EvaluationConfig, where: object) -> None:
    """Refuse a configuration that names a site which the images do not have."""
    sites = sorted(images["site"].unique())
    for site in (*config.external_sites, *config.internal_sites):
        if site not in sites:
            named = [s for s in sites if s]
            do = did_you_mean(site, named) or ("" if named else "The images have no column 'site'.")
            raise InputError(where, f"a site '{site}', named as internal or external", f"sites {named}", do=do)


def stacked_images(read: Sequence[tuple[Any, layouts.Read]], config: EvaluationConfig) -> pl.DataFrame:
    """The images of all files; an image in two of them is refused, as is a site that none of them has."""
    frames, where = [r.frame for _, r in read], read[0][0]
    whole = frames[0]
    if len(read) > 1:
        where = f"images {', '.join(str(f) for f, _ in read)}"
        whole = tables.check(pl.concat(frames, how="diagonal_relaxed"), "images", where=where)
    check_sites(whole, config, where)
    return whole


def stacked_labels(read: Sequence[tuple[Any, layouts.Read]], vocabulary: Vocabulary) -> pl.DataFrame:
    """The labels of all files; two that state the same case and finding for one source are refused."""
    whole = pl.concat([r.frame for _, r in read], how="diagonal_relaxed")
    if len(read) > 1:
        where = f"labels {', '.join(str(f) for f, _ in read)}"
        whole = tables.check(whole, "labels", where=where, vocabulary=vocabulary)
    return whole


def stacked_predictions(read: Sequence[tuple[Any, layouts.Read]]) -> pl.DataFrame:
    """The scores of all files; a model in two of them, or two wide files of one name, are refused."""
    frames = [r.frame for _, r in read]
    stems = [f.name.split(".")[0] for f, r in read if _by_file(r.frame, f)]
    alike = sorted({s for s in stems if stems.count(s) > 1})
    if alike:
        do = "A wide file is named as its model is: rename one, or add a column 'model'."
        raise InputError("predictions", "files of different names", "files with the same name", examples=alike, do=do)
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


def stacked_thresholds(read: Sequence[tuple[Any, layouts.Read]], vocabulary: Vocabulary) -> pl.DataFrame:
    """The thresholds of all files; two for one model, finding and name are refused."""
    whole = pl.concat([r.frame for _, r in read], how="diagonal_relaxed")
    where = f"thresholds {', '.join(str(f) for f, _ in read)}"
    return tables.check(whole, "thresholds", where=where, vocabulary=vocabulary)


def model_records(
    folders: Sequence[Path], predictions: Sequence[pl.DataFrame], images: Sequence[pl.DataFrame]
) -> dict[str, Any]:
    """The records (model.json) of model folders by the name of the model, in their order.

    Raises
    ------
    InputError
        All problems at once: a record without a name, two models of one name, a model without predictions, and test
        patients on whom the model was trained.
    """
    scored = sorted({str(m) for frame in predictions for m in frame["model"].unique()})
    records: dict[str, Any] = {}
    problems = []
    for folder in folders:
        record = runs.read_sealed(folder / "model.json", ModelRecord)
        name = str(record.get("name") or "")
        if not name:
            problems.append(InputError(folder / "model.json", "a key 'name'", f"keys {', '.join(record) or '(none)'}"))
        elif name in records:
            problems.append(InputError("model", "models of different names", f"two of the name '{name}'"))
        elif name not in scored:
            hint = did_you_mean(name, scored) or "The column 'model', or the name of a wide file, names the model."
            found = f"predictions by {', '.join(scored) or 'no model'}"
            problems.append(InputError(folder, f"predictions by '{name}'", found, do=hint))
        problems += _trained_on(folder, images)
        records[name or str(folder)] = record
    if problems:
        raise InputError.all(problems)
    return records


def _trained_on(folder: Path, images: Sequence[pl.DataFrame]) -> list[InputError]:
    """Refuse test patients whom a model was trained on."""
    listed = folder / "train_patients.txt"
    if not listed.is_file():
        return []
    trained = set(listed.read_text(encoding="utf-8").splitlines())
    test = pl.col("split").cast(pl.String).fill_null("").is_in(["test", ""])
    shared = sorted({str(p) for frame in images for p in frame.filter(test)["patient_id"]} & trained)
    if not shared:
        return []
    found = f"{len(shared):,} patients of its training data among the test patients"
    return [InputError(folder, "test patients whom the model was not trained on", found, examples=shared)]


def _by_file(frame: pl.DataFrame, file: Any) -> bool:
    """Whether all scores are of a model of the file's name."""
    return frame["model"].unique().to_list() == [file.name.split(".")[0]]


def description(read: layouts.Read) -> dict[str, Any]:
    """How a file was understood, for run.json."""
    like = {"columns that look like findings": list(read.findings_like)} if read.findings_like else {}
    return {"text": list(read.dialect), "columns": dict(read.columns), "columns not used": list(read.unused)} | like


def patients_named(
    understood: Sequence[tuple[Any, layouts.Read]], others: Sequence[tuple[Any, layouts.Read]]
) -> tuple[list[tuple[Any, layouts.Read]], pl.DataFrame | None]:
    """Return the tables with lines of the account, and an images table by their columns of patients, if there is none.

    Parameters
    ----------
    understood : sequence of (file, Read)
        Labels and reads, which may have a column of patients.
    others : sequence of (file, Read)
        The other tables with cases.

    Returns
    -------
    tables_read : list of (file, Read)
        The labels and reads; the account has where the patients come from, or why a column was not used.
    images : DataFrame or None
        Every case with its patient, if the columns name the patient of every case.

    Raises
    ------
    InputError
        A case of several patients.
    """
    columns = [find(read.unused, "patient_id", file) for file, read in understood]
    owners = [_owners(file, column) for (file, _), column in zip(understood, columns, strict=True) if column]
    if not owners:
        return list(understood), None
    whole = pl.concat(owners).unique(maintain_order=True)
    several = whole.filter(pl.col("case_id").is_duplicated())["case_id"].unique(maintain_order=True)
    if several.len():
        where = ", ".join(str(f) for (f, _), column in zip(understood, columns, strict=True) if column)
        raise InputError(where, "one patient per case", f"{several.len():,} cases of several", examples=several)
    frames = [read.frame for _, read in (*understood, *others)]
    keys = [f["image_id" if "image_id" in f.columns else "case_id"].alias("case_id") for f in frames]
    cases = pl.concat(keys).unique(maintain_order=True).to_frame()
    lone = cases.join(whole, on="case_id", how="anti").height
    tables_read = []
    for (file, read), column in zip(understood, columns, strict=True):
        if column and lone:
            reason = codes.note("patients_not_used", column=column, n=lone)
            read = replace(read, dropped=(*read.dropped, Dropped("columns", reason, 1, stage=TABLES)))
        elif column:
            line = Dropped("cases", codes.note("patients_of_column", column=column), cases.height, stage=TABLES)
            unused = tuple(c for c in read.unused if c != column)
            used = {**read.columns, column: "patient_id"}
            read = replace(read, columns=used, unused=unused, dropped=(*read.dropped, line))
        tables_read.append((file, read))
    if lone:
        return tables_read, None
    images = cases.join(whole, on="case_id", how="left", maintain_order="left")
    images = images.select(pl.col("case_id").alias("image_id"), "case_id", "patient_id", site=pl.lit(""))
    return tables_read, tables.check(images, "images", where="images")


def _owners(file: Any, column: str) -> pl.DataFrame:
    """The cases of a file with their patients; rows without a patient are left out."""
    frame = tables.frame_of(file)
    key = find(frame.columns, "case_id", file) or find(frame.columns, "image_id", file)
    named = frame.select(pl.col(key).alias("case_id"), pl.col(column).alias("patient_id")).drop_nulls("patient_id")
    named = named.filter(pl.col("patient_id").cast(pl.String).str.strip_chars() != "")
    return tables.identify(named, "images", where=file, notes=[]).select("case_id", "patient_id").unique()


def without_used(understood: Sequence[tuple[Any, layouts.Read]]) -> list[tuple[Any, layouts.Read]]:
    """The tables, each column of a file that none of them uses listed once: one file may be several tables.

    A column that looks like a finding in one file is taken to look like one in all: it may be constant in a small file.
    """
    known: dict[Any, set[str]] = {}
    like = {column for _, read in understood for column in read.findings_like}
    with_findings = {file.resolve() for file, read in understood if "finding" in read.frame.columns}
    for file, read in understood:
        known.setdefault(file.resolve(), set()).update(read.columns)
    files = []
    for file, read in understood:
        used = known[file.resolve()]
        left = [c for c in read.unused if c not in used]
        named = [c for c in left if c in like] if file.resolve() in with_findings else []
        left = [c for c in left if c not in named]
        mine = (
            tuple(named) if "finding" in read.frame.columns else ()
        )  # else the table of findings of this file names it
        used.update(left, mine)
        files.append((file, replace(read, unused=tuple(left), findings_like=mine)))
    return files


def account_of_files(understood: Sequence[tuple[Any, layouts.Read]]) -> pl.DataFrame:
    """What was left out or changed when the files were read, each row with the name of its file."""
    rows: dict[tuple[str, str], Dropped] = {}
    found = [(file, row) for file, read in understood for row in (*_unused(read), *read.dropped)]
    for file, row in sorted(found, key=lambda pair: pair[1].reason.codes[0].name not in _LOUD):
        reason = codes.note("reason_of_file", file=file.name, reason=str(row.reason), kind=row.reason.codes[0].name)
        before = rows.get((row.unit, reason))  # files of one name in two folders: counted together
        rows[row.unit, reason] = replace(row, reason=reason, count=row.count + (before.count if before else 0))
    return account_frame(TABLES, list(rows.values()))


def _unused(read: layouts.Read) -> list[Dropped]:
    """The columns of a file that were not used, all by name: those that look like findings apart."""
    named = (("findings_not_stated", read.findings_like), ("columns_not_used", read.unused))
    return [Dropped("columns", codes.note(note), len(names), "; ".join(names)) for note, names in named if names]


def account_sentences(account: pl.DataFrame) -> list[str]:
    """What was left out when the tables were read and matched, in sentences."""
    rows = account.filter(pl.col("stage").is_in([TABLES, UNMATCHED])).iter_rows(named=True)
    shown = [(r, f" ({r['examples']})" if r["examples"] else "") for r in rows]
    return [f"{tables.counted(r['count'], r['unit'])}, {r['reason']}{examples}." for r, examples in shown]


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
    faults = ledger.faults(folder / head["file"], head) if head else []
    return [*said, *account_sentences(account), *sentences(account), *faults]
