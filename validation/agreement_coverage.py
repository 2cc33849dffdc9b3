"""Coverage of the 95 % intervals of agreement under known truths, and what Dawid-Skene finds again, as tables.

    python validation/agreement_coverage.py [--samples 2000]

Readers err independently given the truth of a case (sensitivity 0.8, specificity 0.9 unless said otherwise), so that
the true coefficients follow from the prevalence; cases of a patient share a prevalence drawn from a beta distribution.
The Monte-Carlo standard error of a coverage of 0.95 is 0.005 at 2,000 samples (0.014 where patients are resampled, in
every eighth sample with 500 replicates). An interval that cannot be given covers nothing. The tests repeat the main
cells with fewer samples and assert on them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from overread.stats.agreement import (
    bland_altman,
    cohen_kappa,
    dawid_skene,
    fleiss_kappa,
    gwet_ac,
    icc,
    krippendorff_alpha,
    majority,
    percent_agreement,
)
from overread.stats.estimate import Estimate

Floats = NDArray[np.float64]
SENSITIVITY, SPECIFICITY = 0.8, 0.9
COEFFICIENTS = {
    "percent": percent_agreement,
    "kappa": lambda r, **k: cohen_kappa(r[:, 0], r[:, 1], **k),
    "fleiss": fleiss_kappa,
    "ac1": gwet_ac,
    "alpha": krippendorff_alpha,
}


def covers(estimate: Estimate, truth: float) -> bool:
    return bool(estimate.low <= truth <= estimate.high)


def truths(prevalence: float, sensitivity: Floats, specificity: Floats) -> dict[str, float]:
    """The coefficients of endless cases whose readers are drawn from these; kappa where the readers are alike."""
    call = np.array([sensitivity, 1 - specificity])  # (truth, reader) chance of a call
    share = prevalence * call[0].mean() + (1 - prevalence) * call[1].mean()
    both = [c[:, None] * c + (1 - c[:, None]) * (1 - c) for c in call]
    pairs = ~np.eye(len(sensitivity), dtype=bool)
    percent = prevalence * both[0][pairs].mean() + (1 - prevalence) * both[1][pairs].mean()
    by_chance = share**2 + (1 - share) ** 2
    beyond = (percent - by_chance) / (1 - by_chance)
    return {
        "percent": percent,
        "kappa": beyond,
        "fleiss": beyond,
        "alpha": beyond,
        "ac1": 1 - (1 - percent) / by_chance,
    }


def reads(rng: np.random.Generator, y: NDArray[np.bool_], sensitivity: Floats, specificity: Floats) -> Floats:
    right = rng.random((y.size, sensitivity.size)) < np.where(y[:, None], sensitivity, specificity)
    return np.where(right, y[:, None], ~y[:, None]).astype(np.float64)


def independent(samples: int, rng: np.random.Generator) -> None:
    print("| cases | prevalence | true kappa | " + " | ".join(COEFFICIENTS) + " |\n|" + "---|" * 8)
    se, sp = np.full(3, SENSITIVITY), np.full(3, SPECIFICITY)
    for n, prevalence in ((30, 0.3), (100, 0.3), (300, 0.3), (100, 0.05), (300, 0.05), (1000, 0.05)):
        true, hits = truths(prevalence, se, sp), Counter()
        for _ in range(samples):
            ratings = reads(rng, rng.random(n) < prevalence, se, sp)
            hits.update({k: covers(f(ratings), true[k]) for k, f in COEFFICIENTS.items()})
        shares = " | ".join(f"{hits[k] / samples:.3f}" for k in COEFFICIENTS)
        print(f"| {n} | {prevalence} | {true['kappa']:.2f} | {shares} |", flush=True)


def clustered(samples: int, rng: np.random.Generator) -> None:
    print("\n| patients | cases each | interval | " + " | ".join(COEFFICIENTS) + " |\n|" + "---|" * 8)
    se, sp = np.full(3, SENSITIVITY), np.full(3, SPECIFICITY)
    true = truths(0.3, se, sp)
    for patients, each, runs in ((30, 3, samples), (100, 3, samples), (100, 8, samples)):
        hits: dict[str, Counter[str]] = {
            "by patient": Counter(),
            "resampled": Counter(),
            "ignoring patients": Counter(),
        }
        patient, drawn = np.repeat(np.arange(patients), each), 0
        for run in range(runs):
            y = rng.random(patient.size) < rng.beta(0.15, 0.35, patients)[patient]
            ratings = reads(rng, y, se, sp)
            drawn += run % 8 == 0
            for k, f in COEFFICIENTS.items():
                hits["by patient"][k] += covers(f(ratings, cluster=patient), true[k])
                hits["ignoring patients"][k] += covers(f(ratings), true[k])
                if run % 8 == 0:
                    hits["resampled"][k] += covers(f(ratings, cluster=patient, rng=rng, replicates=500), true[k])
        for name, counted in hits.items():
            shares = " | ".join(f"{counted[k] / (drawn if name == 'resampled' else runs):.3f}" for k in COEFFICIENTS)
            print(f"| {patients} | {each} | {name} | {shares} |", flush=True)


def sparse(samples: int, rng: np.random.Generator) -> None:
    """Each case read by 1 to 3 of 21 readers of unlike skill; with single reads Gwet's error is too large."""
    names = [k for k in COEFFICIENTS if k != "kappa"]
    print("\n| cases | reads of a case | interval | " + " | ".join(names) + " |\n|" + "---|" * 7)
    se, sp = np.linspace(0.6, 0.95, 21), np.linspace(0.97, 0.8, 21)
    true = truths(0.2, se, sp)
    for n, least in ((300, 3), (300, 1)):
        analytic, ratio, resampled, drawn = Counter(), Counter(), Counter(), 0
        for run in range(samples):
            ratings = reads(rng, rng.random(n) < 0.2, se, sp)
            order = rng.random(ratings.shape).argsort(axis=1).argsort(axis=1)
            ratings[order >= rng.integers(least, 4, n)[:, None]] = np.nan
            drawn += run % 8 == 0
            for k in names:
                analytic[k] += covers(COEFFICIENTS[k](ratings), true[k])
                ratio[k] += covers(COEFFICIENTS[k](ratings, cluster=np.arange(n)), true[k])
                if run % 8 == 0:
                    resampled[k] += covers(COEFFICIENTS[k](ratings, rng=rng, replicates=500), true[k])
        rows = (("Gwet's", analytic, samples), ("by patient", ratio, samples), ("resampled", resampled, drawn))
        for name, counted, total in rows:
            shares = " | ".join(f"{counted[k] / total:.3f}" for k in names)
            print(f"| {n} | {least if least == 3 else '1 to 3'} | {name} | {shares} |", flush=True)


def correlations(samples: int, rng: np.random.Generator) -> None:
    print(
        "\n| cases | readers | reader variance / error variance | agreement | consistency | one-way |\n|" + "---|" * 6
    )
    for n, k, level in ((30, 3, 0.1), (30, 3, 1.0), (30, 6, 1.0), (100, 6, 1.0), (100, 21, 1.0), (100, 6, 0.1)):
        hits: Counter[str] = Counter()
        for _ in range(samples):
            case, error = sqrt(2) * rng.normal(size=(n, 1)), rng.normal(size=(n, k))
            ratings = case + sqrt(level) * rng.normal(size=k) + error
            hits["agreement"] += covers(icc(ratings), 2 / (3 + level))
            hits["consistency"] += covers(icc(ratings, agreement=False), 2 / 3)
            hits["one-way"] += covers(icc(case + error, model="one-way"), 2 / 3)
        print(f"| {n} | {k} | {level} | " + " | ".join(f"{v / samples:.3f}" for v in hits.values()) + " |", flush=True)


def by_patient(samples: int, rng: np.random.Generator) -> None:
    names = ("icc jackknife", "icc resampled", "icc F", "alpha interval", "bias", "limit", "concordance")
    print("\n| patients | cases each | " + " | ".join(names) + " |\n|" + "---|" * 9)
    for patients, each in ((30, 3), (60, 3), (100, 4)):
        patient, hits, drawn = np.repeat(np.arange(patients), each), Counter(), 0
        for run in range(samples):
            case = sqrt(1.6) * rng.normal(size=patients)[patient] + sqrt(0.4) * rng.normal(size=patient.size)
            own = sqrt(0.3) * rng.normal(size=(2, patients))[:, patient]  # what a reader misjudges in this patient
            ratings = case[:, None] + rng.normal(size=(patient.size, 2))
            a, b = (
                case + own[0] + sqrt(0.2) * rng.normal(size=case.size),
                case + own[1] + sqrt(0.2) * rng.normal(size=case.size),
            )
            made = bland_altman(a, b, cluster=patient)
            one_way = {"model": "one-way"}
            drawn += run % 8 == 0
            hits[names[0]] += covers(icc(ratings, cluster=patient, **one_way), 2 / 3)
            if run % 8 == 0:
                hits[names[1]] += covers(icc(ratings, cluster=patient, rng=rng, replicates=500, **one_way), 2 / 3)
            hits[names[2]] += covers(icc(ratings, **one_way), 2 / 3)
            hits[names[3]] += covers(krippendorff_alpha(ratings, level="interval", cluster=patient), 2 / 3)
            hits[names[4]] += covers(made.bias, 0.0)
            hits[names[5]] += covers(made.upper, 1.96)
            hits[names[6]] += covers(made.concordance, 2 / 2.5)
        shares = " | ".join(f"{hits[k] / (drawn if k == names[1] else samples):.3f}" for k in names)
        print(f"| {patients} | {each} | {shares} |", flush=True)


def found_again(studies: int, rng: np.random.Generator) -> None:
    """Sensitivity 0.65 to 0.9, specificity 0.8 to 0.95; hard cases: a quarter on which every reader is at 0.55."""
    head = ("cases", "reads of a case", "hard cases", "right by majority (ties half)", "right by Dawid-Skene")
    head += ("sensitivity found minus true, mean", "root mean square")
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for n, k, hard in ((1000, 3, 0.0), (1000, 7, 0.0), (1000, 21, 0.0), (1000, 7, 0.25)):
        counted, found, off = [], [], []
        for _ in range(studies):
            se, sp = rng.uniform(0.65, 0.9, 21), rng.uniform(0.8, 0.95, 21)
            y, difficult = rng.random(n) < 0.2, rng.random(n) < hard
            ratings = reads(rng, y, se, sp)
            ratings[difficult] = reads(rng, y[difficult], np.full(21, 0.55), np.full(21, 0.55))
            ratings[rng.random(ratings.shape).argsort(axis=1).argsort(axis=1) >= k] = np.nan
            fit, vote = dawid_skene(ratings, tolerance=1e-8), majority(ratings)
            counted.append(np.mean(vote.winner == y) + 0.5 * vote.tied.mean())
            found.append(np.mean(fit.winner == y))
            off.append(fit.sensitivity - ((1 - hard) * se + hard * 0.55))
        share = f"{np.mean(counted):.3f} | {np.mean(found):.3f}"
        error = f"{np.mean(off):+.3f} | {np.sqrt(np.mean(np.square(off))):.3f}"
        print(f"| {n} | {k} of 21 | {hard:.0%} | {share} | {error} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2_000)
    samples = parser.parse_args().samples
    rng = np.random.default_rng(20261125)
    for study in (independent, clustered, sparse, correlations, by_patient):
        study(samples, rng)
    found_again(max(samples // 20, 1), rng)


if __name__ == "__main__":
    main()
