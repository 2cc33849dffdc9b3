"""Copies of an image as collections make them: cropped, bordered, tinted, rescaled, compressed."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from overread.images.raster.file_content import ImageFile
from overread.images.recipe.pixel_recipe import Recipe, apply_recipe


@dataclass(frozen=True)
class Copy:
    """What is done to an image: shares cropped from and borders added to left, top, right, bottom, tone, scale."""

    crop: tuple[float, float, float, float] = (0, 0, 0, 0)
    border: tuple[float, float, float, float] = (0, 0, 0, 0)
    border_grey: int = 0
    gamma: float = 1.0
    contrast: float = 1.0
    tint: tuple[float, float, float] = (1, 1, 1)
    scale: float = 1.0
    quality: int = 90

    def of(self, grey: np.ndarray) -> np.ndarray:
        """The copy of an 8-bit grey image."""
        image = Image.fromarray(grey).convert("RGB")
        width, height = image.size
        left, top, right, bottom = self.crop
        image = image.crop(
            (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
        )
        small = tuple(max(8, round(self.scale * n)) for n in image.size)
        greys = np.asarray(image.resize(small, Image.Resampling.LANCZOS), np.float32) / 255
        greys = ((greys**self.gamma - 0.5) * self.contrast + 0.5) * np.array(self.tint, np.float32)
        image = Image.fromarray(np.rint(np.clip(greys, 0, 1) * 255).astype(np.uint8))
        widths = tuple(round(b * n) for b, n in zip(self.border, image.size * 2, strict=True))
        image = ImageOps.expand(image, widths, fill=(self.border_grey,) * 3)
        held = io.BytesIO()
        image.save(held, "JPEG", quality=self.quality)
        return np.asarray(Image.open(held).convert("L"))


def stored(grey: np.ndarray, size: int = 128, fit: str = "pad") -> np.ndarray:
    """An 8-bit grey image as the store holds it."""
    return apply_recipe(ImageFile(grey, 0.0, 255.0, *grey.shape), Recipe(size, fit))


def random_copy(rng: np.random.Generator) -> Copy:
    """A copy within the range that the search is stated to cover."""
    return Copy(
        crop=tuple(rng.uniform(0.0, 0.25, 4)),
        border=tuple(rng.uniform(0, 0.1, 4)),
        border_grey=int(rng.choice([0, 255])),
        gamma=rng.uniform(0.7, 1.4),
        contrast=rng.uniform(0.6, 1.0),
        tint=tuple(rng.uniform(0.75, 1, 3)),
        scale=rng.uniform(0.6, 1.0),
        quality=int(rng.integers(60, 95)),
    )
