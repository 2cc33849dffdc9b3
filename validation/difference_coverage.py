"""Coverage of the intervals for the signed difference and the ratio of two groups, as a table.

    python validation/difference_coverage.py [--studies 2000]

AUCs: normal scores, AUC = Phi(separation / sqrt(2)). Rates: the share of hits among the cases of a group. Groups have
different patients with two images each, whose scores (or hits) are correlated. The intervals are those of the module
`overread.evaluation.subgroups.group_differences`. The Monte-Carlo standard error of a coverage of 0.95 is 0.005 at
2,000 studies.
"""

from __future__ import annotations

import argparse
from math import sqrt

import numpy as np
from scipy.stats import norm

from overread.evaluation.context.auc_terms import AucTerm
from overread.evaluation.context.estimate_rows import Counts
from overread.evaluation.subgroups.case_groups import GroupPair
from overread.evaluation.subgroups.group_differences import GroupTerms, ratio_estimate, signed_estimate
from overread.stats.roc.influence_values import influence

PAIR = GroupPair("sex", "F", "M", True)


def term(value: float, influences: np.ndarray, first: int, unseen: float = 0.0) -> AucTerm:
    """A term of patients with two images each, scaled as in the evaluation: squares sum to the variance."""
    summed = influences.reshape(-1, 2).sum(axis=1)
    n = summed.size
    return AucTerm(value, np.arange(first, first + n), summed * sqrt(n / (n - 1)), Counts(), unseen=unseen)


def auc(rng: np.random.Generator, separation: float, n: tuple[int, int], first: int) -> AucTerm:
    y = np.repeat(np.arange(sum(n)) < n[0], 2)
    own = np.repeat(rng.normal(size=sum(n)), 2)
    value, influences = influence(y, sqrt(0.5) * own + sqrt(0.5) * rng.normal(size=y.size) + separation * y)
    return term(value, influences, first)


def rate(rng: np.random.Generator, share: float, n: tuple[int, int], first: int) -> AucTerm:
    own = np.repeat(rng.normal(size=n[0]), 2)
    hit = sqrt(0.5) * own + sqrt(0.5) * rng.normal(size=2 * n[0]) < norm.ppf(share)
    value, m = float(hit.mean()), n[0]
    p = (value * m + 1) / (m + 2)  # as in `rate_term`
    return term(value, (hit - value) / hit.size, first, unseen=p * (1 - p) / m if value in (0, 1) else 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    rng = np.random.default_rng(20261130)
    print(
        "| metric | patients per group (present, absent) | values | difference | coverage, difference | p < 0.05 "
        "| coverage, ratio |"
    )
    print("|---|---|---|---|---|---|---|")
    sizes = [(20, 20), (20, 80), (50, 150), (200, 400)]
    cells = [(auc, pair, n) for n in sizes for pair in ((1.2, 1.2), (1.2, 0.9), (2.0, 2.0))]
    cells += [
        (rate, pair, n)
        for n in ((20, 0), (50, 0), (200, 0))
        for pair in ((0.8, 0.8), (0.8, 0.7), (0.95, 0.95), (0.1, 0.1))
    ]
    for draw, (a, b), n in cells:
        true = (norm.cdf(a / sqrt(2)), norm.cdf(b / sqrt(2))) if draw is auc else (a, b)
        hits = np.zeros(3)
        for _ in range(studies):
            terms = GroupTerms(draw(rng, a, n, 0), draw(rng, b, n, sum(n)))
            found = signed_estimate(terms.named(PAIR), terms.signed(), 2 * sum(n), confidence=0.95)
            ratio = ratio_estimate(PAIR, terms, 2 * sum(n), confidence=0.95)
            hits += (
                found.low <= true[0] - true[1] <= found.high,
                found.p < 0.05,
                ratio.low <= true[0] / true[1] <= ratio.high,
            )
        shares = " | ".join(f"{h / studies:.3f}" for h in hits)
        name, values = ("AUC" if draw is auc else "rate"), f"{true[0]:.2f}, {true[1]:.2f}"
        where = f"{n[0]}, {n[1]}" if draw is auc else f"{n[0]}"
        print(f"| {name} | {where} | {values} | {true[0] - true[1]:.3f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
