"""Coverage of decision curves and calibration summaries, bias of the ECE, and whether planned sizes do as planned.

    python validation/decision_power_coverage.py [--studies 2000]

Every table is printed as it stands in docs/reference/statistics-decision-power.md. Every cell has at least 50 cases of
either class. Truths of net benefit come from one sample of 4,000,000 cases (Monte-Carlo error below 0.0003); the
Monte-Carlo standard error of a coverage of 0.95 in 2,000 studies is 0.005. Patients: three images each, whose log odds
share a normal effect that the model does not know.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from math import sqrt

import numpy as np
from scipy.special import expit, ndtri

from overread.stats import calibration, rates, roc
from overread.stats.decision.net_benefits import compare_net_benefit, net_benefit
from overread.stats.sample_size import accuracy_size, paired_size

AT = np.array([0.05, 0.1, 0.3, 0.8])  # at the last about one case in a hundred is treated
SPREAD = ", present scores {} times as spread"
IMAGES, EFFECT = 3, 1.0  # per patient; standard deviation of the patient's effect


def sample(n: int, images: int, rng: np.random.Generator):
    """Truth, probabilities of two models, patient: the first model sees more of what decides."""
    patient = np.arange(n) // images
    own = EFFECT * rng.normal(size=n // images + 1)[patient] if images > 1 else 0.0
    seen, unseen = rng.normal(size=(2, n))
    y = rng.random(n) < expit(1.4 * seen + 0.6 * unseen + own - 1.8)
    return y, expit(1.3 * seen - 1.7), expit(0.9 * seen + 0.8 * rng.normal(size=n) - 1.7), patient


def truths(images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, a, b, _ = sample(4_000_000, images, np.random.default_rng(99))
    odds = AT / (1 - AT)

    def benefit(treated):
        return np.array([(t & y).mean() - o * (t & ~y).mean() for t, o in zip(treated, odds, strict=True)])

    model = benefit([a >= t for t in AT])
    return model, model - benefit([np.ones(y.size, dtype=bool)] * AT.size), model - benefit([b >= t for t in AT])


def curves(studies: int) -> None:
    names = ("model", "model less treating all", "model A less model B")
    print("\n| cases | images per patient | interval | difference |", " | ".join(f"at {t:g}" for t in AT), "|")
    print("|---|---|---|---|" + "---|" * AT.size)
    for n, images in ((400, 1), (1000, 1), (600, IMAGES)):
        true, rng = truths(images), np.random.default_rng(n)
        held = {kind: np.zeros((3, AT.size)) for kind in ("adjusted", "wald", "as if independent")}
        for _ in range(studies):
            y, a, b, patient = sample(n, images, rng)
            for kind, hits in held.items():
                given = {"interval": "wald" if kind == "wald" else "adjusted"}
                given["cluster"] = patient if images > 1 and kind != "as if independent" else None
                one, d = net_benefit(y, a, AT, **given), compare_net_benefit(y, a, b, AT, **given)
                for row, (low, high) in enumerate(
                    ((one.low, one.high), (one.minus_all.low, one.minus_all.high), (d.low, d.high))
                ):
                    hits[row] += (low <= true[row]) & (true[row] <= high)
        for kind, hits in held.items():
            if kind == "as if independent" and images == 1:
                continue
            for name, shares in zip(names, hits / studies, strict=True):
                print(f"| {n} | {images} | {kind} | {name} |", " | ".join(f"{s:.3f}" for s in shares), "|", flush=True)


def distances(studies: int) -> None:
    """The observed rate is expit(bend * logit + shift); the true ICI is the mean distance over the same law of p."""
    print("\n| cases | slope | ICI | E90 | interval of ICI given | ICI, where given | E90, where given | slope's |")
    print("|---|---|---|---|---|---|---|---|")
    logit = 1.2 * np.random.default_rng(5).normal(size=1_000_000) - 1.2
    cells = ((500, 1.0, 0.0), (500, 0.85, 0.1), (1000, 0.85, 0.1), (500, 0.6, 0.4), (1000, 0.6, 0.4), (1000, 1.0, 0.6),
             (3000, 0.8, 0.2))  # fmt: skip
    for n, bend, shift in cells:
        far = np.abs(expit(bend * logit + shift) - expit(logit))
        ici, e90, rng = far.mean(), np.quantile(far, 0.9), np.random.default_rng(n + int(10 * bend))
        held, given = np.zeros(3), np.zeros(2)
        for _ in range(studies):
            x = 1.2 * rng.normal(size=n) - 1.2
            y = rng.random(n) < expit(bend * x + shift)
            made = calibration.smooth_curve(y, expit(x))
            for i, (e, true) in enumerate(((made.ici, ici), (made.e90, e90))):
                given[i] += np.isfinite(e.low)
                held[i] += e.low <= true <= e.high
            slope = calibration.calibration_line(y, expit(x)).slope
            held[2] += slope.low <= bend <= slope.high
        of = [f"{h / g:.3f}" if g > 0.1 * studies else "—" for h, g in zip(held[:2], given, strict=True)]
        print(
            f"| {n} | {bend} | {ici:.3f} | {e90:.3f} | {given[0] / studies:.3f} | {of[0]} | {of[1]} "
            f"| {held[2] / studies:.3f} |",
            flush=True,
        )


def errors(studies: int) -> None:
    print("\n| cases | true ECE (15 bins) | mean plain ECE | mean debiased ECE |\n|---|---|---|---|")
    logit = 1.2 * np.random.default_rng(6).normal(size=1_500_000) - 1.2
    for bend, shift in ((1.0, 0.0), (0.8, 0.1), (0.6, 0.4)):
        p, rate = np.sort(expit(logit)), np.sort(expit(bend * logit + shift))
        true = np.abs((p - rate).reshape(15, -1).mean(axis=1)).mean()
        for n in (200, 1000, 5000):
            rng, sums = np.random.default_rng(n), np.zeros(2)
            for _ in range(studies):
                x = 1.2 * rng.normal(size=n) - 1.2
                made = calibration.ece(rng.random(n) < expit(bend * x + shift), expit(x))
                sums += made.ece.value, made.debiased
            print(f"| {n} | {true:.4f} | {sums[0] / studies:.4f} | {sums[1] / studies:.4f} |", flush=True)


def correlated(aucs: tuple[float, float], correlation: float, spread: float) -> float:
    """The correlation of two normal scores at which that of their AUC estimates is as asked for."""
    rng, y = np.random.default_rng(4), np.arange(20_000) < 10_000
    noise, low, high = rng.normal(size=(2, y.size)), 0.0, 0.999
    for _ in range(20):
        rho = (low + high) / 2
        pair = paired_size.pilot_pair(y, *scores(y, aucs, rho, noise, spread))
        c = pair.present + pair.absent
        low, high = (rho, high) if c[0, 1] / sqrt(c[0, 0] * c[1, 1]) < correlation else (low, rho)
    return (low + high) / 2


def scores(y, aucs, rho, noise, spread):
    second = rho * noise[0] + sqrt(1 - rho**2) * noise[1]
    return tuple(normal(y, auc, z, spread) for auc, z in zip(aucs, (noise[0], second), strict=True))


def normal(y, auc, noise, spread):
    """Normal scores of this AUC, those of present cases `spread` times as spread as those of absent ones."""
    return np.where(y, sqrt(1 + spread**2) * ndtri(auc) + spread * noise, noise)


def planned(studies: int) -> None:
    print("\n| what was planned | aim | cases with, without the finding | reached |\n|---|---|---|---|")
    two_aucs(studies)
    one_auc(studies)
    precision(studies)
    calls(studies)


def two_aucs(studies: int) -> None:
    """Normal scores; planned from what is assumed, and from 40,000 cases of the very scores (a perfect pilot)."""
    even = ((0.85, 0.80, 0.5, 1, 1), (0.85, 0.80, 0.5, 9, 1), (0.92, 0.88, 0.3, 4, 1))
    for a, b, correlation, ratio, spread in (*even, (0.85, 0.80, 0.5, 9, 2.5)):
        rho, many = correlated((a, b), correlation, spread), np.arange(40_000) < 20_000
        noise = np.random.default_rng(11).normal(size=(2, many.size))
        assumed = paired_size.assumed_pair(a, b, correlation=correlation, ratio=ratio)
        pilot = replace(paired_size.pilot_pair(many, *scores(many, (a, b), rho, noise, spread)), aucs=(a, b))
        for pair, words in ((assumed, "assumed"), (pilot, "pilot")):
            plan = paired_size.paired_auc_sample_size(pair, ratio=ratio, null="delong")
            y, rng, found = np.arange(plan.total) < plan.present, np.random.default_rng(int(1000 * a)), 0
            for _ in range(studies):
                found += roc.compare_aucs(y, *scores(y, (a, b), rho, rng.normal(size=(2, y.size)), spread)).p < 0.05
            wide = SPREAD.format(spread) if spread != 1 else ""
            row = f"AUC {a} against {b}, correlation {correlation}{wide}, {words} | power 0.8"
            print(f"| {row} | {plan.present:,}, {plan.absent:,} | power {found / studies:.3f} |", flush=True)


def one_auc(studies: int) -> None:
    even, wide_present = ((0.85, 1, 1), (0.85, 9, 1), (0.93, 4, 1)), ((0.85, 9, 1.5), (0.85, 9, 2.5), (0.93, 4, 2.5))
    for auc, ratio, spread in even + wide_present:
        plan, rng = accuracy_size.auc_sample_size(auc, width=0.1, ratio=ratio), np.random.default_rng(int(1000 * auc))
        y = np.arange(plan.total) < plan.present
        wide = [_width(roc.auc(y, normal(y, auc, rng.normal(size=y.size), spread))) for _ in range(studies)]
        cases = f"{plan.present:,}, {plan.absent:,}"
        what = f"AUC {auc}" + (SPREAD.format(spread) if spread != 1 else "")
        print(f"| {what} | width 0.1 | {cases} | mean width {np.mean(wide):.3f} |", flush=True)


def precision(studies: int) -> None:
    for rate, images, together in ((0.9, 1, 0.0), (0.8, 1, 0.0), (0.9, 3, 0.4)):
        effect, rng = accuracy_size.design_effect(images, together), np.random.default_rng(int(100 * rate))
        plan = accuracy_size.rate_sample_size(rate, half_width=0.05, interval="wilson", design_effect=effect)
        patients = -(-plan.cases // images)
        cluster, wide, held = np.repeat(np.arange(patients), images), [], 0
        for _ in range(studies):
            same = (rng.random(patients) < together)[cluster]  # that all images of a patient go as one
            right = np.where(same, (rng.random(patients) < rate)[cluster], rng.random(cluster.size) < rate)
            if images > 1:
                e = rates.clustered_proportion(right, cluster=cluster)
            else:
                e = rates.proportion(int(right.sum()), right.size)
            wide.append(_width(e) / 2)
            held += e.low <= rate <= e.high
        what = f"sensitivity {rate}" + (f", {images} images per patient, correlation {together}" if images > 1 else "")
        reached = f"mean half width {np.mean(wide):.4f}, coverage {held / studies:.3f}"
        print(f"| {what} | half width 0.05 | {plan.cases:,}, — | {reached} |", flush=True)


def calls(studies: int) -> None:
    for only_a, only_b in ((0.12, 0.05), (0.2, 0.1)):
        plan, rng = accuracy_size.mcnemar_sample_size(only_a, only_b), np.random.default_rng(int(100 * only_a))
        found = np.zeros(2)
        for _ in range(studies):
            kind = rng.choice(3, plan.cases, p=[only_a, only_b, 1 - only_a - only_b])
            pair = np.ones(plan.cases, dtype=bool), kind != 1, kind != 0
            found += [rates.mcnemar(*pair, method=m).sensitivity.p < 0.05 for m in ("asymptotic", "mid-p")]
        reached = " and ".join(f"{f / studies:.3f} ({m})" for f, m in zip(found, ("asymptotic", "mid-p"), strict=True))
        what = f"McNemar, {only_a} and {only_b} right alone"
        print(f"| {what} | power 0.8 | {plan.cases:,}, — | power {reached} |", flush=True)


def _width(e) -> float:
    return e.high - e.low


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    given = parser.parse_args()
    planned(given.studies)
    errors(given.studies)
    curves(given.studies)
    distances(given.studies)


if __name__ == "__main__":
    main()
