"""Reads tables of reader studies in several arms, from the reference studies and from a simulation."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from overread.evaluation import EvaluationConfig, Evidence, evaluate

REFERENCE = Path(__file__).parents[2] / "reference/mrmc"
EXPECTED = {case["id"]: case["expected"] for case in json.loads((REFERENCE / "expected.json").read_text())["cases"]}
FINDING = "nodule"


def from_reference(name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The reads and labels of a reference study: its modalities are the arms, its scores are ratings."""
    rows = pl.read_csv(REFERENCE / name, schema_overrides=dict.fromkeys(("reader", "modality", "case"), pl.String))
    reads = rows.drop_nulls("score").select(
        "reader",
        pl.col("case").alias("case_id"),
        pl.lit(FINDING).alias("finding"),
        pl.col("modality").alias("arm"),
        pl.col("score").cast(pl.Float64),
    )
    return reads, labels_of(rows.select("case", "truth").unique(maintain_order=True).rows())


def labels_of(truths, source="ct") -> pl.DataFrame:
    """Labels from pairs of a case and 0 or 1."""
    rows = [(case, FINDING, source, "present" if truth else "absent") for case, truth in truths]
    return pl.DataFrame(rows, schema=["case_id", "finding", "source", "state"], orient="row")


def simulated(seed=0, *, n_readers=5, n_cases=80, arms=("unaided", "aided"), calls=False):
    """Crossed reads of ratings 1 to 5, or of calls, in which later arms are slightly better."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_cases) % 2 == 0
    case = rng.normal(size=n_cases)
    names = [f"c{i:03d}" for i in range(n_cases)]
    frames = []
    for k, arm in enumerate(arms):
        for r in range(n_readers):
            latent = case + 0.7 * rng.normal(size=n_cases) + (1.2 + 0.2 * k) * y + 0.1 * r
            rating = np.clip(np.round(latent + 2.5), 1, 5)
            answer = {"call": np.where(rating > 3, "present", "absent")} if calls else {"score": rating}
            frames.append(pl.DataFrame({"reader": f"r{r}", "case_id": names, "finding": FINDING, "arm": arm, **answer}))
    return pl.concat(frames), labels_of(zip(names, y, strict=True))


def study(reads, labels, images=None, **settings) -> Evidence:
    """The evidence of reads alone."""
    sittings = settings.pop("sittings", None)
    config = EvaluationConfig(replicates=100, subgroups=(), **settings)
    return evaluate(images, labels, None, config, rng=0, reads=reads, sittings=sittings)


def pick(evidence: Evidence, **equals) -> dict:
    """The only row with these values."""
    found = evidence.estimates.filter(**{"reference": "ct", **equals})
    assert found.height == 1, (equals, found.height)
    return found.row(0, named=True)
