"""A stratified random sample of cases for readers, with what brings its estimates back to the population.

Every case of the population has a known probability of being drawn; its inverse is the case's weight. Strata are the
rarest finding that a case has, by site and view, so that rare findings are there in numbers that an estimate needs.
Cochran 1977, Sampling Techniques, chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import findings, limits, runs, tables
from overread.cohort.building import Cohort, open_cohort
from overread.cohort.selection import draw as lot
from overread.cohort.selection import left, remaining
from overread.errors import InputError, did_you_mean

_ALLOCATIONS = ("proportional", "root", "equal")
_NONE, _UNSTATED = "none present", "not stated"
_STRATA = {"stratum": pl.String, "size": pl.Int64, "drawn": pl.Int64, "probability": pl.Float64, "weight": pl.Float64}


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """How a sample of cases is drawn.

    n: cases in all.
    by: what strata are made of: "finding" (the rarest that is present in the case), and columns of the images such as
        "site" and "view".
    floor: cases of every stratum at least, or all of it where it has fewer; at least 2, below which its variance cannot
        be estimated.
    allocation: how the cases beyond the floors are dealt: "proportional" to what is left of each stratum, to its square
        "root" (between the other two), or "equal".
    one_per_patient: draw one case of each patient first, so that no reader sees a patient twice and cases are
        independent; the weight of a case is then its patient's number of cases times that of the stratum.
    label_source: whose labels say which findings are present; "" = the only source there is.
    split: the split that is the population; "" = every case.
    seed: of the draw.
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
    """The images of the drawn cases with stratum, stratum_size, inclusion_probability and weight; the strata; a hash.

    `hash` is that of the design and the drawn case_ids: two samples of one hash are one sample.
    """

    images: pl.DataFrame
    strata: pl.DataFrame
    notes: tuple[str, ...]
    hash: str


def select_cases(
    images: pl.DataFrame,
    labels: pl.DataFrame,
    config: SampleConfig,
    *,
    vocabulary: findings.Vocabulary | None = None,
) -> Sample:
    """Draw a stratified random sample of cases, without replacement; the same whatever the order of the rows.

    Within each stratum h of N_h cases, n_h are drawn with equal probability n_h / N_h, the inverse of which is the
    weight of the case (constant over its images), so that weights of a stratum sum to N_h exactly. Sizes n_h: first the
    floor (or the whole stratum), then the rest by the allocation with largest remainders; they sum to n. With
    `one_per_patient` one of a patient's m cases is drawn first and strata are made of those: the probability is
    n_h / (N_h m), weights are unbiased for the cases of the population but sum to their number only on average.
    Findings that equally many cases have are ranked in the order of `vocabulary` (None = "chest").

    Raises InputError: no such split, column or label source; several label sources and none named; more floors than n.
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
    kept = drawn.select(
        "case_id",
        "stratum",
        stratum_size="size",
        inclusion_probability=pl.col("probability") / pl.col("_cases"),
        weight=pl.col("weight") * pl.col("_cases"),
    )
    whole = images.drop(kept.columns[1:], strict=False).join(kept, on="case_id", maintain_order="left")
    order = [*images.columns, "stratum_size", "inclusion_probability"]
    whole = whole.select([c for c in dict.fromkeys([*order, *kept.columns]) if c in whole.columns])
    design = {"config": runs.plain(config), "cases": sorted(kept["case_id"].to_list())}
    whole = tables.check(whole, "images", where="the sample")
    strata = strata.select(pl.col(c).cast(t) for c, t in _STRATA.items())
    return Sample(whole, strata, (*_notes(strata, config), *empty), runs.fingerprint(design))


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
        held = images.select(split)["split"].unique().sort().to_list()
        raise InputError("sample.split", f"images of the split '{config.split}'", "none", examples=held)
    parts = [pl.col(c).cast(pl.String).fill_null(_UNSTATED).unique().sort().str.join("+").alias(c) for c in columns]
    cases = chosen.group_by("case_id").agg(parts).sort("case_id")
    if "finding" in config.by:
        cases = cases.join(_rarest(labels, cases, config.label_source, vocabulary), on="case_id", how="left")
        cases = cases.with_columns(pl.col("finding").fill_null(_UNSTATED))
    return cases.select("case_id", *config.by, stratum=pl.concat_str(*config.by, separator=" / "))


def _empty_cells(population: pl.DataFrame, config: SampleConfig) -> tuple[str, ...]:
    """Says how many combinations of what strata are made of hold no case."""
    cells = int(np.prod([population[c].n_unique() for c in config.by]))
    empty = cells - population["stratum"].n_unique()
    return (f"{empty} of {cells} combinations of {', '.join(config.by)} hold no case",) if empty else ()


def _of_patients(population: pl.DataFrame, images: pl.DataFrame, config: SampleConfig) -> pl.DataFrame:
    """case_id, stratum and `_cases`: 1, or with `one_per_patient` the number that the patient's one case stands for."""
    if not config.one_per_patient:
        return population.select("case_id", "stratum", _cases=pl.lit(1))
    cases = population.join(images.select("case_id", "patient_id").unique("case_id"), on="case_id")
    # lots of their own: those of the second stage must not hang on them
    lots = pl.Series("_first", [lot(config.seed, f"one of a patient {c}") for c in cases["case_id"]], dtype=pl.UInt64)
    cases = cases.with_columns(lots, _cases=pl.len().over("patient_id")).sort("_first", "case_id")
    return cases.unique("patient_id", keep="first").select("case_id", "stratum", "_cases")


def _rarest(labels: pl.DataFrame, cases: pl.DataFrame, source: str, vocabulary: findings.Vocabulary) -> pl.DataFrame:
    """case_id, finding: the finding that fewest cases have, among those present; ties by the vocabulary's order."""
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
    stated = own.select("case_id").unique().join(first, on="case_id", how="left")
    return stated.with_columns(pl.col("finding").fill_null(_NONE))


def _allocated(sizes: NDArray[np.int64], config: SampleConfig) -> NDArray[np.int64]:
    """How many are drawn of each stratum: the floors, then the rest by shares with largest remainders; sums to n."""
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
    what = "cases, one of each patient," if config.one_per_patient else "cases"
    notes = [f"{drawn:,} of {total:,} {what} drawn in {strata.height} strata ({', '.join(config.by)})"]
    if config.n > total:
        notes.append(f"{config.n:,} were asked for: the whole population was taken")
    whole = strata.filter(pl.col("size") == pl.col("drawn")).height
    if whole:
        notes.append(f"{whole} strata were taken whole")
    alone = (
        strata.filter((pl.col("drawn") == 1) & (pl.col("size") > 1)).height + strata.filter(pl.col("size") == 1).height
    )
    if alone:
        notes.append(f"{alone} strata of one case: they add nothing to an estimated variance")
    return tuple(notes)


def sample(cohort: Path | str | Cohort, out: Path | str, config: SampleConfig | None = None) -> Sample:
    """Draw a sample from a cohort's folder and write it: images, labels, strata, flow as Parquet, and run.json.

    `overread evaluate --images OUT/images.parquet` then weighs every estimate back to the population. The flow is the
    cohort's, from its sources on, and goes on to what was drawn: a report that takes OUT as its cohort shows it whole.
    """
    held, out, config = open_cohort(cohort), Path(out), config or SampleConfig()
    made = select_cases(held.images, held.labels, config, vocabulary=held.vocabulary)
    inputs = {"cohort": Path(cohort)}
    with (
        runs.claimed(out, "sample", (f"{n}.parquet" for n in ("images", "labels", "reads", "flow", "strata"))),
        runs.start(out, "sample", config=config, inputs=inputs, seed=config.seed) as run,
    ):
        cases = made.images.select("case_id").unique()
        labels = held.labels.join(cases, on="case_id", how="semi")
        reads = held.reads.join(cases, on="case_id", how="semi")
        out_of = held.images.join(cases, on="case_id", how="anti")
        reason = pl.when(pl.col("split").cast(pl.String).fill_null("") == config.split).then(pl.lit("not drawn"))
        judged = out_of.with_columns(_reason=reason.otherwise(pl.lit("of another split")))
        noted = pl.col("step") == "noted"
        drawn = [left("sample", judged), remaining("sample", made.images)]
        flow = pl.concat([held.flow.filter(~noted), *drawn, held.flow.filter(noted)])
        for name, frame in (("images", made.images), ("labels", labels), ("reads", reads), ("flow", flow)):
            run.output(tables.write(frame, out / f"{name}.parquet", name, vocabulary=held.vocabulary))
        run.output(tables.write_frame(made.strata, out / "strata.parquet"))
        run.note("hash", made.hash)
        run.note("vocabulary", findings.record_of(held.vocabulary))
        run.note("sample", list(made.notes))
    return made
