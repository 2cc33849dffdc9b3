"""Training is the same with 1, 2 and 3 processes: every step, up to the rounding of its arithmetic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted import make_planted
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
# 72 images in steps of 16 (15, 15, 14, 14, 14): 5 steps an epoch, 20 in all. Nodule is stated at one of two sites.
SCRIPT = """
import json, os, pathlib, sys
sys.path.insert(0, {here!r})
from planted import tiny
from overread.training import model_training
from overread.training.fitting import loop, tuning

steps, rank = [], os.environ.get("RANK", "0")

class Recorder(loop.LossWatch):
    def add(self, number, loss, logits, places):
        steps.append((self._epoch, number, float(loss.detach()), places.tolist()))
        super().add(number, loss, logits, places)

loop.LossWatch = Recorder
out = pathlib.Path({out!r})
if {double!r}:  # the loop has no such precision: its own Fabric in float64, and the images in it from the start
    from lightning_fabric import plugins
    class Double(plugins.DoublePrecision):
        def convert_output(self, logits):
            return logits  # Fabric makes them float32
    plugins.Precision = Double
    in_float32 = loop.to_unit
    loop.to_unit = tuning.to_unit = lambda pixels: in_float32(pixels).double()
    model_training.finish = lambda *args, **kwargs: []
model_training.train({cohort!r}, out / "model", tiny(
    findings=("edema", "mass", "nodule"), augmentation={{"blur": 1.0}}, learning_rate=3e-4
))
(out / f"steps-{{rank}}.json").write_text(json.dumps(steps))
"""


def trained(cohort: Path, out: Path, *, processes: int, double: bool) -> Path:
    """Train in some processes; each writes its steps beside the model."""
    out.mkdir()
    script = out / "train.py"
    script.write_text(SCRIPT.format(here=str(HERE), cohort=str(cohort), out=str(out), double=double))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launch if processes > 1 else []), str(script)]
    ended = subprocess.run(
        command, capture_output=True, timeout=300, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert ended.returncode == 0, ended.stderr
    return out


def read_steps(out: Path) -> tuple[list[float], list[list[int]]]:
    """The loss of every step, which is the sum of those of the processes, and the images of every epoch, sorted."""
    losses: dict[tuple[int, int], float] = {}
    images: dict[int, list[int]] = {}
    for path in sorted(out.glob("steps-*.json")):
        for epoch, step, loss, places in json.loads(path.read_text()):
            losses[epoch, step] = losses.get((epoch, step), 0.0) + loss
            images.setdefault(epoch, []).extend(places)
    return [losses[key] for key in sorted(losses)], [sorted(images[epoch]) for epoch in sorted(images)]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_planted(tmp_path_factory.mktemp("planted") / "cohort")


@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-4), (True, 1e-9)])
def test_the_number_of_processes_changes_no_loss(cohort: Path, tmp_path: Path, double: bool, tolerance: float):
    one, two, three = (trained(cohort, tmp_path / str(n), processes=n, double=double) for n in (1, 2, 3))
    losses, images = read_steps(one)
    assert len(losses) == 20
    assert images == [list(range(72))] * 4
    for other in (two, three):
        assert read_steps(other)[1] == images
        np.testing.assert_allclose(read_steps(other)[0], losses, rtol=tolerance)
    if not double:
        for folder in (one, two, three):
            reported = pl.read_parquet(folder / "model/history.parquet")["loss"]
            np.testing.assert_allclose(reported, np.reshape(losses, (4, 5)).mean(1), rtol=tolerance)
        names = [load_file(folder / "model/weights.safetensors").keys() for folder in (one, three)]
        assert names[0] == names[1]
