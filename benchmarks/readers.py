"""`overread evaluate` of two reader studies, report included: seconds and peak gigabytes of the command.

    python benchmarks/readers.py [--replicates 2000]

Reads alone: 15,000 cases x 3 reads by 17 readers x 10 findings; at most 30 s and 1 GB are asked. Models and readers:
ten models, 500 cases, 5 findings and 3 readers; at most 20 s are asked. The report alone is a command of its own, with
its start. Studies are simulated. A small study is evaluated first, so that kernels are compiled.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

FINDINGS = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion", "Pneumonia", "Pneumothorax")
FINDINGS = (*FINDINGS, "Mass", "Nodule", "Fibrosis")
START = [sys.executable, "-c", "from overread.cli import main; main()"]


def calls(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """Calls of a reader with a sensitivity of 0.75 and a specificity of 0.92."""
    return np.where(truth, rng.random(truth.shape) < 0.75, rng.random(truth.shape) < 0.08).astype(int)


def reads_alone(folder: Path, n_cases: int = 15_000) -> list[str]:
    """Write a table of three reads per case by 17 readers; return the options of the command."""
    rng = np.random.default_rng(1)
    truth = rng.random((n_cases, 10)) < np.linspace(0.03, 0.2, 10)
    case = np.repeat(np.arange(n_cases), 3)
    reader = np.concatenate([rng.permutation(17)[:3] for _ in range(n_cases)])
    answers = calls(rng, truth[case])
    keys = {"image_id": [f"im{c:05d}" for c in case], "rad_id": [f"R{r}" for r in reader]}
    pl.DataFrame(keys | {f: answers[:, j] for j, f in enumerate(FINDINGS)}).write_csv(folder / "reads.csv")
    return ["--reads", str(folder / "reads.csv")]


def models_and_readers(folder: Path, n_cases: int = 500, n_models: int = 10, n_readers: int = 3) -> list[str]:
    """Write labels, one table per model and one per reader; return the options of the command."""
    rng = np.random.default_rng(2)
    case, named = {"Study": [f"patient{i}/study1" for i in range(n_cases)]}, FINDINGS[:5]
    truth = {f: rng.random(n_cases) < share for f, share in zip(named, (0.35, 0.3, 0.1, 0.17, 0.24), strict=True)}
    pl.DataFrame(case | {f: t.astype(int) for f, t in truth.items()}).write_csv(folder / "truth.csv")
    latent = {f: 1.6 * t + rng.normal(size=n_cases) for f, t in truth.items()}
    words = ["--labels", str(folder / "truth.csv")]
    for k in range(n_models):
        scores = {f: 1 / (1 + np.exp(1.5 - x - (0.4 + 0.1 * k) * rng.normal(size=n_cases))) for f, x in latent.items()}
        pl.DataFrame(case | scores).write_csv(folder / f"model{k}.csv")
        words += ["--predictions", str(folder / f"model{k}.csv")]
    for k in range(n_readers):
        pl.DataFrame(case | {f: calls(rng, t) for f, t in truth.items()}).write_csv(folder / f"reader{k}.csv")
        words += ["--reads", str(folder / f"reader{k}.csv")]
    return words


def seconds_of(command: str, *words: str) -> float:
    """Seconds of an overread command."""
    begin = time.perf_counter()
    subprocess.run([*START, command, *words], check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=2000)
    given = parser.parse_args()
    replicates = ["--set", f"replicates={given.replicates}"]
    studies = (
        ("ten models and 3 readers", models_and_readers, "20 s"),
        ("reads alone", reads_alone, "30 s, 1 GB"),
    )
    with tempfile.TemporaryDirectory() as folder:
        seconds_of("evaluate", *models_and_readers(Path(folder), 200, 2, 2), "--out", f"{folder}/out")
    for title, study, asked in studies:
        with tempfile.TemporaryDirectory() as folder:
            words = study(Path(folder))
            whole = seconds_of("evaluate", *words, *replicates, "--out", f"{folder}/out")
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
            page = seconds_of("report", f"{folder}/out", "--out", f"{folder}/page")
        print(
            f"{title}: {whole:.1f} s with report, the report alone {page:.1f} s; largest process so far {peak:.2f} GB "
            f"(asked: {asked})",
            flush=True,
        )


if __name__ == "__main__":
    main()
