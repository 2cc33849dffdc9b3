"""Coverage of the 95 % intervals of reader studies under known truths, as tables.

    python validation/mrmc_coverage.py [--studies 2000]

Graded scores come from the model of Roe and Metz (1997): truth + reader + case + arm by reader + arm by case + reader
by case + error, all normal, so that the AUC of the mean of the readers in an arm is
Phi(separation / sqrt(2 x total variance)).
Calls come from such a sum with patients in it, what all see and what only the model sees, cut at each reader's own
threshold. The Monte-Carlo standard error of a coverage of 0.95 is 0.005 at 2,000 studies.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from overread.stats.estimate import Estimate
from overread.stats.reader_studies import mrmc

# Variances of Roe and Metz's structures with low and high variation of readers (reader, reader by arm), and of cases.
READERS = {"low": (0.0055, 0.0055), "high": (0.030, 0.030)}
CASES = {"case": 0.3, "arm by case": 0.3, "reader by case": 0.2, "error": 0.2}


def covers(estimate: Estimate, truth: float) -> bool:
    """NaN limits cover nothing: an interval that cannot be given is counted against the method."""
    return bool(estimate.low <= truth <= estimate.high)


def roe_metz(
    rng: np.random.Generator, n_readers: int, classes: tuple[int, int], spread: str, separation: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth (n_cases,), scores (2, n_readers, n_cases) and what a case shows in every arm (n_cases,)."""
    n_present, n_absent = classes
    y = np.arange(n_present + n_absent) < n_present
    reader, by_arm = READERS[spread]
    k = y.size
    shown = np.sqrt(CASES["case"]) * rng.normal(size=k)
    scores = shown + np.sqrt(CASES["arm by case"]) * rng.normal(size=(2, 1, k))
    scores = scores + np.sqrt(CASES["reader by case"]) * rng.normal(size=(n_readers, k))
    scores = scores + np.sqrt(CASES["error"]) * rng.normal(size=(2, n_readers, k))
    for truth in (False, True):  # readers vary anew in each class, as in the paper
        ability = np.sqrt(reader) * rng.normal(size=(n_readers, 1)) + np.sqrt(by_arm) * rng.normal(
            size=(2, n_readers, 1)
        )
        scores[..., y == truth] += ability
    scores[..., y] += np.array(separation)[:, None, None]
    return y, scores, shown


def true_auc(separation: float, spread: str) -> float:
    return float(norm.cdf(separation / np.sqrt(2 * (sum(READERS[spread]) + sum(CASES.values())))))


def crossed(studies: int, rng: np.random.Generator) -> None:
    print("\n## Difference of two arms, every reader reads every case\n")
    print("| readers | present | absent | readers vary | AUCs | jackknife | u-statistic | v-statistic |")
    print("|---|---|---|---|---|---|---|---|")
    for n_readers, classes, spread, apart in (
        (5, (50, 50), "low", (1.5, 1.5)),
        (5, (50, 50), "high", (1.5, 1.5)),
        (5, (50, 50), "high", (1.5, 1.2)),
        (5, (50, 200), "high", (1.5, 1.2)),
        (10, (50, 50), "low", (1.5, 1.2)),
        (10, (100, 100), "high", (1.5, 1.2)),
        (10, (50, 50), "high", (2.5, 2.5)),
        (3, (50, 50), "low", (1.5, 1.5)),
        (3, (50, 50), "high", (1.5, 1.5)),
        (5, (25, 25), "high", (1.5, 1.5)),
        (20, (50, 50), "high", (1.5, 1.2)),
    ):
        truth = [true_auc(a, spread) for a in apart]
        hits: Counter[str] = Counter()
        words = ("jackknife", "u-statistic", "v-statistic")
        for _ in range(studies):
            y, scores, _ = roe_metz(rng, n_readers, classes, spread, apart)
            for word in words:
                got = mrmc.compare_arms(y, scores, covariance=word).difference
                hits[word] += covers(got, truth[0] - truth[1])
        shares = " | ".join(f"{hits[word] / studies:.3f}" for word in words)
        aucs = ", ".join(f"{auc:.2f}" for auc in truth)
        print(f"| {n_readers} | {classes[0]} | {classes[1]} | {spread} | {aucs} | {shares} |", flush=True)


def uncrossed(studies: int, rng: np.random.Generator) -> None:
    print("\n## Difference of two arms, reads missing\n")
    print("| design | readers | present | absent | u-centred | u-statistic | v-statistic | without an interval (u) |")
    print("|---|---|---|---|---|---|---|---|")

    def at_random(y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return rng.random(shape) < 0.4

    def split_plot(y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        block = np.arange(y.size) % 2 == 0  # half of the readers read half of the cases
        return np.broadcast_to((np.arange(shape[1]) % 2 == 0)[:, None] == block, shape)

    def unequal(y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return rng.random(shape[1:]) > np.linspace(0.15, 1.0, shape[1])[:, None]

    designs: dict[str, Callable[[np.ndarray, tuple[int, ...]], np.ndarray]] = {
        "40 % missing at random": at_random,
        "two blocks (split plot)": split_plot,
        "readers with 15 to 100 % of the cases": unequal,
    }
    for name, missing in designs.items():
        for n_readers, classes in ((6, (50, 50)), (10, (100, 100))):
            truth, hits = true_auc(1.5, "high") - true_auc(1.2, "high"), Counter()
            for _ in range(studies):
                y, scores, _ = roe_metz(rng, n_readers, classes, "high", (1.5, 1.2))
                scores[np.broadcast_to(missing(y, scores.shape), scores.shape)] = np.nan
                for word in ("u-centred", "u-statistic", "v-statistic"):
                    got = mrmc.compare_arms(y, scores, covariance=word).difference
                    hits[word] += covers(got, truth)
                    hits[f"none {word}"] += np.isnan(got.se)
            row = [hits[w] / studies for w in ("u-centred", "u-statistic", "v-statistic", "none u-statistic")]
            print(
                f"| {name} | {n_readers} | {classes[0]} | {classes[1]} | " + " | ".join(f"{v:.3f}" for v in row) + " |",
                flush=True,
            )


def model(studies: int, rng: np.random.Generator) -> None:
    print("\n## A model against random readers, AUC\n")
    print("| readers | present | absent | readers vary | jackknife | u-statistic | fixed readers (delong) |")
    print("|---|---|---|---|---|---|---|")
    for n_readers, classes, spread in (
        (5, (50, 50), "low"),
        (5, (50, 50), "high"),
        (10, (100, 100), "high"),
        (3, (50, 50), "high"),
    ):
        hits: Counter[str] = Counter()
        alone = float(norm.cdf(1.5 / np.sqrt(2 * sum(CASES.values()))))  # the model is no sample of models
        truth = alone - true_auc(1.5, spread)
        for _ in range(studies):
            y, scores, shown = roe_metz(rng, n_readers, classes, spread, (1.5, 1.5))
            score = shown + np.sqrt(sum(CASES.values()) - CASES["case"]) * rng.normal(size=y.size) + 1.5 * y
            for name, kwargs in {
                "jackknife": {},
                "u-statistic": {"covariance": "u-statistic"},
                "fixed": {"readers": "fixed", "covariance": "delong"},
            }.items():
                hits[name] += covers(mrmc.model_against_readers(y, score, scores[1], **kwargs).difference, truth)
        row = " | ".join(f"{hits[k] / studies:.3f}" for k in ("jackknife", "u-statistic", "fixed"))
        print(f"| {n_readers} | {classes[0]} | {classes[1]} | {spread} | {row} |", flush=True)


def patients(studies: int, rng: np.random.Generator) -> None:
    print("\n## Difference of two arms, AUC, every reader reads every image, several images of a patient\n")
    print("| readers | patients | images each | jackknife | delong | u-statistic | jackknife, images as patients |")
    print("|---|---|---|---|---|---|---|")
    for n_readers, n_patients, images in ((5, 60, 3), (8, 40, 6)):
        hits: Counter[str] = Counter()
        cluster = np.repeat(np.arange(n_patients), images)
        for _ in range(studies):
            y = rng.random(cluster.size) < 0.5
            of_patient = (
                np.sqrt(0.4) * rng.normal(size=(2, 1, n_patients))[..., cluster]
            )  # an arm is misled by patients
            scores = of_patient + np.sqrt(0.2) * rng.normal(size=(2, 1, y.size)) + 1.5 * y
            scores = scores + np.sqrt(0.4) * rng.normal(size=(2, n_readers, y.size))
            scores[..., y] += np.sqrt(0.02) * rng.normal(size=(2, n_readers, 1))
            for name, kwargs in {
                "jackknife": {"cluster": cluster},
                "delong": {"cluster": cluster, "covariance": "delong"},
                "u-statistic": {"cluster": cluster, "covariance": "u-statistic"},
                "naive": {},
            }.items():
                hits[name] += covers(mrmc.compare_arms(y, scores, **kwargs).difference, 0.0)
        row = " | ".join(f"{hits[k] / studies:.3f}" for k in ("jackknife", "delong", "u-statistic", "naive"))
        print(f"| {n_readers} | {n_patients} | {images} | {row} |", flush=True)


def unbalanced_calls(
    rng: np.random.Generator, n_patients: int, prevalence: float, n_readers: int, own: float = 0.55
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth, model's calls, readers' calls with NaN, patients: three reads an image, readers with a few to hundreds."""
    images = 1 + rng.geometric(0.45, size=n_patients) - 1
    images[0] = 45
    patient = np.repeat(np.arange(n_patients), images)
    ill = np.sqrt(0.5) * rng.normal(size=n_patients)[patient] + np.sqrt(0.5) * rng.normal(size=patient.size)
    y = ill > norm.isf(prevalence)
    chance = np.geomspace(1, 100, n_readers)
    keys = rng.random((n_readers, patient.size)) ** (1 / (chance / chance.sum())[:, None])
    read = keys >= np.sort(keys, axis=0)[-3]  # three readers per image, drawn by their shares
    seen = seen_by_all(rng, patient, y)
    threshold = THRESHOLD + 0.3 * rng.normal(size=(n_readers, 1))
    calls = (seen + 0.6 * rng.normal(size=read.shape) > threshold).astype(float)
    model_only = 0.6 * rng.normal(size=n_patients)[patient] + 0.3 * rng.normal(size=y.size)
    model_call = (seen + model_only > own).astype(float)
    return y, model_call, np.where(read, calls, np.nan), patient


THRESHOLD = 0.7  # of the mean of the readers; `own` is the model's


def seen_by_all(rng: np.random.Generator, patient: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What the image shows, correlated within a patient."""
    return 1.5 * y + 0.6 * rng.normal(size=patient.max() + 1)[patient] + 0.5 * rng.normal(size=y.size)


def true_rate(metric: str, own: float = 0.55) -> tuple[float, float]:
    """Sensitivity (specificity) of the model and of a reader drawn at random."""
    mean = 1.5 if metric == "sensitivity" else 0.0
    spread = np.sqrt(0.6**2 + 0.5**2 + 0.6**2 + 0.3**2)  # of the model and of a reader alike
    positive = norm.sf((np.array([own, THRESHOLD]) - mean) / spread)
    rates = positive if metric == "sensitivity" else 1 - positive
    return float(rates[0]), float(rates[1])


def clustered(studies: int, rng: np.random.Generator) -> None:
    print("\n## A model's calls against readers' calls: three reads an image, several images of a patient\n")
    print(
        "| patients | images | present | readers | metric | u-centred | u-statistic | v-statistic "
        "| u-centred, images as patients | readers alone: u-centred | u-statistic | no interval (u-statistic) |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for n_patients, prevalence, n_readers in ((350, 0.3, 21), (350, 0.06, 21), (100, 0.3, 21), (350, 0.3, 8)):
        for metric in ("sensitivity", "specificity"):
            hits: Counter[str] = Counter()
            size = []
            for _ in range(studies):
                y, call, calls, patient = unbalanced_calls(rng, n_patients, prevalence, n_readers)
                size.append((y.size, y.sum()))
                for name, kwargs in {
                    "c": {"covariance": "u-centred", "cluster": patient},
                    "u": {"covariance": "u-statistic", "cluster": patient},
                    "v": {"covariance": "v-statistic", "cluster": patient},
                    "naive": {"covariance": "u-centred"},
                }.items():
                    got = mrmc.model_against_readers(y, call, calls, metric=metric, **kwargs)
                    hits[name] += covers(got.difference, true_rate(metric)[0] - true_rate(metric)[1])
                    hits[f"reader {name}"] += covers(got.arms[1], true_rate(metric)[1])
                    hits[f"none {name}"] += np.isnan(got.arms[1].se)
            mean = np.mean(size, axis=0)
            row = " | ".join(
                f"{hits[k] / studies:.3f}" for k in ("c", "u", "v", "naive", "reader c", "reader u", "none u")
            )
            print(f"| {n_patients} | {mean[0]:.0f} | {mean[1]:.0f} | {n_readers} | {metric} | {row} |", flush=True)


def far(studies: int, rng: np.random.Generator) -> None:
    print("\n## The same where the model's threshold is far from the readers': specificity, 21 readers, 350 patients\n")
    print(
        "| true difference | u-centred | mean width | u-statistic | no interval | mean width |\n"
        "|---|---|---|---|---|---|"
    )
    for own in (-0.9, -0.1, 0.7, 2.0):
        hits: Counter[str] = Counter()
        model_rate, reader_rate = true_rate("specificity", own)
        for _ in range(studies):
            y, model_call, calls, patient = unbalanced_calls(rng, 350, 0.3, 21, own)
            for word in ("u-centred", "u-statistic"):
                got = mrmc.model_against_readers(
                    y, model_call, calls, metric="specificity", covariance=word, cluster=patient
                ).difference
                hits[word] += covers(got, model_rate - reader_rate)
                hits[f"none {word}"] += np.isnan(got.se)
                hits[f"width {word}"] += 0.0 if np.isnan(got.se) else got.high - got.low
        given = {w: studies - hits[f"none {w}"] for w in ("u-centred", "u-statistic")}
        print(
            f"| {model_rate - reader_rate:+.2f} | {hits['u-centred'] / studies:.3f} "
            f"| {hits['width u-centred'] / given['u-centred']:.3f} | {hits['u-statistic'] / studies:.3f} "
            f"| {hits['none u-statistic'] / studies:.3f} | {hits['width u-statistic'] / given['u-statistic']:.3f} |",
            flush=True,
        )


def weighted(studies: int, rng: np.random.Generator) -> None:
    """Cases enter with a probability that depends on their scores, more likely where arm 0 scores higher."""
    print("\n## Difference of two arms, cases sampled with unequal probabilities\n")
    print("| reads | metric | readers | pool | weighted u-centred | unweighted | bias unweighted | no interval |")
    print("|---|---|---|---|---|---|---|---|")
    cut = 0.6
    for missing in (0.0, 0.3):
        for n_readers, pool in ((5, (200, 200)), (10, (400, 400))):
            sd = np.sqrt(sum(READERS["high"]) + sum(CASES.values()))
            truths = {
                "auc": true_auc(1.5, "high") - true_auc(1.2, "high"),
                "sensitivity": float(norm.cdf((1.5 - cut) / sd) - norm.cdf((1.2 - cut) / sd)),
            }
            hits: Counter[str] = Counter()
            for _ in range(studies):
                y, scores, shown = roe_metz(rng, n_readers, pool, "high", (1.5, 1.2))
                apart = scores[0].mean(axis=0) - scores[1].mean(axis=0)
                chance = 0.08 + 0.6 * norm.cdf(2 * apart + shown - 0.5)
                taken = rng.random(y.size) < chance
                scores = scores[..., taken]
                scores[rng.random(scores.shape) < missing] = np.nan
                for metric, truth in truths.items():
                    reads = scores if metric == "auc" else np.where(np.isnan(scores), np.nan, scores >= cut)
                    for weights in (1 / chance[taken], None):
                        study = mrmc.compare_arms(
                            y[taken], reads, metric=metric, covariance="u-centred", weights=weights
                        )
                        hits[f"{metric} {weights is None}"] += covers(study.difference, truth)
                        hits[f"{metric} none"] += np.isnan(study.difference.se)
                        hits[f"{metric} bias {weights is None}"] += study.difference.value - truth
            for metric in truths:
                shares = [
                    hits[f"{metric} False"],
                    hits[f"{metric} True"],
                    hits[f"{metric} bias True"],
                    hits[f"{metric} none"],
                ]
                words = " | ".join(f"{share / studies:.3f}" for share in shares)
                name = f"{missing:.0%} missing" if missing else "all"
                print(f"| {name} | {metric} | {n_readers} | {pool[0]}, {pool[1]} | {words} |", flush=True)


def means(studies: int, rng: np.random.Generator) -> None:
    print("\n## Mean reader in one arm: Wald and logit intervals\n")
    print("| metric | readers | present | absent | truth | Wald | logit | Wald limit above 1 |")
    print("|---|---|---|---|---|---|---|---|")
    for metric in ("auc", "sensitivity"):
        for n_readers, classes, apart in (
            (5, (50, 50), 1.5),
            (5, (50, 50), 2.5),
            (5, (25, 25), 2.5),
            (10, (50, 50), 3.0),
        ):
            sd = np.sqrt(sum(READERS["high"]) + sum(CASES.values()))
            truth = true_auc(apart, "high") if metric == "auc" else float(norm.cdf((apart - 0.6) / sd))
            hits: Counter[str] = Counter()
            for _ in range(studies):
                y, scores, _ = roe_metz(rng, n_readers, classes, "high", (apart, apart))
                reads = scores[:1] if metric == "auc" else (scores[:1] >= 0.6).astype(float)
                for interval in ("wald", "logit"):
                    word = "jackknife" if metric == "auc" else "u-centred"
                    got = mrmc.compare_arms(y, reads, metric=metric, covariance=word, interval=interval).arms[0]
                    hits[interval] += covers(got, truth)
                    hits["above"] += interval == "wald" and got.high > 1
            words = " | ".join(f"{hits[w] / studies:.3f}" for w in ("wald", "logit", "above"))
            print(f"| {metric} | {n_readers} | {classes[0]} | {classes[1]} | {truth:.3f} | {words} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--part", default="")
    arguments = parser.parse_args()
    for part in (crossed, uncrossed, weighted, means, model, patients, clustered, far):
        if arguments.part in ("", part.__name__):
            part(arguments.studies, np.random.default_rng(20_26))


if __name__ == "__main__":
    main()
