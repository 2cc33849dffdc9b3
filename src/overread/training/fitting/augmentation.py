"""Random changes of training images in batches on their device: affine, tone, noise and blur.

Random numbers are drawn on the CPU from a torch.Generator, so that runs are repeatable on any device; only the noise,
which is as large as the batch, is drawn on the device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from overread.training.training_config import Augmentation

PIXELS_AT_A_TIME = 2**17
"""How many are changed at once on a CPU."""


def augment(images: Tensor, strengths: Augmentation, generator: torch.Generator) -> Tensor:
    """Images changed at random: geometry, then blur, tone and noise, as an acquisition would.

    Parameters
    ----------
    images
        float32 (n, 1, height, width), 0 (air) to 1
    strengths
        how far each change may go; at zero strength a change is not made at all
    generator
        the source of chance, on the CPU

    Returns
    -------
    float32 of the same shape, 0 to 1; what moves in from outside is 0, as the border of the pixel recipe

    >>> x = torch.rand(2, 1, 8, 8)
    >>> torch.equal(augment(x, Augmentation.none(), torch.Generator().manual_seed(0)), x)
    True
    """
    if strengths == Augmentation.none():
        return images
    if images.device.type != "cpu":
        return changed(images, strengths, generator)
    # A few images at a time stay in the processor's cache, which makes it a quarter faster.
    few = max(2, PIXELS_AT_A_TIME // images[0].numel() // 2 * 2)  # even, for the half that has noise
    out = torch.empty_like(images)
    for first in range(0, len(images), few):
        some = slice(first, first + few)
        out[some] = changed(images[some], strengths, generator)
    return out


def changed(images: Tensor, strengths: Augmentation, generator: torch.Generator) -> Tensor:
    """Change images (n, 1, height, width) at random, all at once."""
    original = images
    if strengths.rotation or strengths.shift or strengths.scale:
        images = affine(images, *draw_affine(len(images), strengths, generator))
    if strengths.blur:
        sigma = uniform(len(images), 0.0, strengths.blur, generator) * (uniform(len(images), 0, 1, generator) < 0.5)
        images = blur(images, sigma)
    if strengths.gamma or strengths.contrast or strengths.brightness:
        images = tone(images, *draw_tone(len(images), strengths, generator))
    if strengths.noise:
        images = images.clone() if images is original else images
        half = images[::2]  # the order is random, so every second image is a random half; normal draws are dear
        half.copy_(add_noise(half, uniform(len(half), 0.0, strengths.noise, generator), generator))
    return images


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw n numbers uniformly from low to high."""
    return torch.rand(n, generator=generator).mul_(high - low).add_(low)


def draw_affine(n: int, strengths: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw angles in radians (n,), scales (n,) and shifts as fractions of the side (n, 2)."""
    largest = math.radians(strengths.rotation)
    angle = uniform(n, -largest, largest, generator)
    scale = uniform(n, -1, 1, generator).mul_(math.log1p(strengths.scale)).exp_()
    shift = uniform(2 * n, -strengths.shift, strengths.shift, generator).view(n, 2)
    return angle, scale, shift


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


def draw_tone(n: int, strengths: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw gammas (n,) and contrasts (n,), uniform on a log scale, and brightnesses (n,)."""
    gamma = uniform(n, -1, 1, generator).mul_(math.log1p(strengths.gamma)).exp_()
    contrast = uniform(n, -1, 1, generator).mul_(math.log1p(strengths.contrast)).exp_()
    return gamma, contrast, uniform(n, -strengths.brightness, strengths.brightness, generator)


def tone(images: Tensor, gamma: Tensor, contrast: Tensor, brightness: Tensor) -> Tensor:
    """Return clip(0.5 + contrast (x^gamma - 0.5) + brightness, 0, 1), with parameters (n,) per image."""
    gamma, contrast, brightness = (v.to(images).view(-1, 1, 1, 1) for v in (gamma, contrast, brightness))
    return images.clamp(1e-6, 1).pow_(gamma).sub_(0.5).mul_(contrast).add_(brightness + 0.5).clamp_(0, 1)


def add_noise(images: Tensor, deviation: Tensor, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise of standard deviation `deviation` (n,) to each image, clipped to 0 to 1."""
    on = generator
    if images.device.type != "cpu":
        on = torch.Generator(images.device)
        on.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    noise = torch.randn(images.shape, generator=on, device=images.device, dtype=images.dtype)
    return noise.mul_(deviation.to(images).view(-1, 1, 1, 1)).add_(images).clamp_(0, 1)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Convolve each image with a Gaussian of its own `sigma` (n,) in pixels; 0 = unchanged; edges are repeated."""
    chosen = torch.nonzero(sigma > 0).flatten().to(images.device)
    if len(chosen) == 0:
        return images
    width = sigma[sigma > 0].to(images)
    reach = max(1, math.ceil(3 * float(sigma.max())))
    at = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = (-0.5 * (at / width.unsqueeze(1)) ** 2).exp()
    kernel = (kernel / kernel.sum(1, keepdim=True)).view(len(chosen), 1, 1, -1)
    some = images[chosen].transpose(0, 1)  # (1, m, h, w): each image a channel, each channel its own kernel
    some = functional.pad(some, (reach, reach, reach, reach), mode="replicate")
    some = functional.conv2d(some, kernel, groups=len(chosen))
    some = functional.conv2d(some, kernel.transpose(2, 3), groups=len(chosen))
    out = images.clone()
    out[chosen] = some.transpose(0, 1)
    return out
