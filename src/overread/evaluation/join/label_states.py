"""Interpretation of the cells of labels and reads: present, absent, uncertain, or no label; and cells that list the
findings of an image, as ChestX-ray14 does: "Cardiomegaly|Emphysema".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from overread import codes, tables
from overread.errors import InputError, did_you_mean
from overread.evaluation.join.account import TABLES, Dropped
from overread.evaluation.join.column_names import FindingWords, find, finding_of, has_meaning, plain
from overread.tables.text.missing import PROGRAMS, UNKNOWN

_SEPARATOR = "|"  # of listed findings
_STATES = {
    "1": "present",
    "yes": "present",
    "y": "present",
    "true": "present",
    "t": "present",
    "positive": "present",
    "pos": "present",
    "0": "absent",
    "no": "absent",
    "n": "absent",
    "false": "absent",
    "f": "absent",
    "negative": "absent",
    "neg": "absent",
    "-1": "uncertain",
    "hedge": "uncertain",
    **{s: s for s in tables.STATES},
}
MISSING = (*PROGRAMS, *UNKNOWN)
WORDS = "1 (present), 0 (absent), -1 (uncertain), YES, NO, HEDGE, true, false"
Pair = tuple[str, str]  # a rater and a finding
DECISION = "decision"  # the operating point of decisions, which have no threshold
DECISIONS = "; ".join(
    f"{state}: {', '.join(word for word, meaning in _STATES.items() if meaning == state)}"
    for state in ("present", "absent")
)
_TEXT = (pl.String, pl.Boolean)
FEWEST_TWO_VALUED = 10  # scores; among fewer, a score of many values may have two by chance
_DECISIONS = {"call", "decision"}  # parts of a column's name that say that it holds decisions


def spelt(column: str, spellings: Mapping[str, str] | None) -> pl.Expr:
    """Return the column as stripped text, with local words replaced by those of overread."""
    text = pl.col(column).cast(pl.String).str.strip_chars()
    return text.replace({str(k): str(v) for k, v in spellings.items()}) if spellings else text


def without_missing(long: pl.DataFrame, unit: str, column: str = "said") -> tuple[pl.DataFrame, list[Dropped]]:
    """Return the rows with a value; cells with a word for a missing value are counted."""
    word = pl.col(column).str.to_lowercase()
    long = long.filter(pl.col(column).is_not_null() & (pl.col(column) != ""))
    missing = long.filter(word.is_in(MISSING))
    if missing.is_empty():
        return long, []
    shown = [f"'{w}'" for w in missing[column].unique(maintain_order=True).head(5)]
    reason = codes.note("missing_word_without_state")
    return long.filter(~word.is_in(MISSING)), [Dropped(unit, reason, missing.height, "; ".join(shown), TABLES)]


def unscored(frame: pl.DataFrame, columns: list[str]) -> tuple[pl.DataFrame, list[Dropped]]:
    """Strip the text of score columns and replace words for a missing value by null.

    Returns
    -------
    frame : DataFrame
        The frame with the cleaned columns.
    dropped : list of Dropped
        The number of words for a missing value.
    """
    text = [c for c in columns if frame.schema[c] == pl.String]
    frame = frame.with_columns(pl.col(text).str.strip_chars())
    cleaned = frame.with_columns(pl.when(~pl.col(c).str.to_lowercase().is_in(PROGRAMS)).then(c).alias(c) for c in text)
    words = pl.concat([pl.Series("said", [], pl.String), *(frame[c].filter(cleaned[c].is_null()) for c in text)])
    words = words.drop_nulls()
    if words.is_empty():
        return cleaned, []
    shown = "; ".join(f"'{w}'" for w in words.unique(maintain_order=True).head(5))
    reason = codes.note("missing_word_without_score")
    return cleaned, [Dropped("predictions", reason, words.len(), shown, TABLES)]


def state(column: str = "said") -> pl.Expr:
    """Return the state of a cell; null if its text is not a known word."""
    word = pl.col(column).str.to_lowercase().str.replace(r"^(-?\d+)\.0+$", "$1")
    return word.replace_strict(_STATES, default=None)


def decided_pairs(scores: pl.DataFrame, rater: str = "rater") -> frozenset[Pair]:
    """Return the raters and findings whose values are decisions, all 0 or 1.

    A column of one value is a decision only if all values of its rater are 0 or 1: the scores of a rare finding may be
    0.0 throughout.

    >>> scores = [0.0, 1.0, 0.0, 0.5]
    >>> values = pl.DataFrame({"rater": ["a", "a", "b", "b"], "finding": ["mass"] * 4, "score": scores})
    >>> sorted(decided_pairs(values))
    [('a', 'mass')]
    """
    binary, value = pl.col("score").is_in([0.0, 1.0]).all(), pl.col("score")
    pairs = scores.group_by(rater, pl.col("finding").cast(pl.String)).agg(
        binary.alias("binary"), (value.min() < value.max()).alias("both")
    )
    whole = pairs.group_by(rater).agg(pl.col("binary").all().alias("whole"))
    found = pairs.join(whole, on=rater).filter(pl.col("binary") & (pl.col("both") | pl.col("whole")))
    return frozenset((str(r), str(f)) for r, f in found.select(rater, "finding").iter_rows())


def with_decisions(predictions: tables.Checked, dropped: list[Dropped]) -> tables.Checked:
    """Return the predictions with scores of two values as decisions: the higher value is 1, the lower 0; counted.

    Such scores do not rank the cases of one call, so that their AUC is the mean of the sensitivity and the specificity
    of the one decision, as it would be for the values 0 and 1. Models and findings with fewer than 10 scores are left
    as they are.
    """
    plain = pl.col("shift") == "none"
    pairs = (
        predictions.filter(plain)
        .group_by("model", "finding")
        .agg(
            pl.col("score").min().alias("_low"),
            pl.col("score").max().alias("_high"),
            pl.col("score").n_unique().alias("_values"),
            pl.len().alias("_n"),
        )
    )
    is_decision = (pl.col("_low") == 0) & (pl.col("_high") == 1)
    pairs = pairs.filter((pl.col("_values") == 2) & (pl.col("_n") >= FEWEST_TWO_VALUED) & ~is_decision)
    if pairs.is_empty():
        return predictions
    for (model,), own in sorted(pairs.partition_by("model", as_dict=True).items()):
        values = (pl.col(c).round_sig_figs(4) for c in ("_low", "_high"))
        named = own.sort(pl.col("finding").cast(pl.String)).select(pl.format("{} ({}, {})", "finding", *values))
        shown = "; ".join(named.to_series().head(5))
        dropped.append(Dropped("findings", codes.note("two_values_recoded", rater=str(model)), own.height, shown))
    both = predictions.join(
        pairs.select("model", "finding", "_high"), on=["model", "finding"], how="left", maintain_order="left"
    )
    decision = (pl.col("score") == pl.col("_high")).cast(pl.Float64)
    recoded = pl.when(plain & pl.col("_high").is_not_null()).then(decision).otherwise("score")
    return tables.Checked(both.with_columns(recoded.alias("score")).drop("_high"))


def decided_columns(frame: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the columns that hold decisions: by their name (`call_Effusion`), or because every cell is a word."""
    found = []
    for name in columns:
        named = not _DECISIONS.isdisjoint(re.split(r"[\W_]+", name.casefold()))
        if not named:
            words = frame[name].cast(pl.String).str.strip_chars() if frame.schema[name] in _TEXT else pl.Series([""])
            said = pl.DataFrame({"said": words.filter(words.is_not_null() & (words != ""))})
            if not said["said"].cast(pl.Float64, strict=False).null_count():
                continue
            named = said.select(state().is_in(["present", "absent"]).fill_null(False).all()).item()
        found += [name] if named else []
    return found


def decision_numbers(
    frame: pl.DataFrame, columns: Sequence[str], where: object, spellings: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Return the frame with decisions as numbers, 1 present and 0 absent; an empty cell stays empty.

    Raises
    ------
    InputError
        All columns with other values, in one error.
    """
    problems = []
    for name in columns:
        said = frame.select(spelt(name, spellings).replace("", None).alias("said"))
        states = said.select(state())["said"]
        wrong = said["said"].is_not_null() & ~states.is_in(["present", "absent"]).fill_null(False)
        if wrong.any():
            shown = [f"'{v}'" for v in said["said"].filter(wrong).unique(maintain_order=True).head(5)]
            expected = f"decisions in '{name}' ({DECISIONS})"
            do = (
                "Leave undecided cases out, name the column as a score, or say what your own words mean: "
                "evaluation.spellings.call."
            )
            problems.append(InputError(where, expected, f"{int(wrong.sum()):,} other values", examples=shown, do=do))
        numbers = states.replace_strict({"present": 1.0, "absent": 0.0}, default=None, return_dtype=pl.Float64)
        frame = frame.with_columns(numbers.alias(name))
    if problems:
        raise InputError.all(problems)
    return frame


def decision_advice(values: pl.Series) -> str:
    """Suggest how to write decisions where some of these texts of a column of scores are words for them; "" if none."""
    if not values.to_frame("said").select(state().is_in(["present", "absent"]).fill_null(False).any()).item():
        return ""
    return f"Decisions are a column named call, or words in every cell ({DECISIONS})."


def missing_as_null(column: str = "said") -> pl.Expr:
    """Return the text of a cell; null if it is empty or a word for a missing value."""
    word = pl.col(column).str.to_lowercase()
    return pl.when(~word.is_in([*MISSING, ""])).then(pl.col(column))


def examples(wrong: pl.DataFrame) -> pl.Series:
    """Return up to five cells with their findings."""
    return wrong.select(pl.format("{} in {}", "said", "finding")).to_series().unique(maintain_order=True)[:5]


def findings_like(frame: pl.DataFrame, used: Mapping[str, str], table: str) -> tuple[str, ...]:
    """Return the columns of a wide file that are not used and whose cells look like those of a finding.

    `used` are the columns with their meaning. Cells of labels and reads look like findings if all are states, those of
    predictions if all are numbers from 0 to 1; two different values are required.
    """
    if "finding" in used.values():  # a long file has no columns of findings
        return ()
    columns = [c for c in frame.columns if c not in used and plain(c) and not has_meaning(c)]
    return tuple(c for c in columns if _is_like_a_finding(frame[c], table))


def _is_like_a_finding(cells: pl.Series, table: str) -> bool:
    if cells.dtype.is_temporal():
        return False
    text = cells.cast(pl.String).str.strip_chars().alias("said").to_frame()
    text = text.filter(missing_as_null().is_not_null())
    if text["said"].n_unique() < 2:
        return False
    if table in ("labels", "reads"):
        return bool(text.select(state().is_not_null().all()).item())
    number = text["said"].cast(pl.Float64, strict=False)
    return bool((number.is_not_null() & number.is_between(0, 1)).all())


def column_of_lists(frame: pl.DataFrame, path: object, words: FindingWords) -> str:
    """Return the column that lists findings, if no column is that of one finding; otherwise ""."""
    if any(finding_of(column, "labels", words) for column in frame.columns):
        return ""
    return find(frame.columns, "findings", path)


def unlisted(frame: pl.DataFrame, column: str, path: object, words: FindingWords) -> tuple[pl.DataFrame, list[Dropped]]:
    """Replace the column of lists by one column of 1 and 0 for each finding that is listed anywhere in the file.

    A finding that a cell does not list is absent; an empty cell states nothing.

    Raises
    ------
    InputError
        A listed word is not the name of a finding.
    """
    lists = pl.col("listed").str.split(_SEPARATOR).list.eval(pl.element().str.strip_chars())
    cells = frame.select(pl.col(column).cast(pl.String).str.strip_chars().replace("", None).alias("listed"))
    stated = cells.filter(pl.col("listed").is_not_null())
    said = stated.select(lists.explode()).to_series().unique().sort()
    names = {word: words.names[plain(word)] for word in said if plain(word) in words.names}
    if strange := [word for word in said if word not in names]:
        hint = next((h for word in strange if (h := did_you_mean(word, words.written))), "")
        raise InputError(
            path,
            f"names of findings in '{column}', separated by '{_SEPARATOR}'",
            f"{len(strange):,} other words",
            examples=[f"'{word}'" for word in strange],
            do=f"{hint} A finding of the study's own: --extra-findings TITLE.".strip(),
        )
    findings = sorted(set(names.values()))
    listed = lists.list.eval(pl.element().replace_strict(names, return_dtype=pl.String))
    columns = cells.select(listed.list.contains(pl.lit(f)).cast(pl.Int8).alias(f) for f in findings)
    absent = sum(int((columns[f] == 0).sum()) for f in findings)
    reason = codes.note("not_listed_is_absent", column=column)
    told = [Dropped("labels", reason, absent, stage=TABLES)] if absent else []
    return pl.concat([frame.drop(column), columns.cast(pl.String)], how="horizontal"), told
