"""What training gains and costs when waiting OpenMP threads sleep, alone and beside another busy program.

    python benchmarks/busy.py [--steps 20] [--rounds 3] [--spins 300000,20000,...]

Forward, backward and optimiser step of the small DenseNet on as many threads as cores, in a process of its own for
every setting (GNU OpenMP reads it when it is loaded). The processes take turns, alone and beside one process that only
computes; the medians of the rounds are printed as steps per second, with the cost alone and the gain beside the other
program relative to the default. Accepted: at most 3 % cost, at least 2.5 times as fast.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

_STEPS = """
import sys, time
import torch
from overread.training.networks.architectures import Architecture, build
torch.manual_seed(0)
network = build(Architecture("densenet-small", 1, 14))
optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
inputs, truth = torch.rand(16, 1, 128, 128), torch.zeros(16, 14)
def step():
    torch.nn.functional.binary_cross_entropy_with_logits(network(inputs), truth).backward()
    optimiser.step(); optimiser.zero_grad()
for _ in range(3): step()
count, start = int(sys.argv[1]), time.perf_counter()
for _ in range(count): step()
print(count / (time.perf_counter() - start))
"""


def rate(spins: str, steps: int) -> float:
    """Training steps per second of a fresh process with that setting."""
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    # 300,000 is the default of GNU OpenMP, stated because the product would set its own where it is unset.
    chosen = {"OMP_WAIT_POLICY": "PASSIVE"} if spins == "passive" else {"GOMP_SPINCOUNT": spins}
    done = subprocess.run(
        [sys.executable, "-c", _STEPS, str(steps)], env=clean | chosen, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spins", default="300000,100000,20000,10000,3000,1000")
    given = parser.parse_args()
    settings = given.spins.split(",")  # the first is the default of GNU OpenMP
    alone: dict[str, list[float]] = {s: [] for s in settings}
    beside: dict[str, list[float]] = {s: [] for s in settings}
    for _ in range(given.rounds):
        for spins in settings:
            alone[spins].append(rate(spins, given.steps))
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
            try:
                for spins in settings:
                    beside[spins].append(rate(spins, max(3, given.steps // 4)))
            finally:
                other.kill()
    first = settings[0]
    for spins in settings:
        a, b = statistics.median(alone[spins]), statistics.median(beside[spins])
        cost, gain = 1 - a / statistics.median(alone[first]), b / statistics.median(beside[first])
        print(f"{spins:>12} spins: alone {a:6.2f} steps/s (cost {cost:+.1%}), beside {b:6.2f} steps/s ({gain:.1f}x)")


if __name__ == "__main__":
    main()
