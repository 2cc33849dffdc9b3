"""The parts of the loop: learning rate, average, decay, sources of chance."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from overread.errors import InputError
from overread.training.fitting import loop
from overread.training.networks.architectures import Architecture, build
from overread.training.training_config import TrainingConfig


def test_learning_rate_rises_then_falls():
    config = TrainingConfig(learning_rate=2.0, warmup_fraction=0.25)
    rates = [loop.learning_rate(step, 40, config) for step in range(40)]
    np.testing.assert_allclose(rates[:10], 0.2 * np.arange(1, 11))
    assert rates[9] == max(rates)
    assert np.all(np.diff(rates[9:]) < 0)
    assert 0 < rates[-1] < 0.01
    assert rates[24] == pytest.approx(1 + math.cos(math.pi * 15 / 31))
    assert loop.learning_rate(0, 10, TrainingConfig(learning_rate=1.0, warmup_fraction=0)) > 0.97


def test_average_by_hand():
    network, average = (build(Architecture("densenet-tiny", 1, 1)) for _ in range(2))
    start, now = average.classifier.weight.clone(), network.classifier.weight
    network.features.norm0.running_mean.fill_(3)
    loop.update_average(average, network, 0.9, step=1000)
    torch.testing.assert_close(average.classifier.weight, 0.9 * start + 0.1 * now)
    assert torch.equal(average.features.norm0.running_mean, network.features.norm0.running_mean)
    loop.update_average(average, network, 0.9, step=0)  # the first steps follow: 1 - 1/10
    torch.testing.assert_close(average.classifier.weight, 0.1 * (0.9 * start + 0.1 * now) + 0.9 * now)


def test_only_kernels_decay():
    kernels, others = loop.parameter_groups(build(Architecture("densenet-tiny", 1, 2)), 0.3)
    assert (kernels["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert {p.ndim for p in kernels["params"]} == {2, 4}
    assert {p.ndim for p in others["params"]} == {1}


def test_dropout_is_a_function_of_the_place():
    def drawn(*place: int) -> float:
        loop.seed_dropout(*place)
        return torch.rand(1).item()

    with torch.random.fork_rng(devices=[]):
        assert drawn(1, 2, 3, 0) == drawn(1, 2, 3, 0)
        assert len({drawn(*place) for place in [(1, 2, 3, 0), (0, 2, 3, 0), (1, 3, 2, 0), (1, 2, 3, 1)]}) == 4


def test_more_processes_than_images_in_a_step_are_refused():
    task = SimpleNamespace(train=range(72), steps_per_epoch=5)  # the smallest step has 14
    loop.check_processes(task, 14)
    with pytest.raises(InputError, match=r"found 15 processes and 14 images\. Start at most 14 processes"):
        loop.check_processes(task, 15)


def test_the_callers_chance_is_left_as_it_was():
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    with loop.repeatable():
        torch.manual_seed(5)
        torch.rand(3)
    assert torch.equal(torch.rand(1), expected)
