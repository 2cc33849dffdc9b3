"""What loading and augmentation add to training, and what the pixel store saves against decoding the files.

    python benchmarks/loader.py [--network densenet-small] [--size 128] [--batch 32] [--images 512] [--threads 2]

1. The same steps on a batch that is there already, and on batches that come from the store through the loader and are
   augmented, in turn; at most 5 % may be added.
2. An epoch read from the store in shuffled batches, and the same images decoded and shrunk by Pillow from PNG files of
   1024 px (one thread each, files in the page cache); at least 10x is asked.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image

from overread import runs
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store.pixel_store import Store
from overread.training.compute_device import fast_bf16, resolved_precision
from overread.training.fitting.augmentation import augment, draws
from overread.training.fitting.examples import Examples, batches, epoch_order
from overread.training.fitting.loop import parameter_groups
from overread.training.fitting.loss import masked_bce
from overread.training.networks.architectures import Architecture, build, normalise, to_unit
from overread.training.training_config import Augmentation

FINDINGS = 9


def make_store(folder: Path, images: int, size: int) -> tuple[Store, Examples]:
    """Random pixels on disk as a store, and truths."""
    rng = np.random.default_rng(0)
    path = folder / "part-00000.npy"
    np.save(path, rng.integers(0, 256, (images, size, size), dtype=np.uint8))
    frame = pl.DataFrame({"part": [0] * images, "row": range(images)})
    truth = (rng.random((images, FINDINGS)) < 0.2).astype(np.float32)
    return Store(Recipe(size=size), (np.load(path, mmap_mode="r"),)), Examples(frame, truth)


def endless(store: Store, examples: Examples, batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of one epoch after the other, as training asks for them."""
    epoch = 0
    while True:
        yield from batches(store, examples, epoch_order(len(examples), batch, seed=0, epoch=epoch))
        epoch += 1


def overhead(network: str, size: int, batch: int, images: int, steps: int, folder: Path) -> None:
    """Pure steps against steps with loader and augmentation."""
    store, examples = make_store(folder, images, size)
    architecture = Architecture(network, 1, FINDINGS)
    bf16 = resolved_precision("auto") == "bf16-mixed"
    torch.manual_seed(0)
    model = build(architecture).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(parameter_groups(model, 0.01), lr=1e-4, fused=True)
    weights = torch.ones(FINDINGS)

    def step(inputs: torch.Tensor, truth: torch.Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(inputs)
        masked_bce(logits, truth, weights).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    stream = endless(store, examples, batch)
    pixels, there = next(stream)
    ready = normalise(to_unit(pixels), architecture)
    pure, whole, changing = [], [], []
    for number in range(steps + 2):
        began = time.perf_counter()
        step(ready, there)
        between = time.perf_counter()
        pixels, truth = next(stream)
        made = normalise(augment(to_unit(pixels), Augmentation(), draws(0, number, np.arange(batch))), architecture)
        changed = time.perf_counter()
        step(made, truth)
        ended = time.perf_counter()
        if number > 1:
            pure.append(between - began)
            whole.append(ended - between)
            changing.append(changed - between)
    a, b, c = (statistics.median(v) for v in (pure, whole, changing))
    print(
        f"{network}, {size} px, batch {batch}, {'bf16-mixed' if bf16 else '32-true'}, channels-last, {steps} steps each"
    )
    print(f"  pure step {1000 * a:.1f} ms, with loader and augmentation {1000 * b:.1f} ms")
    print(f"  of which waiting for pixels and augmenting {1000 * c:.1f} ms: {100 * c / a:.1f} % (at most 5 % is asked)")


def reading(size: int, batch: int, count: int, folder: Path) -> None:
    """An epoch from the store against Pillow."""
    store, examples = make_store(folder, count, size)
    rng = np.random.default_rng(1)
    coarse = rng.normal(128, 40, (count, 32, 32)).clip(0, 255).astype(np.uint8)
    paths = []
    for number, image in enumerate(coarse):  # smooth with grain, as a radiograph is: PNG makes it about 600 kB
        large = np.asarray(Image.fromarray(image).resize((1024, 1024), Image.Resampling.BICUBIC), np.float32)
        grain = (large + rng.normal(0, 2, large.shape)).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(grain).save(paths[-1])
    began = time.perf_counter()
    for path in paths:
        with Image.open(path) as file:
            np.asarray(file.convert("L").resize((size, size), Image.Resampling.BOX))
    decoding = time.perf_counter() - began
    times = []
    for epoch in range(5):
        began = time.perf_counter()
        for _ in batches(store, examples, epoch_order(count, batch, seed=0, epoch=epoch)):
            pass
        times.append(time.perf_counter() - began)
    stored = statistics.median(times)
    size_kb = sum(p.stat().st_size for p in paths) / count / 1000
    print(f"an epoch of {count} images at {size} px (PNG of {size_kb:.0f} kB)")
    each = f"Pillow {1000 * decoding / count:.2f} ms, store {1000 * stored / count:.4f} ms per image"
    print(f"  {each}: {decoding / stored:.0f}x (at least 10x is asked)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="densenet-small")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(
        f"{runs.machine()['cpu']}, {given.threads} threads; torch {torch.__version__}; {fast_bf16() or 'no fast bf16'}"
    )
    with tempfile.TemporaryDirectory() as folder:
        overhead(given.network, given.size, given.batch, given.images, given.steps, Path(folder))
        reading(given.size, given.batch, 64, Path(folder))


if __name__ == "__main__":
    main()
