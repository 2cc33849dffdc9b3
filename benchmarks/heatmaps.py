"""What heat maps of all findings cost on top of prediction, side by side; at most 10 % is asked.

    python benchmarks/heatmaps.py [--findings 14] [--batch 32] [--rounds 5] [--threads N]

Each round times one batch without maps and one with maps (closed form, scaling, float16, copy to the host and the file
of the part), in turn, so that a machine that slows down slows both; the ratio of the medians is printed. Beside it, for
measure: Grad-CAM by one backward pass per finding, as it is usually done, on a smaller batch.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from overread.findings import load as load_vocabulary
from overread.images.recipe.pixel_recipe import Recipe
from overread.training.networks.architectures import Architecture, build
from overread.training.networks.model_folder import Model
from overread.training.scoring import gradcam, score_parts


def made_model(name: str, size: int, findings: int) -> Model:
    """A model of random weights that never touches the disk."""
    names = load_vocabulary().names()[:findings]
    return Model(
        folder=Path(),
        name=name,
        kind="single",
        architecture=Architecture(name, channels=1, outputs=len(names)),
        findings=tuple(names),
        not_outputs=(),
        recipe=Recipe(size=size),
        recalibration={},
        members=(),
        train_patients=frozenset(),
        record={},
    )


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def measure(name: str, size: int, options: argparse.Namespace) -> None:
    model = made_model(name, size, options.findings)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = build(model.architecture).eval().requires_grad_(False).to(device)
    pixels = np.random.default_rng(0).integers(0, 256, (options.batch, size, size)).astype(np.uint8)
    with torch.no_grad():
        target = gradcam.find_target(network, torch.randn(2, 1, size, size, device=device))
    plain, mapped = score_parts.Member(model, network, None), score_parts.Member(model, network, target)
    general = score_parts.Member(model, network, gradcam.Target(target.name, target.module, None))

    def with_maps(member: score_parts.Member, batch: np.ndarray) -> None:
        _, maps = score_parts.run_members((member,), batch)
        scaled, maximum = gradcam.normalise(maps)
        np.save(io.BytesIO(), scaled.cpu().numpy())
        np.save(io.BytesIO(), maximum.cpu().numpy())

    works = (lambda: score_parts.run_members((plain,), pixels), lambda: with_maps(mapped, pixels))
    for work in works:
        work()
    rounds = [[seconds(work) for work in works] for _ in range(options.rounds)]
    alone, both = (statistics.median(r[i] for r in rounds) for i in range(2))
    few = pixels[: max(1, options.batch // 4)]
    backward = seconds(lambda: with_maps(general, few)) / seconds(lambda: score_parts.run_members((plain,), few))
    print(
        f"{name} at {size} px, {options.findings} findings, batch {options.batch}, {device}: "
        f"{options.batch / alone:.1f} img/s without, {options.batch / both:.1f} with maps; "
        f"ratio {both / alone:.3f} (asked: at most 1.10); a backward pass per finding: ratio {backward:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--findings", type=int, default=14)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0 = torch's choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    measure("densenet121", 224, options)
    measure("densenet-small", 128, options)


if __name__ == "__main__":
    main()
