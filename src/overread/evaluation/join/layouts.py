"""Readers of input tables in long or wide layout (one row per image, one column per finding).

Columns are recognised by name (`column_names`), words by meaning (`label_states`). A column with a name similar to that
of a finding is refused; a column of unknown meaning is not used and is listed. Exact duplicates of a row are dropped
and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from overread import codes, tables
from overread.datasets.fields import normalise
from overread.errors import InputError, did_you_mean
from overread.evaluation.join.account import TABLES, Dropped, examples_of
from overread.evaluation.join.column_names import (
    MEANINGS,
    FindingWords,
    find,
    find_any,
    finding_columns,
    finding_words,
    plain,
    renamed,
    renamed_for_one,
)
from overread.evaluation.join.label_states import (
    WORDS,
    column_of_lists,
    decided_columns,
    decision_advice,
    decision_numbers,
    examples,
    findings_like,
    spelt,
    state,
    unlisted,
    unscored,
    without_missing,
)
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.tables.frames import NamedFrame

Given = Path | str | NamedFrame
Spellings = Mapping[str, Mapping[str, str]]
_WORDS_OF_TABLES = ("state", "call", "finding")  # spellings of labels, reads and all tables of findings
_IMAGES = ("image_id", "case_id", "patient_id", "site", "age_years", "sex", "view")


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A table, and how its file was interpreted.

    unused: columns that were not used. columns: the meaning of each column. dialect: departures of the text from UTF-8
    with commas. dropped: what was left out or changed. notes: changes of identifiers. findings_like: those of the
    unused columns whose cells look like those of a finding.
    """

    frame: pl.DataFrame
    unused: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    dialect: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[tables.Note, ...] = ()
    findings_like: tuple[str, ...] = ()


def images(path: Given, *, spellings: Spellings | None = None) -> Read:
    """Read the images table, with column names of overread or of public data sets ("Image Index", "StudyInstanceUID",
    …).

    Without a site column all images are of one site, "". A file with cases and without images has one image per case.
    Further columns are kept, since they may define subgroups. View, sex, age and date are normalised as for a cohort.
    """
    file = tables.load(path)
    frame, dropped = distinct_rows(file.frame, "images")
    meanings = renamed(frame.columns, _IMAGES, path)
    if "image_id" not in meanings.values() and "case_id" not in meanings.values():
        find_any(frame.columns, ("image_id", "case_id"), path, "an image per row ('image_id' or 'Image Index')")
    frame = frame.rename(meanings)
    if "image_id" not in frame.columns:
        frame = frame.with_columns(pl.col("case_id").alias("image_id"))
    if "patient_id" not in frame.columns:
        raise InputError(
            path,
            "a column 'patient_id' (or 'Patient ID')",
            f"columns {', '.join(file.frame.columns)}",
            do="Intervals depend on which images are of the same patient: rename the column.",
        )
    if "site" not in frame.columns:
        frame = frame.with_columns(pl.lit("").alias("site"))
    frame = _folded(_respelt(frame, spellings or {}, path), path)
    notes: list[tables.Note] = []
    made = tables.check(frame, "images", where=path, notes=notes)
    own = set(tables.schema("images").column_names()) | {normalise.NOTE}
    extra = tuple(c for c in made.columns if c not in own)
    columns = {c: meanings.get(c, c) for c in file.frame.columns if meanings.get(c, c) in own}
    return Read(made, extra, columns, file.dialect, tuple(dropped), tuple(notes))


def _respelt(frame: pl.DataFrame, spellings: Spellings, path: Given) -> pl.DataFrame:
    for name, words in spellings.items():
        if name in _WORDS_OF_TABLES:
            continue
        if name not in frame.columns:
            hint = did_you_mean(name, frame.columns)
            raise InputError(path, f"a column '{name}', which spellings refer to", "none", do=hint)
        frame = frame.with_columns(spelt(name, words).alias(name))
    return frame


def _folded(frame: pl.DataFrame, path: Given) -> pl.DataFrame:
    """Normalise view, sex, age and date; values that were not recognised are noted in `source_note`."""
    text = [c for c in ("view", "sex", "age_years", "acquired") if c in frame.columns]
    frame = frame.with_columns(pl.col(text).cast(pl.String))
    problems: list[InputError] = []
    if "view" in text:
        frame = normalise.views(frame)
    if "sex" in text:
        frame, found = normalise.sexes(frame, path)
        problems += found
    if "age_years" in text:
        frame, found = normalise.ages(frame, path)
        problems += found
    if problems:
        raise InputError.all(problems)
    if "acquired" in text:
        frame = normalise.dates(frame, "acquired", path)
    noted = normalise.NOTE in frame.columns and frame[normalise.NOTE].null_count() < frame.height
    return frame if noted else frame.drop(normalise.NOTE, strict=False)


def labels(
    path: Given,
    *,
    source: str = "",
    spellings: Spellings | None = None,
    vocabulary: Vocabulary | None = None,
    only: str = "",
) -> Read:
    """Read labels in long (case_id, finding, source, state) or wide layout; `source` is used if there is no such
    column.

    The rows of a wide file are images; if it has a case column (case_id, Study), they are cases. Its column `source` is
    used if present. Instead of a column per finding, one column may list the findings of the image
    ("Cardiomegaly|Emphysema"). A file that names no finding is of the finding `only` (case, truth).
    """
    file, given, known = tables.load(path), spellings or {}, vocabulary or load_vocabulary()
    frame, dropped = distinct_rows(file.frame, "labels")
    words = finding_words(known, given.get("finding"))
    notes: list[tables.Note] = []
    one = renamed_for_one(frame.columns, "labels", path, words, only)
    frame = frame.rename(one)
    long_form = bool(find(frame.columns, "finding", path)) or "state" in frame.columns
    if long_form:
        long, columns, unused = long_rows(frame, "labels", path, words)
        long = tables.identify(long, "labels", where=path, notes=notes)
    else:
        key = find_any(frame.columns, ("case_id", "image_id"), path, "a case or an image per row")
        keys = {key: "case_id"} | renamed(frame.columns, ("source",), path)
        lists = column_of_lists(frame, path, words)
        frame, told = unlisted(frame, lists, path, words) if lists else (frame, [])
        dropped += told
        frame = _identified(frame, keys, "labels", path, notes)
        long, columns, unused = unpivoted_rows(frame, "labels", path, keys, words)
        columns = as_named(columns, one, file.frame) | ({lists: "findings"} if lists else {})
        long = long.rename({"said": "state"})
    if "source" not in long.columns:
        long = long.with_columns(pl.lit(source or name_of_file(path)).alias("source"))
    if "state" in long.columns:
        long = long.with_columns(spelt("state", given.get("state")).alias("said"))
        long, empty = without_missing(long, "labels")
        _refuse_strange(long.filter(state().is_null()), path, long_form=long_form, vocabulary=known)
        long = long.with_columns(state().alias("state")).drop("said")
        dropped += empty
    if not long_form:
        once = long.unique(maintain_order=True)  # a study's labels stand beside each of its images
        if once.height < long.height:
            reason = codes.note("labels_repeated")
            dropped.append(Dropped("labels", reason, long.height - once.height, stage=TABLES))
        long = once.select("case_id", "finding", "source", "state")
    checked = tables.check(long, "labels", where=path, vocabulary=known)
    like = findings_like(file.frame, columns, "labels")
    return Read(checked, unused, columns, file.dialect, tuple(dropped), tuple(notes), like)


def _refuse_strange(wrong: pl.DataFrame, path: Given, *, long_form: bool, vocabulary: Vocabulary) -> None:
    if wrong.height and long_form:
        said = wrong.with_columns(pl.col("said").alias("state"))
        tables.check(said, "labels", where=path, vocabulary=vocabulary)
    if wrong.height:
        do = "Say what your own words mean: evaluation.spellings.state."
        raise InputError(
            path,
            f"{WORDS} or nothing in a finding's column",
            f"{wrong.height:,} other values",
            examples=examples(wrong),
            do=do,
        )


def predictions(
    path: Given,
    *,
    model: str = "",
    spellings: Spellings | None = None,
    vocabulary: Vocabulary | None = None,
    only: str = "",
) -> Read:
    """Read scores in long (image_id or case_id, finding, model, score) or wide layout.

    A wide file has one row per image or case, model and shift; without a column `model` the file name is the model
    name. Decisions are read as scores of 1 and 0: a column `call` or `decision` of a long file without scores, and
    columns of a wide file with words (present, no, …) or with "call" or "decision" in their name. A file that names no
    finding is of the finding `only` (image_id, score).
    """
    file, given, known = tables.load(path), spellings or {}, vocabulary or load_vocabulary()
    frame, dropped = distinct_rows(file.frame, "predictions")
    words = finding_words(known, given.get("finding"))
    by_image = bool(find(frame.columns, "image_id", path)) or not find(frame.columns, "case_id", path)
    one = renamed_for_one(frame.columns, "predictions", path, words, only)
    frame = frame.rename(one)
    unit = "image_id" if by_image else "case_id"
    table = "predictions" if by_image else "case_predictions"
    notes: list[tables.Note] = []
    call = "" if find(frame.columns, "score", path) else find(frame.columns, "call", path)
    if renamed(frame.columns, ("finding", "score"), path):
        frame = frame.rename({call: "score"}) if call else frame
        long, columns, unused = long_rows(frame, table, path, words)
        columns = {call if call and c == "score" else c: meaning for c, meaning in columns.items()}
        long = tables.identify(long, table, where=path, notes=notes)
        if "score" in long.columns:
            is_empty = long["score"].is_null()  # an empty cell of a long file is refused
            long, empty = unscored(long, ["score"])
            long, dropped = long.filter(pl.col("score").is_not_null() | is_empty), dropped + empty
        if not call:
            _refuse_words(long, path)
        else:
            long = decision_numbers(long.rename({"score": call}), [call], path, given.get("call"))
            long = long.rename({call: "score"})
    else:
        key = find_any(frame.columns, (unit, "case_id"), path, "an image or a case per row")
        keys = {key: unit} | renamed(frame.columns, ("model", "shift"), path)
        frame = _identified(frame, keys, table, path, notes)
        _once(frame, list(keys), path)
        frame, empty = _scores(frame, path, keys, words, given.get("call"))
        long, columns, unused = unpivoted_rows(frame, "predictions", path, keys, words)
        columns = as_named(columns, one, file.frame)
        dropped += empty
        long = long.rename({"said": "score"}).drop_nulls("score")
    if "model" not in long.columns:
        long = long.with_columns(pl.lit(model or name_of_file(path)).alias("model"))
    if "shift" not in long.columns:
        long = long.with_columns(pl.lit("none").alias("shift"))
    checked = tables.check(long, table, where=path, vocabulary=known)
    like = findings_like(file.frame, columns, "predictions")
    return Read(checked, unused, columns, file.dialect, tuple(dropped), tuple(notes), like)


def as_named(columns: Mapping[str, str], one: Mapping[str, str], file: pl.DataFrame) -> dict[str, str]:
    """Return the meaning of the columns of a file under the names that they have in it."""
    own = {finding: column for column, finding in one.items()}
    return {own.get(c, c): meaning for c, meaning in columns.items() if own.get(c, c) in file.columns}


def regions(path: Given, *, vocabulary: Vocabulary | None = None) -> Read:
    """Read bounding boxes (image_id, finding, source, x, y, width, height), or such with corners (x_min, …, y_max).

    Of a table with corners the source is the reader if there is no such column, and rows without corners ("No finding")
    are no boxes.
    """
    file, known = tables.load(path), vocabulary or load_vocabulary()
    frame, dropped = distinct_rows(file.frame, "regions")
    frame, corners, left = _from_corners(frame, path)
    long, columns, unused = long_rows(frame, "regions", path, finding_words(known))
    columns = {c: meaning for c, meaning in columns.items() if c in file.frame.columns} | corners
    unused, dropped = tuple(c for c in unused if c not in corners), dropped + left
    notes: list[tables.Note] = []
    checked = tables.check(long, "regions", where=path, notes=notes, vocabulary=known)
    return Read(checked, unused, columns, file.dialect, tuple(dropped), tuple(notes))


def _from_corners(frame: pl.DataFrame, path: Given) -> tuple[pl.DataFrame, dict[str, str], list[Dropped]]:
    """Return boxes by place and size from two corners, the used columns, and the count of rows without a box."""
    by_name = {plain(c): c for c in frame.columns}
    names = [by_name.get(n, "") for n in ("xmin", "ymin", "xmax", "ymax")]
    if not all(names) or {"x", "y", "width", "height"} & set(frame.columns):
        return frame, {}, []
    numbers = frame.with_columns(pl.col(c).cast(pl.Float64, strict=False) for c in names)
    is_box = pl.all_horizontal(pl.col(c).is_not_null() for c in names)
    boxes, (x, y, right, bottom) = numbers.filter(is_box), names
    lost = frame.height - boxes.height
    boxes = boxes.with_columns(
        pl.col(x).alias("x"),
        pl.col(y).alias("y"),
        (pl.col(right) - pl.col(x)).alias("width"),
        (pl.col(bottom) - pl.col(y)).alias("height"),
    )
    used = dict.fromkeys(names, "box")
    reader = find(frame.columns, "reader", path)
    if reader and not find(frame.columns, "source", path):
        boxes, used = boxes.with_columns(pl.col(reader).alias("source")), used | {reader: "source"}
    keys = [c for m in ("image_id", "finding", "source") if (c := find(boxes.columns, m, path))]
    if "number" not in boxes.columns and len(keys) == 3:
        boxes = boxes.with_columns((pl.int_range(pl.len()).over(keys) + 1).cast(pl.Int32).alias("number"))
    return boxes, used, [Dropped("rows", codes.note("row_without_box"), lost, stage=TABLES)] if lost else []


def _scores(
    frame: pl.DataFrame,
    path: Given,
    keys: Mapping[str, str],
    words: FindingWords,
    calls: Mapping[str, str] | None,
) -> tuple[pl.DataFrame, list[Dropped]]:
    """Convert scores and decisions to numbers and count missing ones; columns with other text are refused, all in one
    error.
    """
    names, _ = finding_columns(frame.columns, "predictions", path, keys=keys, words=words)
    stripped, empty = unscored(frame, list(names))
    stripped = decision_numbers(stripped, decided_columns(stripped, list(names)), path, calls)
    text = [c for c in names if stripped.schema[c] == pl.String]
    stripped = stripped.with_columns(pl.col(text).replace("", None))
    numbers = stripped.with_columns(pl.col(c).cast(pl.Float64, strict=False) for c in names)
    problems = [p for c, f in names.items() if (p := _score_problem(stripped[c], numbers[c], f, path))]
    if problems:
        raise InputError.all(problems)
    return numbers, empty


def _refuse_words(long: pl.DataFrame, path: Given) -> None:
    """Refuse words for decisions in the column `score` of a long file, with the column that holds decisions."""
    if long.schema.get("score") != pl.String:
        return
    wrong = long["score"].filter(long["score"].cast(pl.Float64, strict=False).is_null()).drop_nulls()
    if do := decision_advice(wrong):
        shown = wrong.unique(maintain_order=True).head(5)
        raise InputError(path, "numbers in 'score'", f"{wrong.len():,} that are not", examples=shown, do=do)


def _score_problem(given: pl.Series, number: pl.Series, finding: str, path: Given) -> InputError | None:
    if not (given.dtype.is_numeric() or given.dtype in (pl.String, pl.Null)):
        return InputError(path, f"numbers as scores of {finding}", f"values of the type {given.dtype}")
    wrong = given.is_not_null() & (number.is_null() | ~number.is_finite().fill_null(False))
    if not wrong.any():
        return None
    shown = given.filter(wrong).cast(pl.String).unique(maintain_order=True).head(5)
    do = tables.number_advice(shown) or decision_advice(shown)
    do = do or "Score these images again, or leave the cell empty: it is then not scored."
    return InputError(
        path, f"finite numbers as scores of {finding}", f"{int(wrong.sum()):,} that are not", examples=shown, do=do
    )


def long_rows(
    frame: pl.DataFrame, table: str, path: Given, words: FindingWords
) -> tuple[pl.DataFrame, dict[str, str], tuple[str, ...]]:
    """Rename columns and findings of a long file; also return the used and the unused columns."""
    own = tables.schema(table).column_names()
    meanings = renamed(frame.columns, [c for c in own if c in MEANINGS], path)
    if "case_id" in own and "case_id" not in meanings.values() and (image := find(frame.columns, "image_id", path)):
        meanings[image] = "case_id"  # labels and reads of images: the image is the case
    long = frame.rename(meanings)
    if "finding" in long.columns:
        stated = long["finding"].cast(pl.String).unique().drop_nulls()
        names = {word: words.names[plain(word)] for word in stated if plain(word) in words.names}
        long = long.with_columns(pl.col("finding").cast(pl.String).replace(names))
    columns = dict(meanings) | {c: c for c in frame.columns if c in own}
    return long, columns, tuple(c for c in frame.columns if c not in columns)


def unpivoted_rows(
    frame: pl.DataFrame, table: str, path: Given, keys: Mapping[str, str], words: FindingWords
) -> tuple[pl.DataFrame, dict[str, str], tuple[str, ...]]:
    """Return one row per key and finding with the cell in `said`, and the used and the unused columns."""
    names, unused = finding_columns(frame.columns, table, path, keys=keys, words=words)
    wide = frame.select(
        *(pl.col(c).alias(new) for c, new in keys.items()), *(pl.col(c).alias(f) for c, f in names.items())
    )
    if len({wide.schema[f] for f in names.values()}) > 1:  # a Parquet file with columns of several types
        wide = wide.with_columns(pl.col(list(names.values())).cast(pl.String))
    long = wide.unpivot(list(names.values()), index=list(keys.values()), variable_name="finding", value_name="said")
    return long, dict(keys) | {c: f"finding {f}" for c, f in names.items()}, unused


def _identified(
    frame: pl.DataFrame, keys: Mapping[str, str], table: str, path: Given, notes: list[tables.Note]
) -> pl.DataFrame:
    """Convert the key columns of a wide file to canonical form."""
    own = frame.select(pl.col(column).alias(name) for column, name in keys.items())
    own = tables.identify(own, table, where=path, notes=notes)
    return frame.with_columns(own[name].alias(column) for column, name in keys.items())


def distinct_rows(frame: pl.DataFrame, table: str) -> tuple[pl.DataFrame, list[Dropped]]:
    """Drop exact duplicates of a row and count them."""
    first = frame.to_series(0) if frame.width else pl.Series([])
    if first.n_unique() == first.len():
        return frame, []
    once = frame.unique(maintain_order=True)
    count = frame.height - once.height
    if not count:
        return frame, []
    shown = frame.filter(frame.is_duplicated()).to_series(0).unique(maintain_order=True).head(5)
    reason = codes.note("rows_repeated", table=table)
    return once, [Dropped("rows", reason, count, "; ".join(str(v) for v in shown), TABLES)]


def _once(frame: pl.DataFrame, keys: list[str], path: Given) -> None:
    repeats = frame.filter(pl.struct(keys).is_duplicated())
    if repeats.height:
        raise InputError(
            path,
            f"one row per {', '.join(keys)}",
            f"{repeats.height:,} rows with a repeated key",
            examples=examples_of(repeats, keys).split("; "),
            do=tables.repeats_advice(repeats, keys),
        )


def name_of_file(path: Given) -> str:
    """Return the file name without its endings, the name of the model or source of a wide file.

    >>> name_of_file("predictions/acme.csv.gz")
    'acme'
    """
    return path.name if isinstance(path, NamedFrame) else Path(path).name.split(".")[0]
