"""Small studies made for these tests: images, labels and predictions whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from overread import tables


@dataclass(frozen=True)
class Made:
    images: pl.DataFrame
    labels: pl.DataFrame
    predictions: pl.DataFrame


@dataclass(frozen=True)
class Plan:
    """raters: signal by rater, a number or one by site; sites: patients by site, each with `per_patient` images."""

    raters: Mapping[str, float | Mapping[str, float]] = field(default_factory=lambda: {"acme": 1.5})
    sites: Mapping[str, int] = field(default_factory=lambda: {"a": 120})
    findings: Sequence[str] = ("edema", "mass")
    per_patient: int = 2
    prevalence: float = 0.4
    seed: int = 0


def _signal(strength: float | Mapping[str, float], sites: np.ndarray) -> np.ndarray:
    if isinstance(strength, Mapping):
        return np.array([strength[s] for s in sites])
    return np.full(len(sites), strength)


def make(plan: Plan) -> Made:
    rng = np.random.default_rng(plan.seed)
    site = np.repeat([s for s, n in plan.sites.items() for _ in range(n)], plan.per_patient)
    patient = np.repeat([f"{s}-{i}" for s, n in plan.sites.items() for i in range(n)], plan.per_patient)
    n = len(site)
    image = [f"{i:06d}" for i in range(n)]
    codes = np.unique(patient, return_inverse=True)[1]
    sex, age = rng.choice(["F", "M"], codes.max() + 1)[codes], rng.integers(5, 95, codes.max() + 1)[codes]
    images = pl.DataFrame(
        {
            "image_id": image,
            "patient_id": patient,
            "site": site,
            "sex": sex,
            "age_years": age,
            "view": rng.choice(["PA", "AP"], n),
        }
    )
    labels, predictions = [], []
    for finding in plan.findings:
        own = rng.normal(size=codes.max() + 1)[codes]
        truth = rng.random(n) < plan.prevalence
        state = np.where(truth, "present", "absent")
        labels.append(pl.DataFrame({"case_id": image, "finding": finding, "source": "expert", "state": state}))
        shared = 0.5 * own + rng.normal(size=n)
        for rater, strength in plan.raters.items():
            logit = _signal(strength, site) * truth + 0.8 * shared + 0.6 * rng.normal(size=n) - 1
            made = {"image_id": image, "finding": finding, "model": rater, "shift": "none", "score": expit(logit)}
            predictions.append(pl.DataFrame(made))
    return Made(tables.check(images, "images"), tables.check(pl.concat(labels), "labels"), pl.concat(predictions))


@pytest.fixture(scope="session")
def made() -> Callable[..., Made]:
    """Make a study: made(raters={"acme": 1.5}, sites={"a": 120}, …)."""
    return lambda **plan: make(Plan(**plan))
