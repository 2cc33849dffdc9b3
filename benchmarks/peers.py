"""Beside the peers, in one run: paired DeLong and MLstatkit (5x is asked), the bootstrap and scikit-learn (60x).

    pip install MLstatkit scikit-learn && python benchmarks/peers.py [--cases 1000000] [--rounds 3]

MLstatkit's test and ours take the same truth and the same two scores in turn, and must find the same p. A loop of
scikit-learn's roc_auc_score over resamples of the patients is timed for 20 replicates and multiplied to 2,000:
14 findings x 22,433 images; the loop is given the resampled rows ready made, so that only its AUCs are counted. A peer
that is not installed is left out, and the program says so.
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec

import numpy as np
from delong import medians

from overread.stats import roc
from overread.stats.resampling import patient_bootstrap

ASKED_DELONG, ASKED_BOOTSTRAP = 5.0, 60.0
REPLICATES, TIMED = 2000, 20


def delong(n: int, rounds: int) -> None:
    from MLstatkit import Delong_test

    rng = np.random.default_rng(1)
    y = rng.random(n) < 0.2
    common = rng.normal(size=n)
    a, b = (0.7 * common + 0.7 * rng.normal(size=n) + y for _ in range(2))
    whole = y.astype(int)
    theirs, ours = Delong_test(whole, a, b), roc.compare_aucs(y, a, b)
    p = float(theirs[1])
    print(f"p: MLstatkit {p:.6g}, ours {ours.p:.6g}")
    times = medians(
        {"MLstatkit": lambda: Delong_test(whole, a, b), "compare_aucs": lambda: roc.compare_aucs(y, a, b)}, rounds
    )
    ratio = times["MLstatkit"] / times["compare_aucs"]
    for name, seconds in times.items():
        print(f"  paired, {n:,} cases, {name:14} {seconds:7.3f} s")
    print(f"  MLstatkit takes {ratio:.1f} times as long (asked: at least {ASKED_DELONG:.0f})")


def resampling(rounds: int) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(2)
    n, n_patients, findings = 22_433, 6_187, 14
    cluster = rng.integers(0, n_patients, n)
    y = (rng.random((findings, n)) < np.geomspace(0.002, 0.18, findings)[:, None]).astype(float)
    scores = rng.normal(size=(findings, n)) + y
    patient_bootstrap.bootstrap_auc(y[:1], scores[None, :1], rng=rng, cluster=cluster, replicates=16)  # compiles
    counts = patient_bootstrap.draw_counts(cluster, rng=rng, replicates=TIMED)
    rows = [np.repeat(np.arange(n), c[np.unique(cluster, return_inverse=True)[1]]) for c in counts]
    loop = []
    begin = time.perf_counter()
    for drawn in rows:
        loop.append([roc_auc_score(y[f, drawn], scores[f, drawn]) for f in range(findings)])
    seconds = (time.perf_counter() - begin) * REPLICATES / TIMED
    mine = patient_bootstrap.auc_replicates(y, scores[None], counts, cluster=cluster)[:, 0]
    print(f"largest difference of the two in {TIMED} replicates {np.abs(mine - np.array(loop)).max():.1e}")
    whole = {"bootstrap_auc": lambda: patient_bootstrap.bootstrap_auc(y, scores[None], rng=rng, cluster=cluster)}
    ours = medians(whole, rounds)["bootstrap_auc"]
    print(
        f"  {REPLICATES:,} replicates x {findings} findings x {n:,} images: {ours:.2f} s, draws included (asked: 3 s)"
    )
    print(
        f"  scikit-learn's loop {seconds:.0f} s (from {TIMED}): {seconds / ours:.0f} x (asked: {ASKED_BOOTSTRAP:.0f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for peer, program in (
        ("MLstatkit", lambda: delong(given.cases, given.rounds)),
        ("sklearn", lambda: resampling(given.rounds)),
    ):
        if find_spec(peer) is None:
            print(f"{peer} is not installed: left out")
        else:
            program()


if __name__ == "__main__":
    main()
