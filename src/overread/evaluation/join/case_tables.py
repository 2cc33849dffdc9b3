"""The evaluated cases: one row per case, with patient, site and subgroup columns."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from overread import codes
from overread.errors import InputError, did_you_mean
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.account import Dropped, examples_of

_NO_SUBGROUPS = ("image_id", "case_id", "patient_id", "weight", "pairs_within", "stratum", "row", "path", "sha256")
UNKNOWN = "unknown"
_FIXED = ("patient_id", "site", "weight", "pairs_within", "stratum")


def images_of_cases(frames: Iterable[pl.DataFrame | None], dropped: list[Dropped]) -> pl.DataFrame:
    """Return an images table of the cases in these tables: each is its own image and its own patient, counted."""
    keys = [f["image_id" if "image_id" in f.columns else "case_id"].alias("case_id") for f in frames if f is not None]
    cases = pl.concat(keys).unique(maintain_order=True)
    dropped.append(Dropped("cases", codes.note("case_is_own_patient"), cases.len()))
    return pl.DataFrame({"image_id": cases, "case_id": cases, "patient_id": cases}).with_columns(
        pl.lit("").alias("site")
    )


def case_table(images: pl.DataFrame, config: EvaluationConfig, dropped: list[Dropped]) -> pl.DataFrame:
    """Return one row per case: case_id, patient_id, site, weight, pairs_within, stratum, and the subgroup columns as
    text.

    A value "unknown" in a subgroup column is a missing value. stratum is kept only if weights differ: it is the
    sampling stratum of the patients. A case whose images belong to
    several patients, sites, weights, strata of pairs or sampling strata is refused. A subgroup column in which the
    images of a case differ is set to null and counted.
    """
    columns = _subgroup_columns(images, config)
    if images["weight"].n_unique() < 2:
        images = images.with_columns(pl.lit(None, pl.String).alias("stratum"))
    wide = images.select("case_id", *_FIXED, *(e.alias(c) for c, e in columns.items()))
    if wide["case_id"].n_unique() == wide.height:
        return wide
    cases = wide.group_by("case_id", maintain_order=True).agg(
        *(pl.col(c).first() for c in (*_FIXED, *columns)),
        *(pl.col(c).n_unique().alias(f"_{c}") for c in (*_FIXED, *columns)),
    )
    problems = []
    for column in _FIXED:
        split = cases.filter(pl.col(f"_{column}") > 1)
        if split.height:
            found = f"{split.height:,} cases whose images differ"
            problems.append(InputError("images", f"one {column} per case", found, examples=split["case_id"].head(5)))
    if problems:
        raise InputError.all(problems)
    for column in columns:
        mixed = cases.filter(pl.col(f"_{column}") > 1)
        if mixed.height:
            words = codes.note("group_differs_within_case", column=column)
            dropped.append(Dropped("cases", words, mixed.height, examples_of(mixed, ("case_id",))))
    single = [pl.when(pl.col(f"_{c}") == 1).then(pl.col(c)).alias(c) for c in columns]
    return cases.with_columns(single).select("case_id", *_FIXED, *columns)


def _subgroup_columns(images: pl.DataFrame, config: EvaluationConfig) -> dict[str, pl.Expr]:
    columns = {}
    for column in config.subgroups:
        if column == "age_band":
            columns[column] = _age_band(config.age_bands)
        elif column in ("case_id", *_FIXED):
            if column != "site":
                raise InputError("evaluation.subgroups", "columns that are not keys", f"'{column}'")
        elif column not in images.columns:
            known = _possible_subgroups(images)
            found = f"columns {', '.join(known)}" if known else "no column that defines subgroups"
            raise InputError("images", f"the subgroup column '{column}'", found, do=did_you_mean(column, known))
        else:
            text = pl.col(column).cast(pl.String)  # "unknown" is a missing value, not a group
            columns[column] = pl.when(text.str.to_lowercase() != UNKNOWN).then(text)
    return columns


def _possible_subgroups(images: pl.DataFrame) -> list[str]:
    """Return the columns that may define subgroups: no keys, and none that the file lacks or leaves empty."""
    free = [c for c in images.columns if c not in _NO_SUBGROUPS]
    filled = [c for c in free if not images[c].drop_nulls().cast(pl.String).is_in(["", "UNKNOWN"]).all()]
    return ["age_band" if c == "age_years" else c for c in filled]


def _age_band(edges: tuple[float, ...]) -> pl.Expr:
    """Assign age bands that include their lower limit: limits 18 and 40 give "0-17", "18-39" and "40+"."""
    age = pl.col("age_years")
    names = band_names(edges)
    band: pl.Expr = pl.lit(names[-1])
    for name, edge in reversed(list(zip(names[:-1], edges, strict=True))):
        band = pl.when(age < edge).then(pl.lit(name)).otherwise(band)
    return pl.when(age.is_not_null()).then(band)


def band_names(edges: tuple[float, ...]) -> list[str]:
    """Return the names of the age bands in ascending order.

    >>> band_names((18, 40))
    ['0-17', '18-39', '40+']
    """
    if not edges:
        return ["all"]
    starts = [0.0, *edges[:-1]]
    return [f"{a:g}-{b - 1:g}" for a, b in zip(starts, edges, strict=True)] + [f"{edges[-1]:g}+"]
