"""A loss that is no number stops the training soon, and the message names the images that it comes from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from overread.errors import InputError
from overread.training.fitting.loss_watch import EVERY, LossWatch

IDS = [f"im{k}" for k in range(100)]


def watch(network: nn.Module | None = None) -> LossWatch:
    alone = SimpleNamespace(world_size=1, device=torch.device("cpu"))
    return LossWatch(alone, network or nn.Linear(2, 1), IDS, epoch=2)  # type: ignore[arg-type]


def step(of: LossWatch, number: int, *, wrong: tuple[int, ...] = (), loss: float | None = None) -> None:
    """Add a step of images 4 n to 4 n + 3, of which some have logits that are no numbers."""
    logits = torch.zeros(4, 3)
    logits[list(wrong), 1] = torch.nan
    value = loss if loss is not None else float("nan") if wrong else 0.5
    of.add(number, torch.tensor(value), logits, np.arange(4 * number, 4 * number + 4))


def test_the_images_whose_logits_are_no_numbers_are_named_within_so_many_steps():
    seen = watch()
    for number in range(EVERY - 1):
        step(seen, number, wrong=(1, 3) if number == 7 else (0, 1, 2, 3) if number > 7 else ())
    with pytest.raises(InputError) as error:
        step(seen, EVERY - 1, wrong=(0, 1, 2, 3))
    assert str(error.value) == (
        "training: expected a loss that is a number; found nan at step 8 of epoch 3, with 2 images (im29, im31). Look "
        "at these images. If they are whole, lower learning_rate, or set precision to '32-true'."
    )


def test_after_weights_that_became_none_the_step_before_is_named():
    seen = watch()
    for number in range(EVERY):
        step(seen, number)
    step(seen, EVERY, wrong=(0, 1, 2, 3))  # its forerunner was looked at and had a loss
    with pytest.raises(InputError, match=rf"weights that are numbers; found nan after step {EVERY} .*im76, im77"):
        seen.look()


def test_weights_that_are_none_after_the_last_step_stop_the_training_too():
    network = nn.Linear(2, 1)
    seen = watch(network)
    step(seen, 0)
    assert seen.whole()
    with torch.no_grad():
        network.weight[0, 0] = torch.nan
    assert not seen.whole()  # is not saved
    with pytest.raises(InputError, match=r"weights that are numbers; found nan after step 1 .*im0, im1, im2, im3"):
        seen.look()


def test_an_infinite_loss_of_finite_logits_names_the_step():
    seen = watch()
    step(seen, 0, loss=float("inf"))
    assert not seen.whole()
    with pytest.raises(InputError, match=r"a loss that is a number; found inf at step 1 .*with 4 images"):
        seen.look()


def test_the_process_whose_loss_is_a_number_points_to_the_other(monkeypatch):
    of_two = SimpleNamespace(world_size=2, device=torch.device("cpu"))
    seen = LossWatch(of_two, nn.Linear(2, 1), IDS, epoch=0)  # type: ignore[arg-type]
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda first, op: first.fill_(min(int(first), 1)))
    for number in range(3):
        step(seen, number)
    with pytest.raises(InputError, match=r"none at step 2 of epoch 1, in another process\. The message of that"):
        seen.look()


def test_nothing_is_said_of_numbers():
    seen = watch()
    for number in range(3 * EVERY):
        step(seen, number)
    seen.look()
    seen.look()
    assert seen.whole()
