"""Compilation of numerical kernels by numba, with the compiled code cached on disk if possible."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def njit(**options: Any) -> Callable[[Function], Function]:
    """Compile as `numba.njit` does, with the compiled code cached on disk if it can be written.

    numba itself fails if neither the package nor the cache folder of the user is writable (a container with a read-only
    file system) or if the disk is full. The kernel is then compiled again in every process.

    >>> @njit()
    ... def double(x):
    ...     return 2 * x
    >>> double(21)
    42
    """

    def compiled(function: Function) -> Function:
        try:
            cached: Any = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder that can be written
            uncached: Function = numba.njit(**options)(function)
            return uncached
        save = cached._cache.save_overload

        def save_if_possible(signature: Any, data: Any) -> None:
            with suppress(OSError):
                save(signature, data)

        cached._cache.save_overload = save_if_possible
        kernel: Function = cached
        return kernel

    return compiled
