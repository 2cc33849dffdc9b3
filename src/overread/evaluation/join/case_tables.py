"""The evaluated cases: one row each, with the patient, the site and the columns that subgroups are made of."""

from __future__ import annotations

import polars as pl

from overread import codes
from overread.errors import InputError, did_you_mean
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.join.account import Dropped, examples_of

_FIXED = ("patient_id", "site", "weight", "pairs_within", "stratum")


def case_table(images: pl.DataFrame, config: EvaluationConfig, dropped: list[Dropped]) -> pl.DataFrame:
    """One row per case: case_id, patient_id, site, weight, pairs_within, stratum, and the subgroup columns as text.

    stratum is kept where weights differ: it says what the patients of a weighted sample were drawn within. A case whose
    images are of several patients, sites, weights, strata of pairs or sampling strata is refused. A subgroup column in
    which the images of a case differ is null there, and counted.
    """
    columns = _subgroup_columns(images, config)
    if images["weight"].n_unique() < 2:
        images = images.with_columns(pl.lit(None, pl.String).alias("stratum"))
    wide = images.select("case_id", *_FIXED, *(e.alias(c) for c, e in columns.items()))
    if wide["case_id"].n_unique() == wide.height:
        return wide
    made = wide.group_by("case_id", maintain_order=True).agg(
        *(pl.col(c).first() for c in (*_FIXED, *columns)),
        *(pl.col(c).n_unique().alias(f"_{c}") for c in (*_FIXED, *columns)),
    )
    problems = []
    for column in _FIXED:
        split = made.filter(pl.col(f"_{column}") > 1)
        if split.height:
            found = f"{split.height:,} cases whose images differ"
            problems.append(InputError("images", f"one {column} per case", found, examples=split["case_id"].head(5)))
    if problems:
        raise InputError.all(problems)
    for column in columns:
        mixed = made.filter(pl.col(f"_{column}") > 1)
        if mixed.height:
            words = codes.note("group_differs_within_case", column=column)
            dropped.append(Dropped("cases", words, mixed.height, examples_of(mixed, ("case_id",))))
    single = [pl.when(pl.col(f"_{c}") == 1).then(pl.col(c)).alias(c) for c in columns]
    return made.with_columns(single).select("case_id", *_FIXED, *columns)


def _subgroup_columns(images: pl.DataFrame, config: EvaluationConfig) -> dict[str, pl.Expr]:
    made = {}
    for column in config.subgroups:
        if column == "age_band":
            made[column] = _age_band(config.age_bands)
        elif column in ("case_id", *_FIXED):
            if column != "site":
                raise InputError("evaluation.subgroups", "columns that are no keys", f"'{column}'")
        elif column not in images.columns:
            hint = did_you_mean(column, images.columns)
            found = f"columns {', '.join(images.columns)}"
            raise InputError("images", f"the subgroup column '{column}'", found, do=hint)
        else:
            made[column] = pl.col(column).cast(pl.String)
    return made


def _age_band(edges: tuple[float, ...]) -> pl.Expr:
    """Bands closed on the left: with edges 18 and 40 they are "0-17", "18-39" and "40+"."""
    age = pl.col("age_years")
    names = band_names(edges)
    band: pl.Expr = pl.lit(names[-1])
    for name, edge in reversed(list(zip(names[:-1], edges, strict=True))):
        band = pl.when(age < edge).then(pl.lit(name)).otherwise(band)
    return pl.when(age.is_not_null()).then(band)


def band_names(edges: tuple[float, ...]) -> list[str]:
    """The names of the age bands, the youngest first.

    >>> band_names((18, 40))
    ['0-17', '18-39', '40+']
    """
    if not edges:
        return ["all"]
    starts = [0.0, *edges[:-1]]
    return [f"{a:g}-{b - 1:g}" for a, b in zip(starts, edges, strict=True)] + [f"{edges[-1]:g}+"]
