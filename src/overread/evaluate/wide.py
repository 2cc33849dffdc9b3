"""Wide files, as people have them (one row per image, one column per finding), made into the tables of the design.

A column that names a finding is taken, one that nearly names one is refused as a slip of the pen, any other is left and
listed. In labels and reads 1 or YES is present, 0 or NO absent, -1 or HEDGE uncertain, and empty means that nothing is
stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from overread import findings, tables
from overread.errors import InputError, did_you_mean

_IMAGE = ("image_id", "image id", "image index", "image", "image_index", "image_name", "filename", "file", "path")
_CASE = ("case_id", "case id", "study_id", "study id", "studyinstanceuid", "accession_number")
_COLUMNS = {
    "case_id": _CASE,
    "patient_id": ("patient_id", "patient id", "patientid", "subject_id", "patient"),
    "site": ("site", "institution", "hospital"),
    "age_years": ("age_years", "patient age", "age"),
    "sex": ("sex", "patient gender", "patient sex", "gender"),
    "view": ("view", "view position", "viewposition", "ap/pa"),
}
_READER = ("reader", "reader id", "reader_id", "radiologist", "radiologist id", "radiologist_id")
_STATE = {
    "1": "present", "0": "absent", "-1": "uncertain", "yes": "present", "no": "absent", "hedge": "uncertain",
    **{s: s for s in tables.STATES},
}  # fmt: skip
_WORDS = "1 (present), 0 (absent), -1 (uncertain), YES, NO, HEDGE"
_SEX = {"f": "F", "female": "F", "m": "M", "male": "M"}
_VIEW = {"pa": "PA", "ap": "AP", "lateral": "LATERAL", "ll": "LATERAL"}


@dataclass(frozen=True, slots=True)
class Read:
    """A table, the columns of its file that were not used, and notes on its identifiers."""

    frame: pl.DataFrame
    unused: tuple[str, ...] = ()
    notes: tuple[tables.Note, ...] = ()


def images(path: Path | str) -> Read:
    """The images of a file: the design's columns, or the names that public label files use ("Image Index", …).

    A file without a site column is one site, "". Extra columns are kept: they may be subgroups.
    """
    frame = tables.frame_of(path)
    named = {"image_id": _column(frame, _IMAGE, path, "an image per row ('image_id' or 'Image Index')")}
    for name, synonyms in _COLUMNS.items():
        found = _find(frame, synonyms)
        if found:
            named[name] = found
    frame = frame.rename({old: new for new, old in named.items() if old != new})
    if "patient_id" not in frame.columns:
        raise InputError(
            path, "a column 'patient_id' (or 'Patient ID')", f"columns {', '.join(frame.columns)}",
            do="Intervals must know which images are of one patient; name the column.",
        )  # fmt: skip
    if "site" not in frame.columns:
        frame = frame.with_columns(pl.lit("").alias("site"))
    notes: list[tables.Note] = []
    checked = tables.check(frame.with_columns(_plain_words(frame)), "images", where=path, notes=notes)
    return Read(checked, notes=tuple(notes))


def labels(path: Path | str, *, source: str = "") -> Read:
    """The labels of a long file (case_id, finding, source, state) or a wide one; `source` names a wide file's source.

    A wide file's rows are images; where it has a case column (case_id, study_id) that is the case.
    """
    notes: list[tables.Note] = []
    frame = tables.frame_of(path)
    if {"finding", "state"} & set(frame.columns):
        checked = tables.check(frame, "labels", where=path, notes=notes)
        return Read(checked, notes=tuple(notes))
    key = _find(frame, _CASE) or _column(frame, _IMAGE, path, "a case or an image per row")
    taken, unused = _finding_columns(frame, (key,), path)
    frame = frame.rename({c: f for c, f in taken.items() if c != f} | ({key: "case_id"} if key != "case_id" else {}))
    frame = tables.identify(frame, "labels", where=path, notes=notes)
    _once(frame, "case_id", path, key)
    long = frame.select("case_id", *(pl.col(f).cast(pl.String).str.strip_chars() for f in taken.values())).unpivot(
        index="case_id", variable_name="finding", value_name="said"
    )
    long = long.filter(pl.col("said").is_not_null() & (pl.col("said") != ""))
    long = long.with_columns(_state().alias("state"))
    wrong = long.filter(pl.col("state").is_null())
    if wrong.height:
        raise InputError(
            path, f"{_WORDS} or nothing in a finding's column", f"{wrong.height:,} other values", examples=_said(wrong)
        )
    long = long.select("case_id", "finding", pl.lit(source or _stem(path)).alias("source"), "state")
    return Read(tables.check(long, "labels", where=path), unused, tuple(notes))


def reads(path: Path | str, *, arm: str = "unaided") -> Read:
    """The reads of a long file (reader, case_id, finding, arm, round, score, call) or a wide one, a read per row.

    A wide file names the image or case and the reader, perhaps the arm and the round, and has a column per finding
    that holds calls (as labels do) or graded scores: numbers, of which some are none of 1, 0 and -1. `arm` stands where
    no column says it. A reader who reads a case again without a column that counts it gets rounds 1, 2, … in the order
    of the rows.
    """
    notes: list[tables.Note] = []
    frame = tables.frame_of(path)
    if "finding" in frame.columns:
        if "case_id" not in frame.columns and "image_id" in frame.columns:
            frame = frame.rename({"image_id": "case_id"})
        frame = frame if "arm" in frame.columns else frame.with_columns(pl.lit(arm).alias("arm"))
        frame = tables.identify(frame, "reads", where=path, notes=notes)  # before repeated reads are counted
        checked = tables.check(_counted(frame, ["reader", "case_id", "finding", "arm"]), "reads", where=path)
        return Read(checked, notes=tuple(notes))
    named = {_find(frame, _CASE) or _column(frame, _IMAGE, path, "a case or an image per row"): "case_id"}
    named[_column(frame, _READER, path, "the reader ('reader' or 'Reader ID')")] = "reader"
    named |= {found: name for name in ("arm", "round") if (found := _find(frame, (name,)))}
    taken, unused = _finding_columns(frame, tuple(named), path)
    frame = frame.rename(named | taken)
    frame = frame if "arm" in frame.columns else frame.with_columns(pl.lit(arm).alias("arm"))
    frame = tables.identify(frame, "reads", where=path, notes=notes)
    key = ["reader", "case_id", "arm", "round"]
    long = _counted(frame, key[:3]).unpivot(
        [*taken.values()], index=key, variable_name="finding", value_name="said"
    ).with_columns(pl.col("said").cast(pl.String).str.strip_chars())  # fmt: skip
    long = _answers(long.filter(pl.col("said").is_not_null() & (pl.col("said") != "")), path)
    return Read(tables.check(long.drop("said"), "reads", where=path), unused, tuple(notes))


def _counted(frame: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """The reads with a round: repeats are counted in the order of the rows where no column says the round."""
    if "round" in frame.columns or not set(key) <= set(frame.columns):
        return frame
    return frame.with_columns((pl.int_range(pl.len()).over(key) + 1).cast(pl.Int32).alias("round"))


def _answers(long: pl.DataFrame, path: Path | str) -> pl.DataFrame:
    """The reads with call and score made from what is said; a column of numbers is graded where any number is."""
    number = pl.col("said").cast(pl.Float64, strict=False)
    numeric = number.is_not_null() & number.is_finite()
    graded = long.filter(numeric & ~number.is_in([-1.0, 0.0, 1.0])).height > 0
    scored = numeric.all().over("finding") if graded else pl.lit(False)
    negative = long.filter(numeric & (number < 0))["said"].cast(pl.Float64)
    if graded and negative.len() and (negative == -1).all():
        odd = long.filter(numeric & ~number.is_in([-1.0, 0.0, 1.0]))
        found = f"-1 (uncertain) beside {odd.height:,} other numbers"
        raise InputError(path, "calls (1, 0, -1) or graded scores, not both", found, examples=_said(odd))
    long = long.with_columns(pl.when(~scored).then(_state()).alias("call"), pl.when(scored).then(number).alias("score"))
    wrong = long.filter(pl.col("call").is_null() & pl.col("score").is_null())
    if wrong.height:
        expected = f"{_WORDS} or nothing in a finding's column, or finite numbers in the whole of it"
        raise InputError(path, expected, f"{wrong.height:,} other values", examples=_said(wrong))
    return long


def _state() -> pl.Expr:
    """The state that a cell says, null where it says none."""
    said = pl.col("said").str.to_lowercase().str.replace(r"^(-?\d+)\.0+$", "$1")
    return said.replace_strict(_STATE, default=None)


def _said(wrong: pl.DataFrame) -> pl.Series:
    return wrong.select(pl.format("{} in {}", "said", "finding")).to_series().unique(maintain_order=True)[:5]


def predictions(path: Path | str, *, model: str = "") -> Read:
    """The scores of a long file (image_id or case_id, finding, model, score) or of a wide one named as its model is."""
    notes: list[tables.Note] = []
    frame = tables.frame_of(path)
    if {"finding", "score"} & set(frame.columns):
        by_image = "image_id" in frame.columns or "case_id" not in frame.columns
        table = "predictions" if by_image else "case_predictions"
        checked = tables.check(frame, table, where=path, notes=notes)
        return Read(checked, notes=tuple(notes))
    key = _find(frame, _IMAGE)
    unit = "image_id" if key else "case_id"
    key = key or _column(frame, _CASE, path, "an image or a case per row")
    table = "predictions" if unit == "image_id" else "case_predictions"
    taken, unused = _finding_columns(frame, (key,), path)
    frame = frame.select(pl.col(key).alias(unit), *(pl.col(c).alias(f) for c, f in taken.items()))
    frame = tables.identify(frame, table, where=path, notes=notes)
    _once(frame, unit, path, key)
    numbers = frame.with_columns(pl.col(f).cast(pl.Float64, strict=False) for f in taken.values())
    problems = [p for f in taken.values() if (p := _score_problem(frame[f], numbers[f], f, path))]
    if problems:
        raise InputError.all(problems)
    long = numbers.unpivot(index=unit, variable_name="finding", value_name="score").drop_nulls("score")
    long = long.with_columns(pl.lit(model or _stem(path)).alias("model"), pl.lit("none").alias("shift"))
    return Read(tables.check(long, table, where=path), unused, tuple(notes))


def _score_problem(given: pl.Series, number: pl.Series, finding: str, path: Path | str) -> InputError | None:
    wrong = given.is_not_null() & (number.is_null() | ~number.is_finite().fill_null(False))
    if not wrong.any():
        return None
    shown = given.filter(wrong).cast(pl.String).unique(maintain_order=True).head(5)
    return InputError(
        path, f"finite numbers as scores of {finding}", f"{int(wrong.sum()):,} that are not", examples=shown,
        do="Score these images again, or leave the cell empty: it is then counted as not scored.",
    )  # fmt: skip


def _finding_columns(
    frame: pl.DataFrame, keys: tuple[str, ...], path: Path | str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The columns that name findings, each with its name in the vocabulary, and those that do not."""
    known = {w.casefold(): f.name for f in findings.VOCABULARY for w in (f.name, f.title, *_words(f))}
    others = {s for synonyms in (_IMAGE, *_COLUMNS.values()) for s in synonyms}
    taken: dict[str, str] = {}
    unused, problems = [], []
    for column in frame.columns:
        word = column.strip().casefold()
        if column in keys:
            continue
        if word in known:
            taken[column] = known[word]
        elif word not in others and (hint := did_you_mean(word, known)):
            problems.append(InputError(path, "columns that name findings", f"'{column}'", do=hint))
        elif word not in others:
            unused.append(column)
    if len(set(taken.values())) < len(taken):
        problems.append(InputError(path, "one column per finding", "two columns of the same", examples=taken))
    if not taken and not problems:
        found = f"columns {', '.join(frame.columns)}"
        problems.append(InputError(path, "columns that name findings", found, do="Or give a long table."))
    if problems:
        raise InputError.all(problems)
    return taken, tuple(unused)


def _words(finding: findings.Finding) -> list[str]:
    return [w for words in finding.synonyms.values() for w in words]


def _plain_words(frame: pl.DataFrame) -> list[pl.Expr]:
    """Age, sex and view in the words of the design; a word that is none of them stays, so that the check names it."""
    made = []
    text = {c for c in ("age_years", "sex", "view") if c in frame.columns and frame.schema[c] == pl.String}
    if "age_years" in text:  # ChestX-ray14 wrote ages as 058Y for a while; months and days are rounded down to years
        age = pl.col("age_years").str.strip_chars()
        number = age.str.strip_chars_end("YyMmDd").cast(pl.Float64, strict=False)
        months = pl.when(age.str.contains("[Mm]$")).then(number / 12)
        years = months.when(age.str.contains("[Dd]$")).then(number / 365.25).otherwise(number)
        made.append(pl.coalesce(years.cast(pl.String), age).alias("age_years"))
    for column, words in (("sex", _SEX), ("view", _VIEW)):
        if column in text:
            said = pl.col(column).str.strip_chars()
            made.append(said.str.to_lowercase().replace_strict(words, default=said).alias(column))
    return made


def _find(frame: pl.DataFrame, synonyms: tuple[str, ...]) -> str:
    """The column of that meaning, the first synonym first; "" where there is none."""
    lower = {c.strip().casefold(): c for c in reversed(frame.columns)}
    return next((lower[s] for s in synonyms if s in lower), "")


def _column(frame: pl.DataFrame, synonyms: tuple[str, ...], path: Path | str, expected: str) -> str:
    found = _find(frame, synonyms)
    if not found:
        hint = next((h for c in frame.columns if (h := did_you_mean(c.casefold(), synonyms))), "")
        raise InputError(path, f"a column that names {expected}", f"columns {', '.join(frame.columns)}", do=hint)
    return found


def _once(frame: pl.DataFrame, unit: str, path: Path | str, column: str) -> None:
    """Refuse a file that has a unit in two rows; `column` is what the file calls it."""
    repeats = frame.filter(pl.col(unit).is_duplicated())
    if repeats.height:
        raise InputError(
            path, f"one row per {column}", f"{repeats.height:,} rows whose key stands more than once",
            examples=repeats[unit].unique(maintain_order=True).head(5), do="Remove the repeats.",
        )  # fmt: skip


def _stem(path: Path | str) -> str:
    """The file's name without its endings: what a wide file's model or source is called.

    >>> _stem("predictions/acme.csv.gz")
    'acme'
    """
    return Path(path).name.split(".")[0]
