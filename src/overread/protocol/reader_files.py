"""Tables of reads: several files as one, and reads as the arrays of the statistics of reader studies."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import codes, tables
from overread.errors import InputError, did_you_mean
from overread.evaluation import EvaluationConfig
from overread.evaluation.join import layouts, read_layouts
from overread.evaluation.join.account import Dropped, account_frame, examples_of
from overread.evaluation.join.reference_standards import decided
from overread.findings import Vocabulary
from overread.protocol.input_tables import configured, stacked_labels
from overread.tables.frames import Table, input_of, inputs_of


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReaderArrays:
    """Reads of one finding as arrays, for the statistics of reader studies.

    Attributes
    ----------
    y : ndarray of bool, shape (n_cases,)
        The reference standard; True = present.
    scores : ndarray of float64, shape (n_arms, n_readers, n_cases)
        Grades, or calls as 1 (present) and 0 (absent); NaN = not read.
    arms, readers, cases : tuple of str
        The names along the axes of `scores`.
    cluster : ndarray of intp, shape (n_cases,), or None
        The code of the patient of each case; None without images: every case is then a cluster of its own.
    graded : bool
        Whether the scores are grades; otherwise they are calls.
    account : DataFrame
        What was left out or recoded, with counts and examples: the table `account`.
    """

    y: NDArray[np.bool_]
    scores: NDArray[np.float64]
    arms: tuple[str, ...]
    readers: tuple[str, ...]
    cases: tuple[str, ...]
    cluster: NDArray[np.intp] | None
    graded: bool
    account: pl.DataFrame

    def __repr__(self) -> str:
        kind = "grades" if self.graded else "calls"
        patients = "" if self.cluster is None else f" of {np.unique(self.cluster).size:,} patients"
        head = (
            f"Reader arrays: {len(self.arms)} arms ({', '.join(self.arms)}), {len(self.readers):,} readers, "
            f"{len(self.cases):,} cases{patients}, {int(self.y.sum()):,} present; {kind}, "
            f"{int(np.isnan(self.scores).sum()):,} cells not read"
        )
        account = self.account.select("count", "unit", "reason").rows()
        return "\n".join([head, *(f"  {tables.counted(n, unit)}: {reason}" for n, unit, reason in account)])


def read_arrays(
    reads: Table | Sequence[Table] | Mapping[str, Table],
    labels: Table | Sequence[Table] | Mapping[str, Table],
    images: Table | None = None,
    *,
    finding: str,
    arms: Sequence[str] = (),
    extra_findings: str | Path | Sequence[str | Path] = (),
    **settings: Any,
) -> ReaderArrays:
    """Turn tables of reads and labels into the arrays of the statistics of reader studies.

    Parameters
    ----------
    reads, labels : path or frame, or several
        The tables, as for `evaluate`.
    images : path or frame, optional
        The table of images, which names the patient of each case.
    finding : str
        The finding, by name, title or synonym.
    arms : sequence of str
        The arms in the order of the arrays; () = all arms, "unaided" first.
    extra_findings : text, path, or sequence of them
        Findings of the study's own, as for `evaluate`.
    **settings
        Fields of EvaluationConfig: `reference` (the label source), `uncertain` (labels), `uncertain_calls` (calls of
        readers; "ignore" = NaN), `spellings`, `vocabulary`.

    Returns
    -------
    ReaderArrays
        Truth, scores, names along the axes, patients, and the account of what was left out.

    Raises
    ------
    InputError
        Invalid tables, a finding or an arm without reads, several label sources without `reference`, calls beside
        grades, no case with a truth.

    Notes
    -----
    Cases are those with a truth and at least one read, in the order of their names. Of repeated reads of a reader, case
    and arm the first round is used. Grades are used if the reads of the finding are graded, otherwise calls.

    Examples
    --------
    >>> import polars as pl
    >>> import overread as ov
    >>> cases = [f"c{i}" for i in range(6)]
    >>> labels = pl.DataFrame({"case_id": cases, "Effusion": [1, 1, 1, 0, 0, 0]})
    >>> grades = {("r1", "a"): "543211", ("r1", "b"): "443122", ("r2", "a"): "355211", ("r2", "b"): "253121"}
    >>> rows = [(c, r, a, int(g)) for (r, a), row in grades.items() for c, g in zip(cases, row, strict=True)]
    >>> reads = pl.DataFrame(rows, schema=["case_id", "reader", "arm", "Effusion"], orient="row")
    >>> arrays = ov.read_arrays(reads, labels, finding="Effusion")
    >>> arrays
    Reader arrays: 2 arms (a, b), 2 readers, 6 cases, 3 present; grades, 0 cells not read
    >>> arrays.scores[1, 0]  # arm b, reader r1
    array([4., 4., 3., 1., 2., 2.])
    >>> round(ov.stats.compare_arms(arrays.y, arrays.scores, cluster=arrays.cluster).arms[1].value, 3)
    0.972
    """
    config = configured(None, settings, extra_findings, "read_arrays")
    name = config.vocabulary.resolve(finding)
    words: dict[str, Any] = {"spellings": config.spellings, "vocabulary": config.vocabulary, "only": name}
    named = inputs_of(reads, "reads", source=True)
    answers = stacked_reads([(f, read_layouts.reads(f, name=n, **words)) for n, f in named], config.vocabulary)
    stated = [(f, layouts.labels(f, source=n, **words)) for n, f in inputs_of(labels, "labels", source=True)]
    dropped: list[Dropped] = []
    answers, graded = _values(_of_finding(answers, name), config, dropped)
    truth = _truth(stacked_labels(stated, config.vocabulary), name, config)
    truth = _with_patients(truth, images, config, dropped)
    lone = answers.join(truth, on="case_id", how="anti").select("case_id").unique().sort("case_id")
    if lone.height:
        dropped.append(Dropped("cases", codes.note("read_without_truth"), lone.height, examples_of(lone, ["case_id"])))
    both = answers.join(truth, on="case_id", how="semi")
    if both.is_empty():
        do = tables.spelling_hint(answers["case_id"], truth["case_id"]) or "Check that both name cases alike."
        raise InputError(
            "read_arrays", f"reads of cases with a truth of {name}", "none", examples=lone["case_id"].head(5), do=do
        )
    return _arrays(both, truth.sort("case_id"), _arms(both, arms), graded, account_frame("read_arrays", dropped))


def _of_finding(reads: pl.DataFrame, finding: str) -> pl.DataFrame:
    """The first reads of a finding; repeated reads are left out."""
    mine = reads.with_columns(pl.col("finding").cast(pl.String), pl.col("call").cast(pl.String)).filter(finding=finding)
    if mine.is_empty():
        known = reads["finding"].cast(pl.String).unique().sort()
        raise InputError(
            "read_arrays", f"reads of {finding}", "none", examples=known, do="The reads are of these findings."
        )
    return mine


def _values(reads: pl.DataFrame, config: EvaluationConfig, dropped: list[Dropped]) -> tuple[pl.DataFrame, bool]:
    """The first read of each reader, case and arm with its value, and whether the values are grades."""
    key = ["reader", "case_id", "arm"]
    first = reads.sort("round").unique(key, keep="first", maintain_order=True)
    if again := reads.height - first.height:
        shown = examples_of(reads.filter(pl.struct(key).is_duplicated()), key)
        dropped.append(Dropped("reads", codes.note("repeated_read_left_out"), again, shown))
    graded = bool(first["score"].is_not_null().any())
    if graded:
        ungraded = first.filter(pl.col("score").is_null())
        if ungraded.height:
            raise InputError(
                "read_arrays",
                "a grade in every read, or in none",
                f"{ungraded.height:,} without",
                examples=examples_of(ungraded, key).split("; "),
            )
        return first.select(*key, pl.col("score").cast(pl.Float64).alias("value")), True
    unsure = first.filter(pl.col("call") == "uncertain")
    recoded = {"absent": 0.0, "present": 1.0, "ignore": None}[config.uncertain_calls]
    if unsure.height:
        reason = codes.note("uncertain_calls_are", state="not read" if recoded is None else config.uncertain_calls)
        dropped.append(Dropped("reads", reason, unsure.height, examples_of(unsure, key)))
    value = pl.col("call").replace_strict(
        {"present": 1.0, "absent": 0.0, "uncertain": recoded}, return_dtype=pl.Float64
    )
    return first.select(*key, value.alias("value")).drop_nulls("value"), False


def _truth(labels: pl.DataFrame, finding: str, config: EvaluationConfig) -> pl.DataFrame:
    """The truth of each case by the label source that the configuration names, or the only one."""
    mine = labels.with_columns(pl.col("finding").cast(pl.String), pl.col("source").cast(pl.String)).filter(
        finding=finding
    )
    sources = mine["source"].unique().sort().to_list()
    wanted = list(config.sources) or sources
    unknown = [s for s in wanted if s not in sources]
    if unknown or not sources:
        do = did_you_mean(unknown[0], sources) if unknown else ""
        found = f"sources {', '.join(sources)}" if sources else "none"
        raise InputError(
            "read_arrays", f"labels of {finding}" + (f" by '{unknown[0]}'" if unknown else ""), found, do=do
        )
    chosen = mine.filter(pl.col("source").is_in(wanted))
    if chosen["case_id"].is_duplicated().any():
        do = "State which is the reference standard: reference=..."
        raise InputError("read_arrays", "one label per case", "several sources", examples=wanted, do=do)
    return decided(chosen, config).select("case_id", "truth")


def _with_patients(
    truth: pl.DataFrame, images: Table | None, config: EvaluationConfig, dropped: list[Dropped]
) -> pl.DataFrame:
    """The truth with the patient of each case; cases that the images lack are left out."""
    if images is None:
        return truth.with_columns(pl.lit(None, pl.String).alias("patient_id"))
    frame = layouts.images(input_of(images, "images"), spellings=config.spellings).frame
    owners = frame.select("case_id", "patient_id").unique()
    if owners["case_id"].is_duplicated().any():
        several = owners.filter(pl.col("case_id").is_duplicated())["case_id"].unique().sort()
        raise InputError("images", "one patient per case", f"{several.len():,} cases of several", examples=several)
    lost = truth.join(owners, on="case_id", how="anti").sort("case_id")
    if lost.height:
        dropped.append(
            Dropped("labels", codes.note("label_without_image"), lost.height, examples_of(lost, ["case_id"]))
        )
    return truth.join(owners, on="case_id")


def _arms(reads: pl.DataFrame, wanted: Sequence[str]) -> list[str]:
    known = sorted(reads["arm"].unique(), key=lambda a: (a != read_layouts.UNAIDED, a))
    for arm in [wanted] if isinstance(wanted, str) else wanted:
        if arm not in known:
            do = did_you_mean(arm, known)
            raise InputError("read_arrays", f"reads in the arm '{arm}'", f"arms {', '.join(known)}", do=do)
    return [wanted] if isinstance(wanted, str) else list(wanted) or known


def _arrays(
    reads: pl.DataFrame, truth: pl.DataFrame, arms: list[str], graded: bool, account: pl.DataFrame
) -> ReaderArrays:
    reads = reads.filter(pl.col("arm").is_in(arms))
    truth = truth.join(reads, on="case_id", how="semi")
    readers, cases = reads["reader"].unique().sort().to_list(), truth["case_id"].to_list()
    places = [
        reads[column].replace_strict(levels, range(len(levels)), return_dtype=pl.Int64).to_numpy()
        for column, levels in (("arm", arms), ("reader", readers), ("case_id", cases))
    ]
    scores = np.full((len(arms), len(readers), len(cases)), np.nan)
    scores[tuple(places)] = reads["value"].to_numpy()
    named = truth["patient_id"]
    cluster = None if named.null_count() else np.unique(named.to_numpy(), return_inverse=True)[1].astype(np.intp)
    return ReaderArrays(
        truth["truth"].to_numpy(), scores, tuple(arms), tuple(readers), tuple(cases), cluster, graded, account
    )


def stacked_reads(read: Sequence[tuple[Any, layouts.Read]], vocabulary: Vocabulary) -> pl.DataFrame:
    """The reads of all files; a reader, case and finding in two of them, or calls beside grades, are refused."""
    nameless = [f.name.split(".")[0] for f, r in read if "reader" not in r.columns.values()]
    alike = sorted({s for s in nameless if nameless.count(s) > 1})
    if alike and len({str(f) for f, _ in read}) == len(read):
        do = "A file without a column of readers is named as its reader is: give NAME=FILE, or add the column."
        raise InputError("reads", "files of different names", "files with the same name", examples=alike, do=do)
    own = tables.schema("reads").column_names()
    parts = [r.frame.select(own).with_columns(pl.lit(str(f)).alias("file")) for f, r in read]
    whole = pl.concat(parts, how="vertical_relaxed") if len(read) > 1 else read[0][1].frame
    problems = [*_read_twice(whole), *_calls_and_grades(whole)]
    if problems:
        raise InputError.all(problems)
    if len(read) == 1:
        return whole
    return tables.check(whole.drop("file"), "reads", where="reads", vocabulary=vocabulary)


def _read_twice(reads: pl.DataFrame) -> list[InputError]:
    """Refuse a read that stands in two files: a repeated read has a round of its own, another reader another name."""
    key = ["reader", "case_id", "arm", "round"]
    if "file" not in reads.columns:
        return []
    twice = (
        reads.group_by(*key, "finding")
        .agg(pl.col("file").unique(maintain_order=True))
        .filter(pl.col("file").list.len() > 1)
    )
    if twice.is_empty():
        return []
    cases = pl.struct("case_id", "arm", "round")
    shown = twice.group_by("reader", "file").agg(cases.n_unique().alias("n"), pl.col("case_id").min()).sort("reader")
    return [
        InputError(
            "reads",
            "a read in one file only",
            f"{twice.select(key).n_unique():,} reads in several",
            examples=[
                f"{n:,} by {reader}, such as of case {case}, in {' and '.join(_apart(files))}"
                for reader, files, n, case in shown.head(5).rows()
            ],
            do="Rename one of two readers of one name; give repeated reads a column 'round', arms a column 'arm'.",
        )
    ]


def _apart(files: Sequence[str]) -> list[str]:
    """Return the names of files without the folders that they share: the end is what tells them apart."""
    if not all(os.path.isabs(file) for file in files):
        return list(files)
    folder = os.path.commonpath([os.path.dirname(file) for file in files])
    return [os.path.relpath(file, folder) for file in files]


def _calls_and_grades(reads: pl.DataFrame) -> list[InputError]:
    """Refuse a finding for which one reader gives calls and another grades: they have no scale in common."""
    kinds = reads.group_by(pl.col("finding").cast(pl.String), "reader").agg(
        pl.col("call").is_not_null().any().alias("calls"), pl.col("score").is_not_null().any().alias("grades")
    )
    problems = []
    for (finding,), mine in sorted(kinds.partition_by("finding", as_dict=True).items()):
        called = mine.filter(pl.col("calls") & ~pl.col("grades"))["reader"].sort()
        graded = mine.filter(pl.col("grades") & ~pl.col("calls"))["reader"].sort()
        if called.len() and graded.len():
            problems.append(
                InputError(
                    f"reads of {finding}",
                    "calls of every reader, or grades of every reader",
                    f"calls (present, absent) of {called.len():,} readers and grades of {graded.len():,}",
                    examples=[*(f"{r}: calls" for r in called[:2]), *(f"{r}: grades" for r in graded[:2])],
                    do="Give the grades of all (a long table has a column 'score'), or turn grades into calls.",
                )
            )
    return problems
