"""Compilation of numerical kernels by numba; the compiled code is kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def njit(**options: Any) -> Callable[[Function], Function]:
    """`numba.njit` with the compiled code kept on disk, if it can be written there.

    numba itself fails where neither the package nor the user's cache folder can be written (a container with a
    read-only file system) and where the disk is full. Then the kernel is compiled anew in every process.

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
