"""Coverage of the product bootstrap of readers x patients under known truths, as a table.

    python validation/product_bootstrap_coverage.py [--studies 500]

A reader's call is a latent value (case seen by all, reader's own error, reader's bias) cut at .9; the model sees the
case too. Each patient has one to three images of one truth; each image is read by all readers, or by three of them
drawn at random. The target is the mean over 4,000 studies of the same design: what the estimate estimates, its bias
included.
"""

from __future__ import annotations

import argparse

import numpy as np

from overread.stats.reader_studies import product_bootstrap

WHAT = ("sensitivity of the readers", "model - readers, frozen", "model - readers, matched specificity")


def study(
    rng: np.random.Generator, n_readers: int, n_patients: int, crossed: bool
) -> tuple[product_bootstrap.PooledReads, np.ndarray]:
    images = rng.integers(1, 4, n_patients)
    patient = np.repeat(np.arange(n_patients), images)
    truth = (np.arange(n_patients) % 3 == 0)[patient]
    n = patient.size
    shown = 0.5 * rng.normal(size=n_patients)[patient] + 0.4 * rng.normal(size=n)
    score = 1.6 * truth + shown + 0.8 * rng.normal(size=n)
    bias = 0.35 * rng.normal(size=n_readers)
    called = 1.6 * truth + shown + 0.8 * rng.normal(size=(n_readers, n)) + bias[:, None] > 0.9
    reads = np.ones((n_readers, n), dtype=bool)
    if not crossed:
        reads = np.argsort(np.argsort(rng.random((n_readers, n)), axis=0), axis=0) < 3
    reader, case = np.nonzero(reads)
    made = product_bootstrap.pool(
        truth[case],
        called[reader, case],
        reader=reader,
        case=case,
        patient=patient[case],
        shape=(n_readers, n_patients),
    )
    return made, score


def values(made: product_bootstrap.PooledReads, score: np.ndarray, drawn: product_bootstrap.ProductDraws) -> np.ndarray:
    rates, weight = product_bootstrap.pooled_rates(made, drawn), product_bootstrap.cell_weights(made, drawn)
    frozen = product_bootstrap.score_rates(made, [score >= 0.9], weight)[:, 0, 0]
    matched = product_bootstrap.matched_rates(made, score, weight, specificity=rates[:, 1:], sensitivity=rates[:, :0])[
        0
    ][:, 0]
    return np.stack([rates[:, 0], frozen - rates[:, 0], matched - rates[:, 0]])


def main(studies: int) -> None:
    rng = np.random.default_rng(20261125)
    print(f"| readers | patients | reads of an image | {' | '.join(WHAT)} |\n|---|---|---|---|---|---|")
    for n_readers, n_patients, crossed in (
        (3, 150, True),
        (5, 150, True),
        (10, 60, True),
        (10, 150, True),
        (10, 150, False),
        (21, 350, False),
    ):
        everyone = product_bootstrap.once(n_readers, n_patients)
        target = np.nanmean(
            [values(*study(rng, n_readers, n_patients, crossed), everyone)[:, 0] for _ in range(4000)], axis=0
        )
        covered = np.zeros(len(WHAT))
        for _ in range(studies):
            made, score = study(rng, n_readers, n_patients, crossed)
            drawn = product_bootstrap.product_draws(n_readers, n_patients, rng=rng, replicates=400)
            low, high = np.nanquantile(values(made, score, drawn), [0.025, 0.975], axis=1)
            covered += (low <= target) & (target <= high)
        shown = " | ".join(f"{c / studies:.3f}" for c in covered)
        print(f"| {n_readers} | {n_patients} | {'all' if crossed else '3'} | {shown} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500)
    main(parser.parse_args().studies)
