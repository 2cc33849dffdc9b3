"""Augmentation: nothing at zero strength, by hand where it can be, the same in any part of a batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from overread.training.fitting.augmentation import (
    add_noise,
    affine,
    affine_parameters,
    augment,
    blur,
    changed,
    draws,
    tone,
)
from overread.training.training_config import Augmentation

ONE, ZERO, STILL = torch.ones(1), torch.zeros(1), torch.zeros(1, 2)


def dot(height: int, width: int, at: tuple[int, int]) -> Tensor:
    image = torch.zeros(1, 1, height, width)
    image[0, 0, at[0], at[1]] = 1
    return image


def test_zero_strength_changes_nothing():
    images = torch.rand(3, 1, 17, 23)
    assert augment(images, Augmentation.none(), draws(0, 0, np.arange(3))) is images


@pytest.mark.slow
def test_the_functions_at_rest_are_the_identity():
    images = torch.rand(1, 1, 16, 24)
    torch.testing.assert_close(affine(images, ZERO, ONE, STILL), images, atol=1e-5, rtol=0)
    torch.testing.assert_close(tone(images, ONE, ONE, ZERO), images, atol=1e-5, rtol=0)
    assert torch.equal(add_noise(images, ZERO, ZERO), images)
    assert torch.equal(blur(images, ZERO), images)


@pytest.mark.slow
def test_a_quarter_turn_is_anticlockwise():
    image = torch.arange(16.0).view(1, 1, 4, 4) / 16
    turned = affine(image, torch.tensor([math.pi / 2]), ONE, STILL)
    torch.testing.assert_close(turned, torch.rot90(image, 1, (2, 3)), atol=1e-5, rtol=0)


def test_a_turn_keeps_distances_in_a_wide_image():
    # 4 to the right of the centre of a 21 x 41 image comes to lie 4 above it.
    turned = affine(dot(21, 41, (10, 24)), torch.tensor([math.pi / 2]), ONE, STILL)
    assert turned.flatten().argmax() == 6 * 41 + 20


def test_a_shift_moves_right_and_down_by_fractions_of_the_side():
    moved = affine(dot(10, 20, (2, 3)), ZERO, ONE, torch.tensor([[0.25, 0.1]]))
    torch.testing.assert_close(moved, dot(10, 20, (3, 8)), atol=1e-5, rtol=0)


def test_scale_enlarges_and_then_shifts():
    grown = affine(dot(21, 21, (10, 12)), ZERO, torch.tensor([2.0]), STILL)
    assert grown.flatten().argmax() == 10 * 21 + 14
    moved = affine(dot(20, 20, (9, 9)), ZERO, torch.tensor([2.0]), torch.tensor([[0.5, 0.0]]))
    assert abs(int(moved[0, 0].sum(0).argmax()) - 18.5) <= 1  # shifted by half the side, whatever the scale


def test_what_comes_in_from_outside_is_air():
    moved = affine(torch.ones(1, 1, 8, 8), ZERO, ONE, torch.tensor([[0.5, 0.0]]))
    assert torch.equal(moved[..., :4], torch.zeros(1, 1, 8, 4))


def test_tone_by_hand():
    images = torch.tensor([[[[0.25, 0.81]]], [[[0.25, 0.81]]]])
    made = tone(images, torch.tensor([0.5, 1.0]), torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.1]))
    torch.testing.assert_close(made, torch.tensor([[[[0.5, 0.9]]], [[[0.1, 1.0]]]]))


def test_noise_has_the_deviation_of_each_image():
    images = torch.full((2, 1, 200, 200), 0.5)
    made = add_noise(images, torch.tensor([0.01, 0.05]), torch.tensor([0.1, 0.2]))
    torch.testing.assert_close(made.std((1, 2, 3)), torch.tensor([0.01, 0.05]), rtol=0.03, atol=0)


def test_blur_spreads_by_its_sigma_and_keeps_the_sum():
    images = torch.cat([dot(41, 41, (20, 20)), dot(41, 41, (20, 20)), dot(41, 41, (20, 20))])
    made = blur(images, torch.tensor([1.0, 0.0, 2.0]))
    torch.testing.assert_close(made.sum((1, 2, 3)), torch.ones(3))
    assert torch.equal(made[1], images[1])
    squared = (torch.arange(41.0) - 20) ** 2
    variances = (made.sum((1, 2)) * squared).sum(1)
    torch.testing.assert_close(variances[[0, 2]], torch.tensor([1.0, 4.0]), rtol=0.03, atol=0)
    torch.testing.assert_close(blur(torch.full((1, 1, 8, 8), 0.3), torch.tensor([2.0])), torch.full((1, 1, 8, 8), 0.3))


def test_what_is_drawn_is_a_function_of_seed_epoch_and_image():
    whole = draws(3, 1, np.array([8, 0, 5]))
    assert torch.equal(draws(3, 1, np.array([5, 8])), whole[[2, 0]])
    others = torch.cat([whole, draws(4, 1, np.array([8])), draws(3, 2, np.array([8])), draws(1, 3, np.array([8]))])
    assert len(others.flatten().unique()) == 6 * 12


def test_an_image_is_changed_the_same_in_any_part_of_a_batch():
    places, strengths = np.array([3, 9, 4, 0, 7, 1, 12]), Augmentation(blur=2.0)
    images = torch.rand(7, 1, 200, 200, dtype=torch.float64)  # three at a time on a CPU
    whole = augment(images, strengths, draws(0, 0, places))
    for process in range(3):
        part = augment(images[process::3], strengths, draws(0, 0, places[process::3]))
        torch.testing.assert_close(part, whole[process::3], rtol=0, atol=1e-13)
    together = changed(images, strengths, draws(0, 0, places))
    torch.testing.assert_close(together, whole, rtol=0, atol=1e-13)
    assert not torch.equal(augment(images, strengths, draws(0, 1, places)), whole)
    assert float(whole.min()) >= 0
    assert float(whole.max()) <= 1


def test_parameters_stay_within_the_strengths():
    strengths = Augmentation(rotation=10, shift=0.1, scale=0.25)
    angle, scale, shift = affine_parameters(draws(0, 0, np.arange(2000))[:, :4], strengths)
    assert math.radians(9.9) < float(angle.abs().max()) <= math.radians(10)
    assert 1.24 < float(scale.max()) <= 1.25
    assert 0.8 <= float(scale.min()) < 0.81
    assert 0.099 < float(shift.abs().max()) <= 0.1


@pytest.mark.parametrize("strength", ["rotation", "shift", "scale", "gamma", "contrast", "brightness", "noise", "blur"])
def test_each_strength_alone_changes_the_images_and_not_the_input(strength: str):
    images = torch.rand(8, 1, 32, 32)
    kept = images.clone()
    only = Augmentation(**{**dict.fromkeys(Augmentation.none().__slots__, 0.0), strength: 0.5})
    assert not torch.equal(augment(images, only, draws(0, 0, np.arange(8))), kept)
    assert torch.equal(images, kept)


def test_half_the_images_have_noise():
    images = torch.full((400, 1, 4, 4), 0.5)
    only = Augmentation(**{**dict.fromkeys(Augmentation.none().__slots__, 0.0), "noise": 0.1})
    noisy = (augment(images, only, draws(0, 0, np.arange(400))) != 0.5).flatten(1).any(1)
    assert 160 < int(noisy.sum()) < 240  # four standard errors
