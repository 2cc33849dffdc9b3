"""The state of a training: whole or not at all, of this training, and honest about what changed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from overread.errors import InputError
from overread.training.fitting import checkpoint
from overread.training.fitting.checkpoint import Learner, Position
from overread.training.fitting.loop import parameter_groups
from overread.training.networks.architectures import Architecture, build

HERE = {"torch": "2", "threads": "1"}


def learner(*, ema: bool = True, trained: bool = False) -> Learner:
    network, average = build(Architecture("densenet-tiny", 1, 2)), build(Architecture("densenet-tiny", 1, 2))
    optimiser = torch.optim.AdamW(parameter_groups(network, 0.1), lr=0.01, fused=True)
    if trained:
        network(torch.rand(3, 1, 32, 32)).sum().backward()
        optimiser.step()
    total = torch.tensor(1.25 if trained else 0.0, dtype=torch.float64)
    return Learner(network, average if ema else None, optimiser, total)


def saved(folder: Path) -> tuple[Learner, Position]:
    made = learner(trained=True)
    position = Position(epoch=2, step=3, best=0.7, best_epoch=1, seconds=2.5, history=[{"epoch": 1, "best": True}])
    checkpoint.save(folder, made, position, fingerprint="f", around=HERE)
    return made, position


@pytest.mark.slow
def test_everything_comes_back(tmp_path: Path):
    made, position = saved(tmp_path)
    again = learner()
    found, note = checkpoint.restore(tmp_path, again, fingerprint="f", around=HERE)
    assert found == position
    assert "equal to the bit" in note
    assert "not equal" not in note
    for old, new in ((made.network, again.network), (made.average, again.average)):
        assert all(torch.equal(v, new.state_dict()[k]) for k, v in old.state_dict().items())
    assert again.loss_sum.item() == 1.25
    for old, new in zip(made.optimiser.state.values(), again.optimiser.state.values(), strict=True):
        assert torch.equal(old["exp_avg_sq"], new["exp_avg_sq"])
        assert torch.equal(old["step"], new["step"])


@pytest.mark.slow
def test_a_fresh_start_says_nothing(tmp_path: Path):
    assert checkpoint.restore(tmp_path, learner(), fingerprint="f", around=HERE) == (Position(), "")


@pytest.mark.slow
def test_other_circumstances_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    saved(tmp_path)
    _, note = checkpoint.restore(tmp_path, learner(), fingerprint="f", around={"torch": "3", "threads": "1"})
    assert note.startswith("resumed at epoch 3, step 4, not equal to the bit")
    assert note.endswith("torch 2 -> 3")
    assert [m.endswith("interruption: torch 2 -> 3") for m in caplog.messages] == [True]


def test_the_threads_of_a_checkpoint_are_known_without_its_tensors(tmp_path: Path):
    assert checkpoint.begun_with(tmp_path) is None
    saved(tmp_path)
    assert checkpoint.begun_with(tmp_path) == 1


def test_another_training_is_refused(tmp_path: Path):
    saved(tmp_path)
    with pytest.raises(InputError, match="one of another configuration or cohort"):
        checkpoint.restore(tmp_path, learner(), fingerprint="g", around=HERE)


@pytest.mark.parametrize("keep", [0, 10, 5000])
def test_a_truncated_file_says_so(tmp_path: Path, keep: int):
    saved(tmp_path)
    path = tmp_path / "checkpoints/last.pt"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="a damaged one"):
        checkpoint.restore(tmp_path, learner(), fingerprint="f", around=HERE)


def test_a_checkpoint_that_cannot_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    saved(tmp_path)

    def fails(error: Exception):
        def load(*args, **options):
            raise error

        return load

    monkeypatch.setattr(torch, "load", fails(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(InputError, match=r"a checkpoint that can be read; found Input/output error\. Check"):
        checkpoint.restore(tmp_path, learner(), fingerprint="f", around=HERE)
    monkeypatch.setattr(torch, "load", fails(torch.OutOfMemoryError("device")))
    with pytest.raises(torch.OutOfMemoryError):  # nobody is told to remove a checkpoint that is whole
        checkpoint.restore(tmp_path, learner(), fingerprint="f", around=HERE)


def test_a_checkpoint_that_is_not_finite_is_refused(tmp_path: Path):
    saved(tmp_path)
    path = tmp_path / "checkpoints/last.pt"
    state = torch.load(path, weights_only=True)
    name = next(iter(state["network"]))
    state["network"][name].flatten()[0] = float("nan")
    torch.save(state, path)
    with pytest.raises(InputError, match=rf"expected finite weights; .*\(network\.{name}\).*remove it to train"):
        checkpoint.restore(tmp_path, learner(), fingerprint="f", around=HERE)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_full_disk_leaves_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: bool):
    saved(tmp_path)
    before = (tmp_path / "checkpoints/last.pt").read_bytes()

    def full(state: object, file: object) -> None:
        cause = OSError(errno.ENOSPC, "No space left on device")
        if hidden:
            raise RuntimeError("unexpected pos 64 vs 0") from cause
        raise cause

    monkeypatch.setattr(checkpoint.torch, "save", full)
    with pytest.raises(InputError, match="free space on the disk"):
        saved(tmp_path)
    assert (tmp_path / "checkpoints/last.pt").read_bytes() == before
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["last.pt"]


def test_weights_are_written_in_any_layout(tmp_path: Path):
    network = build(Architecture("densenet-tiny", 1, 2)).to(memory_format=torch.channels_last)
    state = load_file(checkpoint.save_weights(network, tmp_path / "w.safetensors"))
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())
