"""Simulated readers: answers that depend on the true severity of a finding and on the reader's properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import polars as pl
from scipy.special import logit, ndtr

from overread import tables
from overread.errors import InputError
from overread.findings import load as load_vocabulary
from overread.simulation.rays import Array


@dataclass(frozen=True)
class Reader:
    """A simulated reader.

    Parameters
    ----------
    name : str
        Name of the reader.
    skill : float
        Distance between absent and severity 0.5, in standard deviations of the reader's noise.
    bias : float
        Shift of every answer towards "present".
    consistency : float
        Fraction of the noise that is repeated when the reader reads a case again.
    unsure : float
        Half width of the interval that is called "uncertain".
    trust : float
        Weight of a model's log odds in aided arms.
    """

    name: str
    skill: float = 2.2
    bias: float = 0.0
    consistency: float = 0.7
    unsure: float = 0.0
    trust: float = 0.4


def panel(count: int, *, rng: np.random.Generator, skill: float = 2.2, spread: float = 0.35) -> tuple[Reader, ...]:
    """Draw readers whose skill and bias vary about the mean.

    Parameters
    ----------
    count : int
        Number of readers, named "reader-1" and so on.
    rng : Generator
        Random number generator.
    skill : float
        Mean skill.
    spread : float
        Standard deviation of skill and of bias.

    Returns
    -------
    tuple of Reader
        The readers.
    """
    skills = np.maximum(rng.normal(skill, spread, count), 0.2)
    biases = rng.normal(0.0, spread, count)
    return tuple(
        Reader(f"reader-{k + 1}", float(s), float(b)) for k, (s, b) in enumerate(zip(skills, biases, strict=True))
    )


def evidence(severity: Array) -> Array:
    """Visibility of a finding by severity: 0 if absent, 1 at severity 0.5."""
    return np.where(np.asarray(severity) > 0, 0.4 + 1.2 * np.asarray(severity), 0.0)


def reads(
    truth: pl.DataFrame,
    readers: Sequence[Reader],
    *,
    rng: np.random.Generator,
    arms: Mapping[str, pl.DataFrame | None] = MappingProxyType({"unaided": None}),
    correlation: float = 0.4,
) -> pl.DataFrame:
    """Simulate the answers of readers with known skill as a table of reads.

    Parameters
    ----------
    truth : DataFrame
        case_id, finding and severity (0 = absent).
    readers : sequence of Reader
        The readers.
    rng : Generator
        Random number generator.
    arms : mapping
        Name of the arm -> predictions of a model that the readers see (case_id, finding, score = probability), or
        None.
    correlation : float
        Fraction of the noise variance that belongs to the case and is common to all readers.

    Returns
    -------
    DataFrame
        reader, case_id, finding, arm, round, score and call.

    Raises
    ------
    InputError
        Columns are missing, or a model lacks a score.

    Notes
    -----
    Binormal model: the latent value of a reader is skill * evidence(severity) + bias + noise of variance 1, so that
    the AUC for severity s is Phi(skill * evidence(s) / sqrt(2)). The score is Phi(latent - skill / 2), and the call is
    "present" from 0.5 on.

    References
    ----------
    Dorfman, Berbaum, Metz 1992, doi:10.1097/00004424-199209000-00015.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> truth = pl.DataFrame({"case_id": ["a", "b"], "finding": "edema", "severity": [0.9, 0.0]})
    >>> reads(truth, [Reader("r", skill=9.0)], rng=np.random.default_rng(0))["call"].to_list()
    ['present', 'absent']
    """
    _check(truth, readers, correlation)
    cases = truth.select("case_id", "finding", "severity").drop_nulls("severity")
    shown = evidence(cases["severity"].to_numpy())
    shared = rng.standard_normal(len(cases))
    frames = []
    for reader in readers:
        own = rng.standard_normal(len(cases))
        for arm, model in arms.items():
            fresh = rng.standard_normal(len(cases))
            lasting = np.sqrt(reader.consistency) * own + np.sqrt(1.0 - reader.consistency) * fresh
            noise = np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * lasting
            latent = reader.skill * shown + reader.bias + noise + reader.trust * _advice(cases, model, arm)
            frames.append(_answers(cases, reader, arm, latent))
    reads_table = tables.fill(pl.concat(frames), "reads")
    return tables.check(reads_table, "reads", where="simulated reads", vocabulary=load_vocabulary("chest"))


def _answers(cases: pl.DataFrame, reader: Reader, arm: str, latent: Array) -> pl.DataFrame:
    distance = latent - 0.5 * reader.skill
    call = np.where(np.abs(distance) < reader.unsure, "uncertain", np.where(distance >= 0, "present", "absent"))
    return cases.select(
        pl.lit(reader.name).alias("reader"),
        "case_id",
        "finding",
        pl.lit(arm).alias("arm"),
        pl.lit(1, dtype=pl.Int32).alias("round"),
        pl.Series("score", ndtr(distance)),
        pl.Series("call", call.tolist()),
    )


def _advice(cases: pl.DataFrame, model: pl.DataFrame | None, arm: str) -> Array:
    if model is None:
        return np.zeros(len(cases))
    scores = cases.join(
        model.select("case_id", "finding", "score"), on=["case_id", "finding"], how="left", maintain_order="left"
    )
    without = scores.filter(pl.col("score").is_null())
    if len(without):
        raise InputError(
            f"arm '{arm}'",
            "a model score for every case that is read",
            f"{len(without)} without",
            examples=without["case_id"],
        )
    return np.asarray(logit(np.clip(scores["score"].to_numpy(), 1e-3, 1 - 1e-3)))


def _check(truth: pl.DataFrame, readers: Sequence[Reader], correlation: float) -> None:
    missing = [name for name in ("case_id", "finding", "severity") if name not in truth.columns]
    if missing:
        raise InputError("truth", "columns case_id, finding, severity", f"no {', '.join(missing)}")
    if not readers:
        raise InputError("readers", "at least one reader", "none")
    if not 0.0 <= correlation <= 1.0:
        raise InputError("correlation", "a share from 0 to 1", str(correlation))
