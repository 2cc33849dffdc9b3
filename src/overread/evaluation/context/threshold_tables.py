"""Given thresholds: operating points that are not chosen in the evaluation.

A file of thresholds is long (model, finding, name, threshold) or wide (a model per row, optionally a name, and a column
per finding). Thresholds that are given are locked: nothing is fitted on test cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from overread import tables
from overread.errors import InputError, did_you_mean
from overread.evaluation.join.account import examples_of
from overread.evaluation.join.column_names import find, find_any, finding_columns, finding_words, plain, renamed
from overread.evaluation.join.label_states import DECISION, Pair
from overread.evaluation.join.layouts import Given, Read
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.tables.frames import NamedFrame

UNNAMED = "given"  # the operating point of a file without a column of names


def thresholds(
    path: Given,
    *,
    model: str = "",
    spellings: Mapping[str, Mapping[str, str]] | None = None,
    vocabulary: Vocabulary | None = None,
) -> Read:
    """Read given thresholds in long (model, finding, name, threshold) or wide layout (a row per model and name).

    Without a column `name` the operating point is named "given". Without a column `source` the name of the file is the
    source of the thresholds. `model` is used if there is no column of models.
    """
    file, known = tables.load(path), vocabulary or load_vocabulary()
    words = finding_words(known, (spellings or {}).get("finding"))
    frame = file.frame
    if find(frame.columns, "finding", path):
        meanings = renamed(frame.columns, ("model", "finding", "name", "threshold", "source"), path)
        find_any(frame.columns, ("threshold",), path, "the threshold ('threshold')")
        long = frame.select(pl.col(c).alias(new) for c, new in meanings.items())
        long = long.with_columns(pl.col("finding").cast(pl.String).str.strip_chars())
        named = {w: words.names[plain(w)] for w in long["finding"].drop_nulls().unique() if plain(w) in words.names}
        long = long.with_columns(pl.col("finding").replace(named))
        columns, unused = meanings, tuple(c for c in frame.columns if c not in meanings)
    else:
        keys = renamed(frame.columns, ("model", "name", "source"), path)
        found, unused = finding_columns(frame.columns, "thresholds", path, keys=keys, words=words)
        wide = frame.select(
            *(pl.col(c).alias(new) for c, new in keys.items()), *(pl.col(c).alias(f) for c, f in found.items())
        )
        wide = _numbers(wide, list(found.values()), path)
        long = wide.unpivot(
            list(found.values()), index=list(keys.values()), variable_name="finding", value_name="threshold"
        )
        long = long.drop_nulls("threshold")  # a model without a threshold for a finding has an empty cell
        columns = keys | {c: f"finding {f}" for c, f in found.items()}
    defaults = {"name": UNNAMED, "source": _file_name(path)} | ({"model": model} if model else {})
    long = long.with_columns(pl.lit(v).alias(c) for c, v in defaults.items() if c not in long.columns)
    notes: list[tables.Note] = []
    checked = tables.check(long, "thresholds", where=path, notes=notes, vocabulary=known)
    return Read(checked, unused, columns, file.dialect, (), tuple(notes))


def check_thresholds(given: pl.DataFrame, predictions: pl.DataFrame | None, decided: frozenset[Pair]) -> None:
    """Refuse thresholds that do not fit the predictions.

    Parameters
    ----------
    given : DataFrame
        The checked table `thresholds`.
    predictions : DataFrame or None
        The checked predictions that they are applied to.
    decided : frozenset of (str, str)
        Models and findings that have decisions in place of scores.

    Raises
    ------
    InputError
        All problems at once: a model or a finding without predictions, decisions in place of scores, a name that the
        column `at` cannot hold, and a threshold outside of the range of the scores.

    Notes
    -----
    Scores that all lie in [0, 1] are taken as probabilities: any threshold in [0, 1] is then on their scale, also one
    that no score of the test set reaches. Scores on another scale have no known limits, so that their observed range
    stands for the scale.
    """
    if predictions is None:
        raise InputError("thresholds", "predictions that the thresholds apply to", "none", do="Give --predictions.")
    ranges = {
        (str(m), str(f)): (float(low), float(high))
        for m, f, low, high in predictions.filter(pl.col("shift") == "none")
        .group_by("model", pl.col("finding").cast(pl.String))
        .agg(pl.col("score").min().alias("low"), pl.col("score").max().alias("high"))
        .iter_rows()
    }
    problems = [*_unknown(given, ranges), *_names(given), *_decided(given, decided), *_scales(given, ranges, decided)]
    if problems:
        raise InputError.all(problems)


def _unknown(given: pl.DataFrame, ranges: Mapping[Pair, object]) -> list[InputError]:
    """Name models without predictions, and findings that their model does not score."""
    models, problems = sorted({m for m, _ in ranges}), []
    for name in given["model"].unique().sort():
        if name not in models:
            expected, found = f"predictions by '{name}'", f"predictions by {', '.join(models)}"
            problems.append(InputError("thresholds", expected, found, do=did_you_mean(name, models)))
            continue
        scored = sorted(f for m, f in ranges if m == name)
        own = given.filter(pl.col("model") == name)["finding"].unique().sort()
        for finding in (f for f in own if f not in scored):
            hint = did_you_mean(finding, scored)
            found = f"'{finding}'; '{name}' scores {', '.join(scored)}"
            problems.append(InputError("thresholds", f"findings that '{name}' scores", found, do=hint))
    return problems


def _names(given: pl.DataFrame) -> list[InputError]:
    names = given["name"].unique().sort()
    wrong = [n for n in names if n in ("", DECISION) or any(c in n for c in ";=")]
    if not wrong:
        return []
    expected = f"names of operating points without ; and =, other than '{DECISION}'"
    return [InputError("thresholds", expected, f"{len(wrong)} others", examples=[f"'{n}'" for n in wrong])]


def _decided(given: pl.DataFrame, decided: frozenset[Pair]) -> list[InputError]:
    wrong = [
        f"{m} {f}"
        for m, f in given.select("model", "finding").unique().sort("model", "finding").rows()
        if (m, f) in decided
    ]
    if not wrong:
        return []
    found = f"decisions (two values only) for {len(wrong)} of them"
    do = "Decisions need no threshold: leave these rows out, or give the scores."
    return [InputError("thresholds", "scores that thresholds apply to", found, examples=wrong, do=do)]


def _scales(
    given: pl.DataFrame, ranges: Mapping[Pair, tuple[float, float]], decided: frozenset[Pair]
) -> list[InputError]:
    """Refuse thresholds that lie outside of the scale of the scores, with both ranges."""
    problems = []
    for (model, finding), rows in sorted(given.partition_by("model", "finding", as_dict=True).items()):
        pair = (str(model), str(finding))
        if pair not in ranges or pair in decided:
            continue
        low, high = ranges[pair]
        least, most = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
        outside = rows.filter(~pl.col("threshold").is_between(least, most))
        if outside.is_empty():
            continue
        values = rows["threshold"]
        first, last = float(values.sort()[0]), float(values.sort()[-1])
        span = f"{first:g}" if first == last else f"{first:g} to {last:g}"
        problems.append(
            InputError(
                "thresholds",
                f"thresholds of '{model}' for {finding} on the scale of its scores, which are {low:g} to {high:g}",
                span,
                examples=examples_of(outside, ("name", "threshold")).split("; "),
                do="Give both on one scale; between 0 and 1 every threshold is accepted.",
            )
        )
    return problems


def _numbers(wide: pl.DataFrame, findings: list[str], path: Given) -> pl.DataFrame:
    """Convert the thresholds of a wide file to numbers; an empty cell is none."""
    text = wide.with_columns(pl.col(findings).cast(pl.String).str.strip_chars().replace("", None))
    numbers = text.with_columns(pl.col(findings).cast(pl.Float64, strict=False))
    problems = []
    for finding in findings:
        wrong = text[finding].is_not_null() & ~numbers[finding].is_finite().fill_null(False)
        if wrong.any():
            shown = [f"'{v}'" for v in text[finding].filter(wrong).unique(maintain_order=True)]
            expected = f"finite numbers as thresholds of {finding}"
            problems.append(InputError(path, expected, f"{int(wrong.sum())} that are not", examples=shown))
    if problems:
        raise InputError.all(problems)
    return numbers


def _file_name(path: Given) -> str:
    return path.name if isinstance(path, NamedFrame) else Path(path).name
