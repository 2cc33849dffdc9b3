"""Coverage of the 95 % intervals of the AUC over pairs within sites, and of the AUC of all pairs minus it.

    python validation/site_aggregation_coverage.py [--samples 10000]

Sites differ in size, prevalence, level of the scores and separation. Scores are normal with equal variances, so that
the AUC of a present case of site k and an absent case of site l is Phi((separation_k + level_k - level_l) / sqrt(2)).
The expected number of pairs is N_k (N_k - 1) p_k (1 - p_k) within a site and N_k p_k N_l (1 - p_l) between two sites.
Both estimands follow. The Monte-Carlo standard error of a coverage of 0.95 is 0.0022 at 10,000 samples.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from overread.stats import roc

KINDS = ("wald", "logit-t")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sites:
    """Sites of a study: patients, prevalence, level of the scores and separation of each, all (n_sites,)."""

    title: str
    patients: NDArray[np.intp]
    prevalence: Floats
    level: Floats
    separation: Floats
    images: int = 1  # of each patient
    correlation: float = 0.0  # of the scores of a patient, beyond the truth

    def truths(self) -> tuple[float, float]:
        """The AUC over pairs within sites, and over all pairs."""
        cases, p = self.patients * self.images, self.prevalence
        pairs = np.outer(cases * p, cases * (1 - p))
        np.fill_diagonal(pairs, self.patients * (self.patients - 1) * self.images**2 * p * (1 - p))
        auc = norm.cdf((self.separation[:, None] + self.level[:, None] - self.level[None, :]) / np.sqrt(2))
        within, auc_within = np.diag(pairs), np.diag(auc)
        own = cases * (self.images - 1) * p * (1 - p)  # pairs of images of one patient
        auc_own = norm.cdf(self.separation / np.sqrt(2 * (1 - self.correlation)))
        concordant, n_own = float((own * auc_own).sum()), float(own.sum())
        return (
            float((within * auc_within).sum() + concordant) / (float(within.sum()) + n_own),
            float((pairs * auc).sum() + concordant) / (float(pairs.sum()) + n_own),
        )


def cells(rng: np.random.Generator) -> list[Sites]:
    """The studies of the table."""

    def sites(title: str, n: int, size: tuple[int, int], prevalence: tuple[float, float], spread: float) -> Sites:
        patients = rng.integers(size[0], size[1] + 1, n)
        shares = rng.uniform(*prevalence, n)
        rank = np.argsort(np.argsort(shares))  # more patients with the finding, higher scores
        level = spread * norm.ppf((rank + 0.5) / n)
        return Sites(title, patients, shares, level, rng.normal(1.2, 0.4 * spread, n))

    many = (25, (20, 80))
    return [
        sites("2 sites of 150, alike", 2, (150, 150), (0.3, 0.3), 0.0),
        sites("25 sites of 20 to 80, alike, prevalence 0.1", *many, (0.1, 0.1), 0.0),
        sites("25 sites of 20 to 80, unlike, prevalence 0.02 to 0.3", *many, (0.02, 0.3), 0.5),
        sites("25 sites of 20 to 80, unlike, prevalence 0.01 to 0.05", *many, (0.01, 0.05), 0.5),
        sites("100 sites of 5 to 20, unlike, prevalence 0.1 to 0.3", 100, (5, 20), (0.1, 0.3), 0.5),
        replace(
            sites("25 sites of 10 to 40, unlike, 3 images each, prevalence 0.1 to 0.3", 25, (10, 40), (0.1, 0.3), 0.5),
            images=3,
            correlation=0.5,
        ),
    ]


def study(sites: Sites, samples: int, rng: np.random.Generator) -> None:
    """Print the row of one study."""
    site = np.repeat(np.arange(sites.patients.size), sites.patients * sites.images)
    patient = np.repeat(np.arange(sites.patients.sum()), sites.images)
    truth, everything = sites.truths()
    hits: Counter[str] = Counter()
    unpaired = values = squares = errors = 0.0
    for _ in range(samples):
        y = rng.random(site.size) < sites.prevalence[site]
        score = np.sqrt(sites.correlation) * rng.normal(size=sites.patients.sum())[patient]
        score += np.sqrt(1 - sites.correlation) * rng.normal(size=y.size)
        score += sites.level[site] + sites.separation[site] * y
        for kind in KINDS:
            got = roc.stratified_auc(y, score, site, cluster=patient, interval=kind)
            hits[kind] += got.low <= truth <= got.high
        whole, influence = roc.influence(y, score, cluster=patient)
        within, part = roc.influence(y, score, cluster=patient, stratum=site)
        error = float(roc.influence_covariance(influence - part, cluster=patient)[0, 0]) ** 0.5
        hits["difference"] += abs(whole - within - (everything - truth)) <= 1.959963984540054 * error
        both = np.bincount(site[y], minlength=sites.patients.size) > 0
        unpaired += (~both).sum()
        values, squares, errors = values + got.value, squares + got.value**2, errors + got.se
    sd = (squares / samples - (values / samples) ** 2) ** 0.5
    shares = " | ".join(f"{hits[kind] / samples:.3f}" for kind in (*KINDS, "difference"))
    mean = unpaired / samples
    print(
        f"| {sites.title} | {mean:.1f} | {truth:.3f} | {everything:.3f} | {errors / samples / sd:.3f} | {shares} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    samples = parser.parse_args().samples
    rng = np.random.default_rng(20261130)
    print(
        "| sites | without a pair | AUC within sites | AUC of all pairs | mean SE / SD | wald | logit-t | difference |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for sites in cells(rng):
        study(sites, samples, rng)


if __name__ == "__main__":
    main()
