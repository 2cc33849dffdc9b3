"""The source of random numbers of a statistic: a generator of NumPy, or a seed."""

from __future__ import annotations

import numpy as np

from overread.errors import InputError

Random = np.random.Generator | int


def generator(rng: Random, *, where: str) -> np.random.Generator:
    """The generator itself, which goes on where it is; of a seed a new one, so that a call can be repeated.

    >>> generator(1, where="bootstrap").random() == generator(1, where="bootstrap").random()
    True
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
        return np.random.default_rng(rng)
    do = "Give rng=1, or rng=numpy.random.default_rng(1)."
    raise InputError(f"{where}: rng", "a numpy.random.Generator or a seed (a whole number from 0)", repr(rng), do=do)
