"""An evaluation of 200,000 images against one of 22,433: at most 12x the time is asked, below 4 GB; then its report.

    python benchmarks/scale.py [--small 22433] [--large 200000] [--replicates 2000]

Two models, 14 findings, subgroups by sex, age band and view, patients with 1 to 40 images, simulated at both sizes by
the same rule. Each size runs in a process of its own, so that the peak memory is its own; the kernels of the bootstrap
are compiled (or loaded) before the clock starts. The report is written from the large evaluation: at most 10 s is
asked.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from overread import evaluation, findings, runs

ASKED_RATIO, ASKED_GIGABYTES, ASKED_REPORT = 12.0, 4.0, 10.0
MODELS = ("one", "other")
FINDINGS = tuple(f for f in findings.load().names() if f != "no_finding")[:14]


def tables_of(n_images: int, rng: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Images of patients with 1 to 40 of them, labels of 14 findings at 0.2 to 18 %, and two models' probabilities."""
    sizes = np.minimum(1 + rng.geometric(0.3, n_images), 40)
    patient = np.repeat(np.arange(sizes.size), sizes)[:n_images]
    image = np.array([f"i{k:07d}" for k in range(n_images)])
    images = pl.DataFrame(
        {
            "image_id": image,
            "case_id": image,
            "patient_id": [f"p{k:06d}" for k in patient],
            "site": "somewhere",
            "sex": np.where(rng.random(patient.max() + 1) < 0.44, "F", "M")[patient],
            "age_years": rng.integers(1, 95, patient.max() + 1)[patient].astype(float),
            "view": np.where(rng.random(n_images) < 0.4, "AP", "PA"),
        }
    )
    own = rng.normal(size=patient.max() + 1)[patient]
    long, labels = [], []
    for finding, share in zip(FINDINGS, np.geomspace(0.002, 0.18, len(FINDINGS)), strict=True):
        latent = 0.6 * own + 0.8 * rng.normal(size=n_images)
        truth = latent > np.quantile(latent, 1 - share)
        state = np.where(truth, "present", "absent")
        labels.append(pl.DataFrame({"case_id": image, "finding": finding, "source": "simulated", "state": state}))
        for k, model in enumerate(MODELS):
            logit = np.log(share / (1 - share)) + 1.5 * truth + 0.3 * own + (1 + 0.1 * k) * rng.normal(size=n_images)
            score = 1 / (1 + np.exp(-logit))
            frame = {"image_id": image, "finding": finding, "model": model, "shift": "none", "score": score}
            long.append(pl.DataFrame(frame))
    return images, pl.concat(labels), pl.concat(long)


def measured(n_images: int, replicates: int, out: Path) -> dict[str, float]:
    """Seconds and peak gigabytes of one evaluation, its tables written to `out`."""
    given = tables_of(n_images, np.random.default_rng(1))
    small = tables_of(400, np.random.default_rng(2))
    config = evaluation.EvaluationConfig(replicates=replicates)
    evaluation.evaluate(*small, evaluation.EvaluationConfig(replicates=100), rng=np.random.default_rng(0))
    begin = time.perf_counter()
    with runs.start(out, "evaluate", config=config, inputs={}, seed=1):
        made = evaluation.evaluate(*given, config, rng=np.random.default_rng(1))
        evaluation.write(made, out)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"seconds": seconds, "gigabytes": peak, "estimates": made.estimates.height}


def report_seconds(folder: Path) -> float:
    """Seconds from the tables of an evaluation to its page."""
    from overread.protocol import report

    begin = time.perf_counter()
    report(folder, folder / "report", title="Scale")
    return time.perf_counter() - begin


def apart(*words: str) -> dict[str, float]:
    """The figures of one size, from a process of its own."""
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=22_433)
    parser.add_argument("--large", type=int, default=200_000)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        figures = measured(given.only, given.replicates, given.out)
        print(json.dumps(figures | {"report": report_seconds(given.out)}))
        return
    made = {}
    for n in (given.small, given.large):
        with tempfile.TemporaryDirectory() as folder:
            words = ("--only", str(n), "--replicates", str(given.replicates), "--out", folder)
            made[n] = apart(*words)
        m = made[n]
        print(
            f"{n:9,} images: evaluation {m['seconds']:6.1f} s, report {m['report']:5.1f} s, "
            f"peak {m['gigabytes']:.2f} GB, {m['estimates']:,.0f} estimates",
            flush=True,
        )
    ratio = made[given.large]["seconds"] / made[given.small]["seconds"]
    print(
        f"ratio {ratio:.1f} for {given.large / given.small:.1f} times the images (asked: at most {ASKED_RATIO:.0f}), "
    )
    print(f"peak {made[given.large]['gigabytes']:.2f} GB (asked: below {ASKED_GIGABYTES:.0f})")
    print(f"report {made[given.large]['report']:.1f} s (asked: at most {ASKED_REPORT:.0f})")


if __name__ == "__main__":
    main()
