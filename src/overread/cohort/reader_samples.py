"""Stratified random samples of cases for readers, with inverse probability weights.

Every case of the population has a known probability of selection; its inverse is the weight of the case. Strata are
the rarest finding of a case by site and view, so that rare findings are frequent enough for estimates. Cochran 1977,
Sampling Techniques, chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import findings, limits, runs, tables
from overread.cohort.building import Cohort, open_cohort
from overread.cohort.selection import draw as lot
from overread.cohort.selection import left, remaining
from overread.errors import InputError, did_you_mean
from overread.tables.records.configuration import with_settings

_ALLOCATIONS = ("proportional", "root", "equal")
_NONE, _UNSTATED = "none present", "not stated"
_STRATA = {"stratum": pl.String, "size": pl.Int64, "drawn": pl.Int64, "probability": pl.Float64, "weight": pl.Float64}


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """Design of a sample of cases.

    Parameters
    ----------
    n : int
        Number of cases.
    by : tuple of str
        Variables that define strata: "finding" (the rarest present in the case) and columns of the images such as
        "site" and "view".
    floor : int
        Minimum number of cases per stratum, or all of it if smaller; at least 2, because the variance cannot be
        estimated from one.
    allocation : {"proportional", "root", "equal"}
        Allocation of the cases beyond the floors: proportional to the rest of each stratum, to its square root, or
        equal.
    one_per_patient : bool
        Whether one case of each patient is drawn first, so that no reader sees a patient twice and cases are
        independent. The weight is then multiplied by the patient's number of cases.
    label_source : str
        Label source that defines which findings are present; "" = the only one.
    split : str
        Split that is the population; "" = every case.
    seed : int
        Seed of the selection.
    """

    n: int = 2000
    by: tuple[str, ...] = ("finding", "site", "view")
    floor: int = 2
    allocation: str = "proportional"
    one_per_patient: bool = False
    label_source: str = ""
    split: str = "test"
    seed: int = 0

    def __post_init__(self) -> None:
        problems: list[InputError] = []
        problems += limits.outside("sample.n", self.n, 1, 100_000_000, whole=True)
        problems += limits.outside("sample.floor", self.floor, 2, 1_000_000, whole=True)
        problems += limits.outside("sample.seed", self.seed, 0, limits.SEED, whole=True)
        if self.allocation not in _ALLOCATIONS:
            hint = did_you_mean(str(self.allocation), _ALLOCATIONS)
            problems.append(InputError("sample.allocation", " or ".join(_ALLOCATIONS), repr(self.allocation), do=hint))
        if not self.by:
            problems.append(InputError("sample.by", "at least one of finding, site, view, …", "none"))
        if problems:
            raise InputError.all(problems)


@dataclass(frozen=True)
class Sample:
    """A stratified random sample of cases.

    Parameters
    ----------
    images : DataFrame
        Images of the sampled cases, with stratum, stratum_size, inclusion_probability and weight.
    strata : DataFrame
        Size and sample size of every stratum.
    notes : tuple of str
        Notes on the design.
    hash : str
        Hash of the design and the sampled case_ids: two samples with one hash are identical.
    """

    images: pl.DataFrame
    strata: pl.DataFrame
    notes: tuple[str, ...]
    hash: str

    def __repr__(self) -> str:
        cases = self.images["case_id"].n_unique()
        head = f"Sample of {cases:,} cases in {self.strata.height:,} strata, hash {self.hash[:12]}"
        return "\n".join([head, *(f"  {note}" for note in self.notes)])


def select_cases(
    images: pl.DataFrame,
    labels: pl.DataFrame,
    config: SampleConfig,
    *,
    vocabulary: findings.Vocabulary | None = None,
) -> Sample:
    """Draw a stratified random sample of cases without replacement; the result is independent of row order.

    Parameters
    ----------
    images : DataFrame
        Table of images.
    labels : DataFrame
        Table of labels.
    config : SampleConfig
        Design of the sample.
    vocabulary : Vocabulary, optional
        Vocabulary of the labels; findings of equal frequency are ranked in its order. None = the vocabulary "chest".

    Returns
    -------
    Sample
        The sample with its strata.

    Raises
    ------
    InputError
        A split, column or label source does not exist; there are several label sources and none is named; the floors
        exceed n.

    Notes
    -----
    In stratum h with N_h cases, n_h are drawn with equal probability n_h / N_h. The weight is the inverse, the same
    for all images of a case, so that the weights of a stratum sum to N_h. Sample sizes n_h are the floor (or the whole
    stratum) plus a share of the rest by the allocation, rounded by largest remainders; they sum to n. With
    `one_per_patient`, one of a patient's m cases is drawn first and strata are formed from those: the probability is
    n_h / (N_h m), and the weights are unbiased for the cases of the population but sum to their number only on
    average.

    References
    ----------
    Cochran 1977, Sampling Techniques, chapter 5.
    """
    population = _cases(images, labels, config, vocabulary or findings.load())
    empty = _empty_cells(population, config)
    population = _of_patients(population, images, config)
    sizes = population.group_by("stratum").len().sort("stratum")
    n_drawn = _allocated(sizes["len"].to_numpy().astype(np.int64), config)
    strata = sizes.select(
        "stratum", size=pl.col("len").cast(pl.Int64), drawn=pl.Series(n_drawn, dtype=pl.Int64)
    ).with_columns(probability=pl.col("drawn") / pl.col("size"), weight=pl.col("size") / pl.col("drawn"))
    lots = pl.Series("_lot", [lot(config.seed, c) for c in population["case_id"]], dtype=pl.UInt64)
    ranked = population.with_columns(lots).join(strata, on="stratum")
    rank = pl.col("_lot").rank("ordinal").over("stratum", order_by="case_id")
    drawn = ranked.with_columns(_rank=rank).filter(pl.col("_rank") <= pl.col("drawn"))
    case_columns = drawn.select(
        "case_id",
        "stratum",
        stratum_size="size",
        inclusion_probability=pl.col("probability") / pl.col("_cases"),
        weight=pl.col("weight") * pl.col("_cases"),
    )
    sampled_images = images.drop(case_columns.columns[1:], strict=False).join(
        case_columns, on="case_id", maintain_order="left"
    )
    order = [*images.columns, "stratum_size", "inclusion_probability"]
    sampled_images = sampled_images.select(
        [c for c in dict.fromkeys([*order, *case_columns.columns]) if c in sampled_images.columns]
    )
    design = {"config": runs.plain(config), "cases": sorted(case_columns["case_id"].to_list())}
    sampled_images = tables.check(sampled_images, "images", where="the sample")
    strata = strata.select(pl.col(c).cast(t) for c, t in _STRATA.items())
    return Sample(sampled_images, strata, (*_notes(strata, config), *empty), runs.fingerprint(design))


def _cases(
    images: pl.DataFrame, labels: pl.DataFrame, config: SampleConfig, vocabulary: findings.Vocabulary
) -> pl.DataFrame:
    """case_id and stratum of every case of the population."""
    columns = [c for c in config.by if c != "finding"]
    missing = [c for c in columns if c not in images.columns]
    if missing:
        raise InputError(
            "sample.by",
            "finding, or columns of the images",
            f"'{missing[0]}'",
            do=did_you_mean(missing[0], ["finding", *images.columns]),
        )
    split = pl.col("split").cast(pl.String).fill_null("")
    chosen = images.filter(split == config.split) if config.split else images
    if not chosen.height:
        splits = images.select(split)["split"].unique().sort().to_list()
        raise InputError("sample.split", f"images of the split '{config.split}'", "none", examples=splits)
    parts = [pl.col(c).cast(pl.String).fill_null(_UNSTATED).unique().sort().str.join("+").alias(c) for c in columns]
    cases = chosen.group_by("case_id").agg(parts).sort("case_id")
    if "finding" in config.by:
        cases = cases.join(_rarest(labels, cases, config.label_source, vocabulary), on="case_id", how="left")
        cases = cases.with_columns(pl.col("finding").fill_null(_UNSTATED))
    return cases.select("case_id", *config.by, stratum=pl.concat_str(*config.by, separator=" / "))


def _empty_cells(population: pl.DataFrame, config: SampleConfig) -> tuple[str, ...]:
    """Note the number of combinations of the stratum variables without a case."""
    cells = int(np.prod([population[c].n_unique() for c in config.by]))
    empty = cells - population["stratum"].n_unique()
    return (f"{empty} of {cells} combinations of {', '.join(config.by)} hold no case",) if empty else ()


def _of_patients(population: pl.DataFrame, images: pl.DataFrame, config: SampleConfig) -> pl.DataFrame:
    """case_id, stratum and `_cases`: 1, or with `one_per_patient` the patient's number of cases."""
    if not config.one_per_patient:
        return population.select("case_id", "stratum", _cases=pl.lit(1))
    cases = population.join(images.select("case_id", "patient_id").unique("case_id"), on="case_id")
    # independent random numbers for the first stage: the second stage must not depend on them
    lots = pl.Series("_first", [lot(config.seed, f"one of a patient {c}") for c in cases["case_id"]], dtype=pl.UInt64)
    cases = cases.with_columns(lots, _cases=pl.len().over("patient_id")).sort("_first", "case_id")
    return cases.unique("patient_id", keep="first").select("case_id", "stratum", "_cases")


def _rarest(labels: pl.DataFrame, cases: pl.DataFrame, source: str, vocabulary: findings.Vocabulary) -> pl.DataFrame:
    """case_id and its finding with the fewest cases among those present; ties are resolved by the vocabulary's
    order.
    """
    sources = labels["source"].cast(pl.String).unique().sort().to_list()
    if source and source not in sources:
        raise InputError(
            "sample.label_source", f"one of {', '.join(sources)}", f"'{source}'", do=did_you_mean(source, sources)
        )
    if not source and len(sources) > 1:
        raise InputError("sample.label_source", "the label source that strata are made by", "several", examples=sources)
    own = labels.filter(pl.col("source").cast(pl.String) == source) if source else labels
    own = own.join(cases.select("case_id"), on="case_id", how="semi")
    present = own.filter(
        pl.col("state").cast(pl.String) == "present", pl.col("finding").cast(pl.String) != "no_finding"
    )
    present = present.select("case_id", pl.col("finding").cast(pl.String))
    counts = dict(present["finding"].value_counts().rows())
    order = sorted(vocabulary.ordered(counts), key=lambda f: counts[f])
    rank = {f: i for i, f in enumerate(order)}
    first = present.with_columns(_rank=pl.col("finding").replace_strict(rank, return_dtype=pl.Int64))
    first = first.sort("case_id", "_rank").unique("case_id", keep="first").select("case_id", "finding")
    rarest_by_case = own.select("case_id").unique().join(first, on="case_id", how="left")
    return rarest_by_case.with_columns(pl.col("finding").fill_null(_NONE))


def _allocated(sizes: NDArray[np.int64], config: SampleConfig) -> NDArray[np.int64]:
    """Sample size of each stratum: the floor plus a share of the rest, rounded by largest remainders; sums to n."""
    n = min(config.n, int(sizes.sum()))
    drawn = np.minimum(sizes, config.floor)
    if drawn.sum() > n:
        raise InputError(
            "sample",
            f"at least {drawn.sum():,} cases for {len(sizes)} strata with a floor of {config.floor}",
            f"n = {config.n:,}",
            do="Draw more, or make fewer strata.",
        )
    while (rest := n - int(drawn.sum())) > 0:
        room = sizes - drawn
        power = {"proportional": 1.0, "root": 0.5, "equal": 0.0}[config.allocation]
        share = np.where(room > 0, room.astype(float) ** power, 0.0)
        wanted = np.minimum(rest * share / share.sum(), room)
        more = np.floor(wanted).astype(np.int64)
        short = rest - int(more.sum())
        open_ = np.flatnonzero(room > more)
        order = open_[np.lexsort((open_, -(wanted - more)[open_]))][:short]
        more[order] += 1
        drawn = drawn + more
    return drawn


def _notes(strata: pl.DataFrame, config: SampleConfig) -> tuple[str, ...]:
    total, drawn = int(strata["size"].sum()), int(strata["drawn"].sum())
    unit = "cases, one of each patient," if config.one_per_patient else "cases"
    notes = [f"{drawn:,} of {total:,} {unit} drawn in {strata.height} strata ({', '.join(config.by)})"]
    if config.n > total:
        notes.append(f"{config.n:,} were requested: the whole population was sampled")
    n_complete = strata.filter(pl.col("size") == pl.col("drawn")).height
    if n_complete:
        notes.append(f"{n_complete} strata were sampled completely")
    alone = (
        strata.filter((pl.col("drawn") == 1) & (pl.col("size") > 1)).height + strata.filter(pl.col("size") == 1).height
    )
    if alone:
        notes.append(f"{alone} strata of one case: they add nothing to an estimated variance")
    return tuple(notes)


def sample(cohort: Path | str | Cohort, out: Path | str, config: SampleConfig | None = None, **settings: Any) -> Sample:
    """Draw a sample from a cohort folder and write it: images, labels, strata and flow as Parquet, and run.json.

    Parameters
    ----------
    cohort : path or Cohort
        The cohort.
    out : path
        Folder to write.
    config : SampleConfig, optional
        Design of the sample; None = the defaults.
    **settings
        Fields of SampleConfig that replace those of `config`, such as n=500.

    Returns
    -------
    Sample
        The sample, as from `select_cases` with the cohort's vocabulary.

    Raises
    ------
    InputError
        An invalid cohort or design, or a folder with files that would be replaced and were not written by `sample`.

    Notes
    -----
    `overread evaluate --images OUT/images.parquet` weights every estimate to the population. The flow continues the
    flow of the cohort, so that a report with OUT as its cohort shows all steps from the sources on.
    """
    source_cohort, out = open_cohort(cohort), Path(out)
    config = with_settings(config or SampleConfig(), settings, "sample")
    drawn_sample = select_cases(source_cohort.images, source_cohort.labels, config, vocabulary=source_cohort.vocabulary)
    inputs = {"cohort": Path(cohort)}
    with (
        runs.claimed(out, "sample", (f"{n}.parquet" for n in ("images", "labels", "reads", "flow", "strata"))),
        runs.start(out, "sample", config=config, inputs=inputs, seed=config.seed) as run,
    ):
        cases = drawn_sample.images.select("case_id").unique()
        labels = source_cohort.labels.join(cases, on="case_id", how="semi")
        reads = source_cohort.reads.join(cases, on="case_id", how="semi")
        out_of = source_cohort.images.join(cases, on="case_id", how="anti")
        reason = pl.when(pl.col("split").cast(pl.String).fill_null("") == config.split).then(pl.lit("not drawn"))
        exclusion_reasons = out_of.with_columns(_reason=reason.otherwise(pl.lit("of another split")))
        noted = pl.col("step") == "noted"
        drawn = [left("sample", exclusion_reasons), remaining("sample", drawn_sample.images)]
        flow = pl.concat([source_cohort.flow.filter(~noted), *drawn, source_cohort.flow.filter(noted)])
        for name, frame in (("images", drawn_sample.images), ("labels", labels), ("reads", reads), ("flow", flow)):
            run.output(tables.write(frame, out / f"{name}.parquet", name, vocabulary=source_cohort.vocabulary))
        run.output(tables.write_frame(drawn_sample.strata, out / "strata.parquet"))
        run.note("hash", drawn_sample.hash)
        run.note("vocabulary", findings.record_of(source_cohort.vocabulary))
        run.note("sample", list(drawn_sample.notes))
    return drawn_sample
