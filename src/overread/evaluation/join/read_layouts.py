"""Readers of tables of reads: long, wide (one column per finding), boxes, and files of one reader each."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from overread import codes, tables
from overread.datasets.fields.vindr_classes import CLASSES
from overread.errors import InputError, did_you_mean
from overread.evaluation.join.account import TABLES, Dropped, examples_of
from overread.evaluation.join.column_names import (
    MEANINGS,
    FindingWords,
    find,
    find_any,
    finding_of,
    finding_words,
    plain,
    renamed,
    renamed_for_one,
)
from overread.evaluation.join.label_states import (
    WORDS,
    examples,
    findings_like,
    missing_as_null,
    spelt,
    state,
    without_missing,
)
from overread.evaluation.join.layouts import (
    Given,
    Read,
    Spellings,
    as_named,
    distinct_rows,
    long_rows,
    name_of_file,
    unpivoted_rows,
)
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.tables.frames import NamedFrame

UNAIDED = "unaided"  # the arm of reads without an arm
_BOXES = (("xmin", "ymin", "xmax", "ymax"), ("x", "y", "width", "height"))
_ARMS = ("modality", "treatment", "technique", "test", "condition")  # what the column of arms may be called
_NOTHING = "no_finding"  # what a row without a box may name


def reads(
    path: Given,
    *,
    name: str = "",
    spellings: Spellings | None = None,
    vocabulary: Vocabulary | None = None,
    only: str = "",
) -> Read:
    """Read reads in long (reader, case_id, finding, arm, round, score, call) or wide layout, or from boxes.

    A wide file has one read per row: columns for the image or case and the reader, optionally arm and round, and one
    column per finding with calls (coded as labels) or graded scores: numbers that are not all 1, 0 or -1. A table of
    boxes has one box per row, with the reader, the class (`class_name`) and four coordinates: a reader calls a finding
    present with a box of it, and absent without one in every image of which the reader has a row.

    A file without a column of readers is that of one reader, `name` or the name of the file. In a file with readers and
    without arms `name` is the arm, "unaided" without it. Without a round column, repeated reads of a case are numbered
    1, 2, … in the order of the rows; with one, exact duplicates of a row are dropped. A file that names no finding is
    of the finding `only` (reader, case, score). Without a column of arms, `modality`, `treatment`, `technique`, `test`
    or `condition` is that column if a reader read a case under several of its values.
    """
    file, given, known = tables.load(path), spellings or {}, vocabulary or load_vocabulary()
    words = finding_words(known, given.get("finding"))
    notes: list[tables.Note] = []
    one = renamed_for_one(file.frame.columns, "reads", path, words, only)
    arms = _arm_of_several(file.frame, path)
    frame, dropped = _named(file.frame.rename(one | arms), path, name)
    corners = _corners(frame, path)
    if corners:
        long, columns, unused, left = _of_boxes(frame, path, _with_classes(words, known), corners)
        long = tables.identify(long, "reads", where=path, notes=notes)
    else:
        if find(frame.columns, "round", path):
            frame, left = distinct_rows(frame, "reads")
            dropped += left
        read = _of_long if find(frame.columns, "finding", path) else _of_wide
        long, columns, unused, left = read(frame, path, words, given.get("call"), notes)
    checked = tables.check(long, "reads", where=path, vocabulary=known)
    columns = as_named(columns, one | arms, file.frame)
    like = findings_like(file.frame, columns, "reads")
    return Read(checked, unused, columns, file.dialect, (*dropped, *left), tuple(notes), like)


def _arm_of_several(frame: pl.DataFrame, path: Given) -> dict[str, str]:
    """Return the column of arms under another name: the same reader read the same case under several of its values."""
    if find(frame.columns, "arm", path):
        return {}
    unit = find(frame.columns, "case_id", path) or find(frame.columns, "image_id", path)
    reader = find(frame.columns, "reader", path)
    for column in (c for c in frame.columns if plain(c).removesuffix("id") in _ARMS and unit and reader):
        if frame.group_by(reader, unit).agg(pl.col(column).n_unique().alias("n"))["n"].max() > 1:  # type: ignore[operator]
            return {column: "arm"}
    return {}


def _named(frame: pl.DataFrame, path: Given, name: str) -> tuple[pl.DataFrame, list[Dropped]]:
    """Return the file with a reader and an arm in every row; `name` is the one that has no column."""
    reader, arm = find(frame.columns, "reader", path), find(frame.columns, "arm", path)
    if reader and arm and name:
        do = "Leave the name out."
        raise InputError(path, f"a file without readers or without arms, named '{name}'", "columns of both", do=do)
    dropped = []
    if not reader:
        near = [c for c in frame.columns if did_you_mean(c, [n for tier in MEANINGS["reader"] for n in tier])]
        if near or (not name and isinstance(path, NamedFrame)):
            find_any(near or frame.columns, ("reader",), path, "the reader ('reader' or 'Reader ID')")
        reader = name or name_of_file(path)
        frame = frame.with_columns(pl.lit(reader).alias("reader"))
        _once_per_case(frame, path)
        reason = codes.note("reader_is_file", reader=reader)
        dropped.append(Dropped("rows", reason, frame.height, stage=TABLES))
        name = ""
    return (frame if arm else frame.with_columns(pl.lit(name or UNAIDED).alias("arm"))), dropped


def _once_per_case(frame: pl.DataFrame, path: Given) -> None:
    """Refuse a file of one reader with several rows for a case: it may be of several readers."""
    if _corners(frame, path) or find(frame.columns, "round", path):
        return
    unit = find(frame.columns, "case_id", path) or find(frame.columns, "image_id", path)
    keys = [c for c in (unit, find(frame.columns, "arm", path), find(frame.columns, "finding", path)) if c]
    repeats = frame.filter(pl.struct(keys).is_duplicated()) if unit else frame.clear()
    if repeats.height:
        raise InputError(
            path,
            "a column that names the reader ('reader' or 'Reader ID'), or one row per case of one reader",
            f"no such column, and {repeats.height:,} rows of cases that repeat",
            examples=examples_of(repeats, keys).split("; "),
            do="Name the column of readers 'reader'; number the repeated reads of one reader in a column 'round'.",
        )


def _of_long(
    frame: pl.DataFrame, path: Given, words: FindingWords, calls: Mapping[str, str] | None, notes: list[tables.Note]
) -> tuple[pl.DataFrame, dict[str, str], tuple[str, ...], list[Dropped]]:
    long, columns, unused = long_rows(frame, "reads", path, words)
    long = tables.identify(long, "reads", where=path, notes=notes)  # before repeated reads are counted
    long = _counted(long, ["reader", "case_id", "finding", "arm"])
    if "call" in long.columns:
        with_state = long.with_columns(spelt("call", calls).alias("said"))
        long = with_state.with_columns(pl.coalesce(state(), missing_as_null()).alias("call")).drop("said")
    return long, columns, unused, []


def _of_wide(
    frame: pl.DataFrame, path: Given, words: FindingWords, calls: Mapping[str, str] | None, notes: list[tables.Note]
) -> tuple[pl.DataFrame, dict[str, str], tuple[str, ...], list[Dropped]]:
    keys = {find_any(frame.columns, ("case_id", "image_id"), path, "a case or an image per row"): "case_id"}
    keys |= renamed(frame.columns, ("reader", "arm", "round"), path)
    frame = tables.identify(frame.rename(keys), "reads", where=path, notes=notes)
    frame = _counted(frame, ["reader", "case_id", "arm"])
    own = {new: new for new in keys.values()} | {"round": "round"}
    long, columns, unused = unpivoted_rows(frame, "reads", path, own, words)
    columns = keys | {c: meaning for c, meaning in columns.items() if c not in own}
    long, dropped = without_missing(long.with_columns(spelt("said", calls)), "reads")
    return _answers(long, path).drop("said"), columns, unused, dropped


def sittings(path: Given) -> Read:
    """Read sittings: one row per case that a reader read (reader, case_id, arm, round, seconds, trust, role, …)."""
    file = tables.load(path)
    notes: list[tables.Note] = []
    long, columns, unused = long_rows(file.frame, "sittings", path, finding_words(load_vocabulary(), None))
    long = _counted(tables.identify(long, "sittings", where=path, notes=notes), ["reader", "case_id", "arm"])
    checked = tables.check(long, "sittings", where=path)
    return Read(checked, unused, columns, file.dialect, (), tuple(notes))


def _counted(frame: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Number repeated reads in the order of the rows if there is no round column."""
    if "round" in frame.columns or not set(key) <= set(frame.columns):
        return frame
    return frame.with_columns((pl.int_range(pl.len()).over(key) + 1).cast(pl.Int32).alias("round"))


def _answers(long: pl.DataFrame, path: Given) -> pl.DataFrame:
    """Derive call and score from the cells; a column of numbers is graded if any number in it is."""
    number = pl.col("said").cast(pl.Float64, strict=False)
    numeric = number.is_not_null() & number.is_finite()
    grade = numeric & ~number.is_in([-1.0, 0.0, 1.0])
    graded = long.filter(grade).height > 0
    scored = numeric.all().over("finding") if graded else pl.lit(False)
    negative = long.filter(numeric & (number < 0))["said"].cast(pl.Float64)
    if graded and negative.len() and (negative == -1).all():
        odd = long.filter(grade)
        found = f"-1 (uncertain) beside {odd.height:,} other numbers"
        raise InputError(path, "calls (1, 0, -1) or graded scores, not both", found, examples=examples(odd))
    _refuse_mixed(long, grade, state().is_not_null() & ~numeric, path)
    long = long.with_columns(pl.when(~scored).then(state()).alias("call"), pl.when(scored).then(number).alias("score"))
    wrong = long.filter(pl.col("call").is_null() & pl.col("score").is_null())
    if wrong.height:
        expected = f"{WORDS} or nothing in a finding's column, or finite numbers in the whole of it"
        do = tables.number_advice(wrong["said"]) or "Say what your own words mean: evaluation.spellings.call."
        raise InputError(path, expected, f"{wrong.height:,} other values", examples=examples(wrong), do=do)
    return long


def _refuse_mixed(long: pl.DataFrame, grade: pl.Expr, word: pl.Expr, path: Given) -> None:
    """Refuse a column that holds grades and calls: a call has no place on the scale of the grades."""
    mixed = long.filter(grade.any().over("finding") & word.any().over("finding"))
    if mixed.height:
        grades, calls = mixed.filter(grade), mixed.filter(word)
        raise InputError(
            path,
            "calls or grades in a finding's column, not both",
            f"{grades.height:,} grades and {calls.height:,} calls",
            examples=[*examples(grades)[:2], *examples(calls)[:2]],
            do="Give grades in every cell, or calls; a long table has a column for each (score, call).",
        )


def _corners(frame: pl.DataFrame, path: Given) -> tuple[str, ...]:
    """Return the four columns of the boxes; () in a table without boxes, or with answers of its own."""
    if not find(frame.columns, "finding", path) or renamed(frame.columns, ("call", "score", "state"), path):
        return ()
    by_name = {plain(c): c for c in frame.columns}
    return next((tuple(by_name[n] for n in names) for names in _BOXES if set(names) <= set(by_name)), ())


def _with_classes(words: FindingWords, vocabulary: Vocabulary) -> FindingWords:
    """Add the classes of VinDr-CXR that the vocabulary does not name, such as rib fracture."""
    names = {plain(c): f for c, f in CLASSES.items() if f in vocabulary.names()}
    return FindingWords(names | dict(words.names), words.written)


def _of_boxes(
    frame: pl.DataFrame, path: Given, words: FindingWords, corners: tuple[str, ...]
) -> tuple[pl.DataFrame, dict[str, str], tuple[str, ...], list[Dropped]]:
    """Return a call per reader, image and finding of the table: present with a box of the finding, else absent."""
    frame, dropped = distinct_rows(frame, "reads")
    keys = {find_any(frame.columns, ("case_id", "image_id"), path, "a case or an image per row"): "case_id"}
    keys |= renamed(frame.columns, ("reader", "arm", "round"), path)
    own = list(keys.values())
    named = find(frame.columns, "finding", path)
    rows = frame.select(
        *(pl.col(c).alias(new) for c, new in keys.items()),
        spelt(named, None).alias("said"),
        pl.all_horizontal(spelt(c, None).cast(pl.Float64, strict=False).is_not_null() for c in corners).alias("box"),
    ).with_columns(missing_as_null().alias("said"))
    findings = _findings_of_classes(rows["said"].drop_nulls().unique().sort().to_list(), path, words)
    rows = rows.with_columns(pl.col("said").replace_strict(findings, default="").alias("finding"))
    _refuse_unboxed(rows, own, path)
    known = sorted({f for f in findings.values() if f})
    present = rows.filter(pl.col("finding") != "").select(*own, "finding", pl.lit("present").alias("call")).unique()
    every = rows.select(own).unique(maintain_order=True).join(pl.DataFrame({"finding": known}), how="cross")
    long = every.join(present, on=[*own, "finding"], how="left").with_columns(pl.col("call").fill_null("absent"))
    reason = codes.note("boxes_are_calls", answers=long.height)
    dropped.append(Dropped("boxes", reason, int(rows["box"].sum()), "; ".join(known), TABLES))
    if without := [c for c, f in findings.items() if not f]:
        boxes = rows.filter(pl.col("said").is_in(without)).height
        dropped.append(
            Dropped("classes", codes.note("classes_not_stated", boxes=boxes), len(without), "; ".join(without), TABLES)
        )
    columns = keys | {named: "finding"} | dict.fromkeys(corners, "box")
    return long, columns, tuple(c for c in frame.columns if c not in columns), dropped


def _findings_of_classes(classes: list[str], path: Given, words: FindingWords) -> dict[str, str]:
    """Return the finding of each class, "" for one that the vocabulary lacks; a near spelling is refused."""
    findings = {c: finding_of(c, "reads", words) for c in classes}
    problems = [
        InputError(
            path, "classes that are findings", f"'{c}'", do=f'{hint} A finding of its own: --extra-findings "{c}".'
        )
        for c, finding in findings.items()
        if not finding and (hint := did_you_mean(c, words.written))
    ]
    if not any(findings.values()) and not problems:
        do = f'State the study\'s own findings: --extra-findings "{classes[0]}".' if classes else ""
        problems.append(
            InputError(path, "classes that are findings of the vocabulary", "none", examples=classes, do=do)
        )
    if problems:
        raise InputError.all(problems)
    return findings


def _refuse_unboxed(rows: pl.DataFrame, keys: list[str], path: Given) -> None:
    """Refuse a class without a box, which may mean present as well as absent; "no finding" has none."""
    lone = rows.filter(pl.col("said").is_not_null() & ~pl.col("box") & (pl.col("finding") != _NOTHING))
    if lone.height:
        raise InputError(
            path,
            "a box (four numbers) in every row of a finding",
            f"{lone.height:,} rows without",
            examples=examples_of(lone, [*keys, "said"]).split("; "),
            do="An image that was read without findings has one row, of the class 'No finding' or of none.",
        )
