"""Random changes of training images in batches on their device: affine, tone, noise and blur.

What is drawn for an image is a function of seed, epoch and image, so that it does not depend on the step, on the other
images of the batch, or on the process. The parameters are drawn on the CPU and are the same on every device. The noise,
which is as large as the batch, is drawn on the device: a GPU gives other noise than a CPU, from the same seed.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from overread.training.training_config import Augmentation

PIXELS_AT_A_TIME = 2**17
"""How many are changed at once on a CPU."""


def draws(seed: int, epoch: int, images: NDArray[np.int64]) -> Tensor:
    """Draw what `augment` needs for each of some images (n,), which are given by their places in the training set.

    Returns
    -------
    float64 (n, 12), uniform from 0 to 1, on the CPU; the last one is the seed of the noise, divided by 2^53

    >>> torch.equal(draws(0, 3, np.array([7, 2, 5]))[1:], draws(0, 3, np.array([2, 5])))
    True
    """
    return torch.from_numpy(np.stack([np.random.default_rng([seed, epoch, int(i)]).random(12) for i in images]))


def augment(images: Tensor, strengths: Augmentation, drawn: Tensor) -> Tensor:
    """Images changed at random: geometry, then blur, tone and noise, as an acquisition would.

    Parameters
    ----------
    images
        float32 (n, 1, height, width), 0 (air) to 1
    strengths
        how far each change may go; at zero strength a change is not made at all
    drawn
        the random numbers of each image (n, 12), see `draws`

    Returns
    -------
    float32 of the same shape, 0 to 1; what moves in from outside is 0, as the border of the pixel recipe

    >>> x = torch.rand(2, 1, 8, 8)
    >>> torch.equal(augment(x, Augmentation.none(), draws(0, 0, np.arange(2))), x)
    True
    """
    if strengths == Augmentation.none():
        return images
    if images.device.type != "cpu":
        return changed(images, strengths, drawn)
    # A few images at a time stay in the processor's cache, which makes it a quarter faster.
    few = max(1, PIXELS_AT_A_TIME // images[0].numel())
    out = torch.empty_like(images)
    for first in range(0, len(images), few):
        some = slice(first, first + few)
        out[some] = changed(images[some], strengths, drawn[some])
    return out


def changed(images: Tensor, strengths: Augmentation, drawn: Tensor) -> Tensor:
    """Change images (n, 1, height, width) at random, all at once."""
    if strengths.rotation or strengths.shift or strengths.scale:
        images = affine(images, *affine_parameters(drawn[:, :4], strengths))
    if strengths.blur:
        images = blur(images, half(drawn[:, 4:6], strengths.blur))
    if strengths.gamma or strengths.contrast or strengths.brightness:
        images = tone(images, *tone_parameters(drawn[:, 6:9], strengths))
    if strengths.noise:
        images = add_noise(images, half(drawn[:, 9:11], strengths.noise), drawn[:, 11])
    return images


def half(drawn: Tensor, largest: float) -> Tensor:
    """Return a number from 0 to `largest` for half of the images and 0 for the others (n,); `drawn` is (n, 2)."""
    return torch.where(drawn[:, 1] < 0.5, drawn[:, 0] * largest, 0.0)


def affine_parameters(drawn: Tensor, strengths: Augmentation) -> tuple[Tensor, Tensor, Tensor]:
    """Return angles in radians (n,), scales (n,) and shifts as fractions of the side (n, 2); `drawn` is (n, 4)."""
    signed = 2 * drawn - 1
    scale = (signed[:, 1] * math.log1p(strengths.scale)).exp()
    return signed[:, 0] * math.radians(strengths.rotation), scale, signed[:, 2:] * strengths.shift


def affine(images: Tensor, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Rotate by `angle` (n,), scale by `scale` (n,) about the centre, and shift by `shift` (n, 2: x, y).

    Positive angles rotate anticlockwise, positive shifts move right and down; bilinear, zero outside.
    """
    height, width = images.shape[-2:]
    # The grid says of every output pixel where in the input it comes from, in units of -1..1 over the side: the inverse
    # of what is done to the image. Sums of a row and a column; torch's affine_grid takes four times as long for it.
    x = centres(width, like=images) - 2 * shift[:, :1].to(images)  # (n, width)
    y = centres(height, like=images) - 2 * shift[:, 1:].to(images)  # (n, height)
    cosine, sine = ((f(angle) / scale).to(images).unsqueeze(1) for f in (torch.cos, torch.sin))
    grid = images.new_empty(len(images), height, width, 2)
    torch.sub((cosine * x).unsqueeze(1), (sine * (height / width) * y).unsqueeze(2), out=grid[..., 0])
    torch.add((sine * (width / height) * x).unsqueeze(1), (cosine * y).unsqueeze(2), out=grid[..., 1])
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def centres(n: int, *, like: Tensor) -> Tensor:
    """Return the centres of the n pixels of a side, in units of -1 to 1 (n,)."""
    return (2 * torch.arange(n, device=like.device, dtype=like.dtype) + 1) / n - 1


def tone_parameters(drawn: Tensor, strengths: Augmentation) -> tuple[Tensor, Tensor, Tensor]:
    """Return gammas (n,) and contrasts (n,), uniform on a log scale, and brightnesses (n,); `drawn` is (n, 3)."""
    signed = 2 * drawn - 1
    gamma = (signed[:, 0] * math.log1p(strengths.gamma)).exp()
    contrast = (signed[:, 1] * math.log1p(strengths.contrast)).exp()
    return gamma, contrast, signed[:, 2] * strengths.brightness


def tone(images: Tensor, gamma: Tensor, contrast: Tensor, brightness: Tensor) -> Tensor:
    """Return clip(0.5 + contrast (x^gamma - 0.5) + brightness, 0, 1), with parameters (n,) per image."""
    gamma, contrast, brightness = (v.to(images).view(-1, 1, 1, 1) for v in (gamma, contrast, brightness))
    return images.clamp(1e-6, 1).pow_(gamma).sub_(0.5).mul_(contrast).add_(brightness + 0.5).clamp_(0, 1)


def add_noise(images: Tensor, deviation: Tensor, seed: Tensor) -> Tensor:
    """Add Gaussian noise of standard deviation `deviation` (n,) to each image, clipped to 0 to 1; 0 = unchanged.

    `seed` (n,) is that of the noise of each image, divided by 2^53.
    """
    noise, generator = torch.zeros_like(images), torch.Generator(images.device)
    for field, one, start in zip(noise, deviation.tolist(), (seed * 2**53).long().tolist(), strict=True):
        if one:
            field.normal_(0, one, generator=generator.manual_seed(start))
    return noise.add_(images).clamp_(0, 1)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Convolve each image with a Gaussian of its own `sigma` (n,) in pixels; 0 = unchanged; edges are repeated.

    Each Gaussian is cut at three times its own `sigma`, whatever the others of the batch.
    """
    chosen = torch.nonzero(sigma).flatten()
    if len(chosen) == 0:
        return images
    width, there = sigma[chosen].to(images).unsqueeze(1), chosen.to(images.device)
    reach = max(1, math.ceil(3 * float(sigma.max())))
    at = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.where(at.abs() <= (3 * width).ceil(), (-0.5 * (at / width) ** 2).exp(), 0.0)
    kernel = (kernel / kernel.sum(1, keepdim=True)).view(len(chosen), 1, 1, -1)
    some = images[there].transpose(0, 1)  # (1, m, h, w): each image a channel, each channel its own kernel
    some = functional.pad(some, (reach, reach, reach, reach), mode="replicate")
    some = functional.conv2d(some, kernel, groups=len(chosen))
    some = functional.conv2d(some, kernel.transpose(2, 3), groups=len(chosen))
    return images.index_copy(0, there, some.transpose(0, 1))
