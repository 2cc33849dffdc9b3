"""Four small studies, made from a seed, that between them use every analysis of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from scipy.special import expit

from overread import tables

FINDINGS = ("edema", "mass", "no_finding")
READERS = ("r1", "r2", "r3", "r4")


@dataclass(frozen=True)
class SmallStudy:
    """The tables of a study and the configuration of its evaluation."""

    images: pl.DataFrame
    labels: pl.DataFrame
    predictions: pl.DataFrame
    config: dict[str, Any]
    reads: pl.DataFrame | None = None
    models: dict[str, dict[str, Any]] = field(default_factory=dict)


def studies() -> dict[str, SmallStudy]:
    """The studies by name."""
    return {"models": _models(), "sample": _sample(), "readers": _readers(), "pooled": _pooled()}


def _images(rng: np.random.Generator, sites: dict[str, int], **columns: Any) -> pl.DataFrame:
    """Two images of most patients, one of every fourth."""
    site = np.repeat(list(sites), list(sites.values()))
    patient = np.array([f"p{i // 2:04d}" if i % 8 < 6 else f"q{i:04d}" for i in range(site.size)])
    patient = np.char.add(np.char.add(site.astype(str), "-"), patient)
    codes = np.unique(patient, return_inverse=True)[1]
    made = {
        "image_id": [f"i{i:05d}" for i in range(site.size)],
        "patient_id": patient,
        "site": site,
        "sex": rng.choice(["F", "M"], codes.max() + 1)[codes],
        "age_years": rng.integers(5, 95, codes.max() + 1)[codes],
        "view": rng.choice(["PA", "AP"], site.size),
    }
    return tables.check(pl.DataFrame(made | columns), "images")


def _truths(rng: np.random.Generator, n: int, prevalence: float = 0.4) -> dict[str, np.ndarray]:
    found = {f: rng.random(n) < prevalence for f in FINDINGS[:-1]}
    return found | {"no_finding": ~np.logical_or(found["edema"], found["mass"])}


def _labels(images: pl.DataFrame, truths: dict[str, np.ndarray], source: str, changed: Any = None) -> pl.DataFrame:
    frames = []
    for finding, truth in truths.items():
        state = np.where(truth, "present", "absent").astype(object)
        if changed is not None:
            unsure, wrong = changed.random((2, truth.size))
            state = np.where(wrong < 0.1, np.where(truth, "absent", "present"), state)
            state = np.where(unsure < 0.08, "uncertain", state)
        frames.append(
            pl.DataFrame({"case_id": images["image_id"], "finding": finding, "source": source, "state": list(state)})
        )
    return pl.concat(frames)


def _scores(
    rng: np.random.Generator, images: pl.DataFrame, truths: dict[str, np.ndarray], signal: dict[str, Any]
) -> pl.DataFrame:
    site, frames = images["site"].to_numpy(), []
    for finding, truth in truths.items():
        shared = rng.normal(size=truth.size)
        for rater, strength in signal.items():
            each = np.array([strength[s] for s in site]) if isinstance(strength, dict) else strength
            logit = each * truth + 0.8 * shared + 0.6 * rng.normal(size=truth.size) - 1
            score = np.round(expit(logit), 3)  # rounded, so that scores are tied
            made = {"image_id": images["image_id"], "finding": finding, "model": rater, "shift": "none"}
            frames.append(pl.DataFrame(made | {"score": score}))
    return pl.concat(frames)


def _models() -> SmallStudy:
    rng = np.random.default_rng(11)
    images = _images(rng, {"north": 160, "south": 120, "east": 140})
    truths = _truths(rng, images.height)
    labels = pl.concat([_labels(images, truths, "panel"), _labels(images, truths, "report", rng)])
    config = {
        "reference": "report",
        "external_sites": ("east",),
        "subgroup_intersections": (("sex", "view"),),
        "replicates": 200,
    }
    return SmallStudy(images, labels, _scores(rng, images, truths, {"acme": 1.5, "beta": 1.1}), config)


def _sample() -> SmallStudy:
    rng = np.random.default_rng(12)
    n = 240
    stratum = np.where(np.arange(n) < 100, "common", "rare")
    weight = np.where(stratum == "common", 8.0, 1.5)
    images = _images(rng, {"north": n}, stratum=stratum, weight=weight)
    truths = _truths(rng, n)
    config = {"replicates": 200, "finite_population": True}
    return SmallStudy(images, _labels(images, truths, "panel"), _scores(rng, images, truths, {"acme": 1.3}), config)


def _readers() -> SmallStudy:
    rng = np.random.default_rng(13)
    images = _images(rng, {"north": 120})
    truths = _truths(rng, images.height)
    labels = pl.concat([_labels(images, truths, "panel"), _labels(images, truths, "report", rng)])
    rows = []
    for finding, truth in truths.items():
        for k, reader in enumerate(READERS):
            for arm, gain in (("unaided", 1.2), ("aided:score", 1.6)):
                logit = gain * truth + rng.normal(size=truth.size) - 0.6 + 0.1 * k
                call = np.where(logit > 0.1, "present", np.where(logit > 0.0, "uncertain", "absent"))
                made = {"reader": reader, "case_id": images["image_id"], "finding": finding, "arm": arm, "round": 1}
                frame = pl.DataFrame(made | {"score": np.round(10 * expit(logit)), "call": list(call)})
                rows.append(frame.filter(pl.Series(rng.random(truth.size) < (1.0 if finding == "edema" else 0.9))))
    config = {"reference": "panel", "reader_made": ("panel",), "replicates": 200}
    predictions = _scores(rng, images, truths, {"acme": 1.5, "beta": 1.1})
    return SmallStudy(images, labels, predictions, config, reads=tables.check(pl.concat(rows), "reads"))


def _pooled() -> SmallStudy:
    rng = np.random.default_rng(14)
    images = _images(rng, {"north": 80, "south": 80, "east": 120, "west": 120})
    truths = _truths(rng, images.height)
    home = {"north": 1.6, "south": 1.6, "east": 1.5, "west": 1.4}
    one = {
        "north": home | {"south": 1.0, "east": 0.9, "west": 0.9},
        "south": home | {"north": 1.0, "east": 1.0, "west": 0.8},
    }
    signal: dict[str, Any] = {}
    for name, strength in {"all": home, "n": one["north"], "s": one["south"]}.items():
        signal |= {name: strength} | {f"{name}/seed-{k}": strength for k in (1, 2, 3)}
    sites = {"all": ["north", "south"], "n": ["north"], "s": ["south"]}
    models = {rater: {"training_sites": sites[rater.partition("/")[0]]} for rater in signal}
    config = {
        "roles": {"pooled": "all", "single": {"n": "north", "s": "south"}},
        "members": {name: tuple(f"{name}/seed-{k}" for k in (1, 2, 3)) for name in sites},
        "subgroups": ("sex",),
        "replicates": 200,
    }
    labels = _labels(images, truths, "panel")
    return SmallStudy(images, labels, _scores(rng, images, truths, signal), config, models=models)
