"""Pixel recipe: rendering of a radiograph of any size and bit depth to `size` x `size` grey values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from overread import limits
from overread.errors import InputError, did_you_mean
from overread.images.raster.file_content import ImageFile, Pixels
from overread.images.recipe import visible_contrast

_FITS = {"crop": "the central square", "pad": "the whole image, its shorter side padded with black"}
_WINDOWS = {
    "full": "the display range of the file (for DICOM its first VOI window or LUT)",
    "percentile": "from the 0.5th to the 99.5th percentile of the image",
}
_PERCENTILES = (0.5, 99.5)
_GAP = 3.0  # blocks are averaged as long as three pixels or more remain for one of the result
_Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Recipe:
    """How images are rendered; stored with the pixels and with every model trained on them.

    Parameters
    ----------
    size : int
        Side in pixels, 8 to 4096.
    fit : {"crop", "pad"}
        Central square, or the whole image with its longer side at `size` and the rest black.
    window : {"full", "percentile"}
        Display range of the file, or the 0.5 % to 99.5 % percentiles of the image. Air is always dark.

    Examples
    --------
    >>> Recipe(size=160, fit="pad").describe()
    '160 x 160 pixels of the whole image, its shorter side padded with black; grey values: the display range of ...'
    """

    size: int = 224
    fit: str = "crop"
    window: str = "full"

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.size, int) or isinstance(self.size, bool) or not 8 <= self.size <= 4096:
            problems.append(InputError("recipe.size", "a whole number from 8 to 4096", limits.shown(self.size)))
        for name, known in (("fit", _FITS), ("window", _WINDOWS)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                expected = f"one of {', '.join(known)}"
                problems.append(InputError(f"recipe.{name}", expected, repr(value), do=did_you_mean(str(value), known)))
        if problems:
            raise InputError.all(problems)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as a dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Recipe from a dictionary; an unknown key is an InputError that suggests the nearest known key."""
        known = [f.name for f in fields(cls)]
        unknown = [k for k in values if k not in known]
        if unknown:
            raise InputError(
                "recipe",
                f"keys {', '.join(known)}",
                "unknown keys",
                examples=unknown,
                do=did_you_mean(unknown[0], known),
            )
        return cls(**values)

    def describe(self) -> str:
        """Description of the recipe for the methods section of a report."""
        return f"{self.size} x {self.size} pixels of {_FITS[self.fit]}; grey values: {_WINDOWS[self.window]}"


def apply_recipe(picture: ImageFile, recipe: Recipe) -> NDArray[np.uint8]:
    """Render an image by a recipe.

    Parameters
    ----------
    picture : ImageFile
        The decoded image.
    recipe : Recipe
        The recipe.

    Returns
    -------
    ndarray of uint8, shape (size, size)
        The rendered image; air is dark.

    Notes
    -----
    Reduction averages over the area of each output pixel (Pillow's Hamming filter with scaled support, within one grey
    level of the exact area average on radiographs); enlargement is bicubic. Images of more than 8 bits are windowed
    first.
    """
    rows, columns = picture.pixels.shape
    size = recipe.size
    if recipe.fit == "crop":
        side = min(rows, columns)
        left, top = (columns - side) / 2, (rows - side) / 2
        return _bytes(_resized(picture, recipe.window, (size, size), (left, top, left + side, top + side)))
    height, width = inner = _inner(rows, columns, size)
    resized = _bytes(_resized(picture, recipe.window, (width, height), (0, 0, columns, rows)))
    canvas = np.zeros((size, size), np.uint8)
    canvas[_centred(inner, size)] = resized
    return canvas


def uniformity(picture: ImageFile, pixels: NDArray[np.uint8], recipe: Recipe) -> str:
    """Lack of contrast of a rendered image (see `visible_contrast.flatness`); "" = none.

    Parameters
    ----------
    picture : ImageFile
        The decoded image: averaging hides that a mask has only two grey values, so that they are counted here.
    pixels : ndarray of uint8, shape (size, size)
        The rendered image. Padding is excluded.
    recipe : Recipe
        The recipe.

    Returns
    -------
    str
        Kind of deficiency, or "".
    """
    rows, columns = picture.pixels.shape
    if recipe.fit == "pad":
        pixels = pixels[_centred(_inner(rows, columns, recipe.size), recipe.size)]
    deficiency = visible_contrast.flatness(pixels)
    few = not deficiency and visible_contrast.few(picture.pixels, picture.table)
    return visible_contrast.FEW if few else deficiency


def _inner(rows: int, columns: int, size: int) -> tuple[int, int]:
    """Rows and columns of a padded image without its padding."""
    longer = max(rows, columns)
    return max(1, round(rows * size / longer)), max(1, round(columns * size / longer))


def _centred(inner: tuple[int, int], size: int) -> tuple[slice, slice]:
    top, left = ((size - n) // 2 for n in inner)
    return slice(top, top + inner[0]), slice(left, left + inner[1])


def _resized(picture: ImageFile, window: str, size: tuple[int, int], box: _Box) -> Image.Image:
    """The windowed region of the image, resized to (width, height) = `size`.

    Large images are first averaged over whole blocks, equal in every bit to Pillow's `reducing_gap`; with a look-up
    table, both are one pass.
    """
    values, table = _windowed(picture, window)
    kernel = Image.Resampling.HAMMING if box[2] - box[0] >= size[0] else Image.Resampling.BICUBIC
    if table is None:
        return Image.fromarray(values).resize(size, kernel, box=box, reducing_gap=_GAP)
    from overread.images.recipe.lut import averaged, looked_up  # numba takes 0.3 s to load: only where greys are deep

    wide, tall = (max(1, int((box[i + 2] - box[i]) / size[i] / _GAP)) for i in (0, 1))
    if wide == tall == 1:
        return Image.fromarray(looked_up(values, table)).resize(size, kernel, box=box)
    around = left, top, _, _ = _around(values.shape, size, box)
    blocks = averaged(values, table, (tall, wide), around)
    inner = (box[0] - left) / wide, (box[1] - top) / tall, (box[2] - left) / wide, (box[3] - top) / tall
    return Image.fromarray(blocks).resize(size, kernel, box=inner)


def _around(shape: tuple[int, ...], size: tuple[int, int], box: _Box) -> tuple[int, int, int, int]:
    """Whole pixels within the support of the filter, which exceeds the box by half an output pixel."""
    reach = [(box[i + 2] - box[i]) / size[i] / 2 for i in (0, 1)]
    left, top = (max(0, int(box[i] - reach[i])) for i in (0, 1))
    right, bottom = (min(shape[1 - i], math.ceil(box[i + 2] + reach[i])) for i in (0, 1))
    return left, top, right, bottom


def _windowed(picture: ImageFile, window: str) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """Grey values from 0 to 255, or indices and their look-up table."""
    pixels, low, high = picture.pixels, picture.black, picture.white
    if window == "percentile":
        low, high = _percentiles(pixels, picture.table)
    if pixels.dtype == np.uint8 and picture.table is None and (low, high) == (0.0, 255.0):
        return pixels, None
    if high <= low:  # one value all over: nothing to spread, and black is the honest picture of it
        return np.zeros(pixels.shape, np.uint8), None
    if picture.table is None and pixels.dtype == np.float32:
        return _spread(pixels, low, high), None
    table = _spread(_levels(pixels) if picture.table is None else picture.table, low, high)
    if table.dtype == np.float32:  # modality values that are no whole numbers keep their fractions
        from overread.images.recipe.lut import looked_up

        return looked_up(pixels, table), None
    return pixels, table  # type: ignore[return-value]


def _spread(greys: NDArray[Any], low: float, high: float) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Map grey values from `low` to `high` to 0 to 255; integers are rounded."""
    scale = 255.0 / (high - low)
    if greys.dtype == np.float32:
        spread: NDArray[np.float32] = np.clip((greys - np.float32(low)) * np.float32(scale), 0, 255)
        return spread
    return np.rint(np.clip((greys - low) * scale, 0, 255)).astype(np.uint8)


def _levels(pixels: Pixels) -> NDArray[np.int64]:
    return np.arange(1 << (8 * pixels.dtype.itemsize))


def _percentiles(pixels: Pixels, table: Pixels | None = None) -> tuple[float, float]:
    if pixels.dtype == np.float32:
        low, high = np.percentile(pixels, _PERCENTILES, method="inverted_cdf")
        return float(low), float(high)
    from overread.images.recipe.lut import counted

    greys: NDArray[Any] = _levels(pixels) if table is None else table
    order = np.argsort(greys, kind="stable")
    below = np.cumsum(counted(pixels)[order])  # (n_levels,): far quicker than sorting pixels
    low, high = np.searchsorted(below, [q / 100 * pixels.size for q in _PERCENTILES])
    return float(greys[order[low]]), float(greys[order[high]])


def _bytes(image: Image.Image) -> NDArray[np.uint8]:
    values = np.asarray(image)
    return values if values.dtype == np.uint8 else np.clip(np.rint(values), 0, 255).astype(np.uint8)
