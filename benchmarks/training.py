"""What the layout and the arithmetic of training gain: channels-last + bfloat16 against plain float32 NCHW.

    python benchmarks/training.py [--network densenet121] [--size 224] [--batch 32] [--steps 5] [--threads 2]

Forward, masked loss, backward, clipping and AdamW on one batch that is there already; the variants take their steps in
turn, so that a machine that slows down slows all; the ratio of the median steps is printed. At least 2.3x is asked
where the processor has AMX (2.7 to 3.5x was seen); elsewhere the figure is printed with what was detected.
On a GPU the same, with the compiled network beside it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from overread import runs
from overread.training.compute_device import fast_bf16, resolved_precision
from overread.training.fitting.loop import parameter_groups
from overread.training.fitting.loss import masked_bce
from overread.training.networks.architectures import Architecture, build


def stepper(
    architecture: Architecture, size: int, batch: int, *, channels_last: bool, bf16: bool, compiled: bool = False
) -> Callable[[], None]:
    """A function that does one training step."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = build(architecture).to(device=device, memory_format=layout)
    model = torch.compile(network) if compiled else network
    optimiser = torch.optim.AdamW(parameter_groups(network, 0.01), lr=1e-4, fused=True)
    inputs = torch.rand(batch, architecture.channels, size, size, device=device)
    truth = (torch.rand(batch, architecture.outputs, device=device) < 0.2).float()
    weights = torch.ones(architecture.outputs, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = model(inputs)
        masked_bce(logits, truth, weights).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="densenet121")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    machine = runs.machine()
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{machine['cpu']}, {given.threads} threads"
    print(f"{where}; torch {torch.__version__}; fast bfloat16: {fast_bf16() or 'none'}", end="; ")
    print(f"'auto' is {resolved_precision('auto')}")
    architecture = Architecture(given.network, 1, 14)
    variants = {
        "float32, NCHW": (False, False, False),
        "float32, channels-last": (True, False, False),
        "bfloat16, NCHW": (False, True, False),
        "bfloat16, channels-last": (True, True, False),
    }
    if torch.cuda.is_available():
        variants["bfloat16, channels-last, compiled"] = (True, True, True)
    steps = {
        name: stepper(architecture, given.size, given.batch, channels_last=last, bf16=bf16, compiled=compiled)
        for name, (last, bf16, compiled) in variants.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(given.steps + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if number:  # the first step plans and compiles
                seconds[name].append(time.perf_counter() - began)
    plain = statistics.median(seconds["float32, NCHW"])
    print(f"{given.network}, {given.size} px, batch {given.batch}, median of {given.steps} steps each, in turn")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"  {name:36} {1000 * median:9.1f} ms  {given.batch / median:8.1f} img/s  {plain / median:5.2f}x")


if __name__ == "__main__":
    main()
