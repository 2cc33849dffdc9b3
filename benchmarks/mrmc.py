"""Time of a multi-reader multi-case analysis, beside the limits that were set for it.

    python benchmarks/mrmc.py

Van Dyke's size (2 arms, 5 readers, 114 cases) in at most 20 ms; 2 arms, 20 readers, 2,000 cases, 14 findings in at most
10 s. Nothing is compiled. The last column is the time of one argsort of each reader's scores, which no analysis of
ranks can go without.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from overread.stats.reader_studies import mrmc


def study(rng: np.random.Generator, n_arms: int, n_readers: int, n_cases: int) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n_cases) < n_cases * 0.4
    case = rng.normal(size=n_cases)
    scores = case + rng.normal(size=(n_arms, n_readers, n_cases)) + 1.5 * y
    return y, np.round(scores, 1)


def best(function: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    rng = np.random.default_rng(1)
    small, large = study(rng, 2, 5, 114), study(rng, 2, 20, 2000)
    missing = large[1].copy()
    missing[:, rng.random(missing.shape[1:]) < 0.5] = np.nan
    print("| study | analysis | seconds | limit | argsort of the scores |\n|---|---|---|---|---|")
    sort = best(lambda: np.argsort(small[1], axis=-1), 20)
    for covariance in ("jackknife", "delong", "unbiased", "u-statistic"):
        took = best(lambda c=covariance: mrmc.compare_arms(*small, covariance=c), 20)
        print(f"| 2 x 5 x 114 | {covariance} | {took:.4f} | 0.020 | {sort:.5f} |", flush=True)
    sort = 14 * best(lambda: np.argsort(large[1], axis=-1), 3)
    for covariance in ("jackknife", "delong", "unbiased", "u-statistic"):
        took = 14 * best(lambda c=covariance: mrmc.compare_arms(*large, covariance=c), 2)
        print(f"| 2 x 20 x 2,000 x 14 | {covariance} | {took:.2f} | 10 | {sort:.3f} |", flush=True)
    patient = np.arange(2000) // 2
    for word, call in {
        "jackknife, patients": lambda: mrmc.compare_arms(*large, cluster=patient),
        "u-statistic, half of the reads missing": lambda: mrmc.compare_arms(
            large[0], missing, covariance="u-statistic"
        ),
        "u-statistic, patients": lambda: mrmc.compare_arms(*large, covariance="u-statistic", cluster=patient),
    }.items():
        print(f"| 2 x 20 x 2,000 x 14 | {word} | {14 * best(call, 1):.2f} | | {sort:.3f} |", flush=True)


if __name__ == "__main__":
    main()
