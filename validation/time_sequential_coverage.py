"""Error of the first kind of the reading-time model, and coverage at all looks at once of the confidence sequences.

    python validation/time_sequential_coverage.py [--studies 2000] [--only rates …]

Prints the tables of docs/reference/statistics-time-sequential.md. The Monte-Carlo standard error of a share of 0.05 is
0.005 at 2,000 studies. The tests repeat some cells with 200 to 400 studies and assert on them.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import norm

from overread.stats import roc
from overread.stats.reader_studies.paired_grades import signed_rank, trust_difference
from overread.stats.reading_time.crossed_effects import mixed_model
from overread.stats.reading_time.time_ratio import reading_time_ratio
from overread.stats.sequential.betting import confidence_sequence

Z = float(norm.isf(0.025))
GRID = 1e-3  # of the limits, rounded outwards


def head(*columns: str) -> None:
    print("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)


def row(*numbers: np.ndarray) -> str:
    return " | ".join(f"{v:.3f}" for v in np.concatenate(numbers))


def reads(readers: int, cases: int, by_arm: float, kept: float, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    """Log seconds with no effect of the arm; variances as in the reference data but that of reader by arm."""
    r, c, a = (z.ravel() for z in np.meshgrid(range(readers), range(cases), range(2), indexing="ij"))
    logs = 3.5 + 0.28 * rng.normal(size=readers)[r] + np.sqrt(by_arm) * rng.normal(size=(readers, 2))[r, a]
    logs += 0.4 * rng.normal(size=cases)[c] + 0.29 * rng.normal(size=r.size)
    keep = rng.random(r.size) < kept
    return logs[keep], {"arm": np.where(a, "aided", "unaided")[keep], "reader": r[keep], "case": c[keep]}


def reading_times(studies: int, rng: np.random.Generator) -> None:
    head(
        "readers",
        "cases",
        "reads kept",
        "variance of reader by arm",
        "with it",
        "without it",
        "t on reader means",
        "est. 0",
    )
    cells = [(r, 60, 1.0, v) for r in (5, 8, 15) for v in (0.0, 0.0007, 0.002, 0.005, 0.02)]
    for readers, cases, kept, by_arm in [*cells, (8, 60, 0.5, 0.005), (4, 200, 1.0, 0.005)]:
        rejected = np.zeros(4)
        for _ in range(studies):
            logs, columns = reads(readers, cases, by_arm, kept, rng)
            whole = reading_time_ratio(np.exp(logs), **columns)
            groups = {key: columns[key] for key in ("reader", "case")}
            without = mixed_model(logs, {"arm": (columns["arm"] == "aided") * 1.0}, groups)
            p = whole.ratio.p, without.contrast({"arm": 1.0}).p, whole.summary.reader_means.p
            rejected += [*(v < 0.05 for v in p), whole.components["reader by arm"] == 0]
        shares = " | ".join(f"{share:.3f}" for share in rejected / studies)
        print(f"| {readers} | {cases} | {kept:.0%} | {by_arm:g} | {shares} |", flush=True)


def trusts(studies: int, rng: np.random.Generator) -> None:
    head("readers", "cases", "signed rank over readers", "t over readers", "signed rank over reads")
    for readers, cases in ((5, 60), (8, 60), (15, 60)):
        rejected = np.zeros(3)
        for _ in range(studies):
            logs, columns = reads(readers, cases, 0.09, 1.0, rng)
            grades = np.clip(np.rint(3 + 2 * (logs - 3.5)), 1, 5)
            got = trust_difference(grades, **columns)
            naive = signed_rank(grades[1::2], grades[::2], method="asymptotic")
            rejected += [got.rank.p < 0.05, got.mean.p < 0.05, naive.p < 0.05]
        print(
            f"| {readers} | {cases} | " + " | ".join(f"{share:.3f}" for share in rejected / studies) + " |", flush=True
        )


def wilson_limits(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = np.arange(1, x.size + 1)
    p = np.cumsum(x) / n
    centre, half = (
        (p + Z**2 / (2 * n)) / (1 + Z**2 / n),
        Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n),
    )
    return centre - half, centre + half


def rates(studies: int, rng: np.random.Generator) -> None:
    head(
        "rate",
        "cases",
        "sequence, all looks",
        "Wilson, all looks from 20",
        "Wilson, 10 looks",
        "Wilson, last look",
        "width, sequence",
        "width, Wilson",
    )
    for rate, cases in ((0.5, 500), (0.9, 100), (0.9, 500), (0.9, 2000), (0.98, 500)):
        hits, widths = np.zeros(4), np.zeros(2)
        for _ in range(studies):
            x = rng.random(cases) < rate
            got = confidence_sequence(x * 1.0, resolution=GRID)
            low, high = wilson_limits(x)
            inside = (low <= rate) & (rate <= high)
            ten = np.linspace(cases / 10, cases, 10).astype(int) - 1
            hits += [got.excluded_at(rate) is None, inside[19:].all(), inside[ten].all(), inside[-1]]
            widths += [np.nan_to_num(got.high[-1] - got.low[-1]), high[-1] - low[-1]]
        print(f"| {rate} | {cases} | " + row(hits / studies, widths / studies) + " |", flush=True)


def areas_and_calibration(studies: int, rng: np.random.Generator) -> None:
    head(
        "what",
        "truth",
        "cases",
        "sequence, all looks",
        "fixed n, 20 looks",
        "fixed n, last look",
        "width, sequence",
        "width, fixed n",
    )
    for separation, cases in ((1.2, 1000), (2.0, 1000)):
        truth, hits, widths = float(norm.cdf(separation / np.sqrt(2))), np.zeros(3), np.zeros(2)
        for _ in range(studies):
            y = rng.random(cases) < 0.3
            score = rng.normal(size=cases) + separation * y
            n = min(y.sum(), (~y).sum())  # disjoint pairs in the order of arrival, as sequential_auc has them
            got = confidence_sequence((score[y][:n] > score[~y][:n]) * 1.0, resolution=GRID)
            fixed = [roc.auc(y[:n], score[:n]) for n in range(cases // 20, cases + 1, cases // 20)]
            inside = [e.low <= truth <= e.high for e in fixed]
            hits += [got.excluded_at(truth) is None, all(inside), inside[-1]]
            widths += [np.nan_to_num(got.high[-1] - got.low[-1]), fixed[-1].high - fixed[-1].low]
        print(
            f"| AUC, 30 % present | {truth:.3f} | {cases} | " + row(hits / studies, widths / studies) + " |",
            flush=True,
        )
    for shift, cases in ((0.0, 500), (0.0, 2000), (-0.05, 1000)):
        hits, widths = np.zeros(3), np.zeros(2)
        for _ in range(studies):
            probability = rng.beta(1, 4, cases) * 0.9 + 0.05
            y = rng.random(cases) < probability + shift
            got = confidence_sequence(y - probability, lower=-1, upper=1, resolution=GRID)
            d, n = y - probability, np.arange(1, cases + 1)
            mean = np.cumsum(d) / n
            half = Z * np.sqrt(np.maximum(np.cumsum(d**2) / n - mean**2, 0) / n)
            inside = np.abs(mean - shift) <= half
            looks = np.arange(cases // 20, cases + 1, cases // 20) - 1
            hits += [got.excluded_at(shift) is None, inside[looks].all(), inside[-1]]
            widths += [np.nan_to_num(got.high[-1] - got.low[-1]), 2 * half[-1]]
        print(f"| mean of y - p | {shift:g} | {cases} | " + row(hits / studies, widths / studies) + " |", flush=True)


def verified(studies: int, rng: np.random.Generator) -> None:
    """Called cases always verified, others once in four: sensitivity looks too high where this is not weighed."""
    head("sensitivity", "cases", "weighted, all looks", "as if all were verified", "width, weighted")
    for truth in (0.7, 0.9):
        cases, hits, width = 2000, np.zeros(2), 0.0
        for _ in range(studies):
            y = rng.random(cases) < 0.4
            call = rng.random(cases) < np.where(y, truth, 0.2)
            probability = np.where(call, 1.0, 0.25)
            known = np.where(rng.random(cases) < probability, y, np.nan)
            seen = known == 1
            got = confidence_sequence(
                call[seen] * 1.0, weights=1 / probability[seen], largest_weight=4.0, resolution=GRID
            )
            naive = confidence_sequence(call[seen] * 1.0, resolution=GRID)
            hits += [got.excluded_at(truth) is None, naive.excluded_at(truth) is None]
            width += np.nan_to_num(got.high[-1] - got.low[-1])
        print(
            f"| {truth} | {cases} | {hits[0] / studies:.3f} | {hits[1] / studies:.3f} | {width / studies:.3f} |",
            flush=True,
        )


STUDIES = (rates, areas_and_calibration, verified, reading_times, trusts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--only", nargs="*", choices=[study.__name__ for study in STUDIES], default=[])
    arguments = parser.parse_args()
    for seed, study in enumerate(STUDIES, start=20261125):  # each table from a seed of its own
        if not arguments.only or study.__name__ in arguments.only:
            study(arguments.studies, np.random.default_rng(seed))


if __name__ == "__main__":
    main()
