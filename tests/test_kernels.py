"""Kernels are compiled also where the compiled code cannot be kept."""

import errno
from types import SimpleNamespace

import numba
import pytest

from overread import kernels


def add(a, b):
    return a + b


def test_without_a_folder_that_can_be_written_a_kernel_is_compiled_in_memory(monkeypatch):
    real = numba.njit

    def refuse(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function 'add': no locator available for file 'x.py'")
        return real(**options)

    monkeypatch.setattr(kernels, "numba", SimpleNamespace(njit=refuse))
    assert kernels.njit(nogil=True)(add)(2, 3) == 5


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_does_not_stop_a_kernel(monkeypatch, code):
    kernel = kernels.njit()(lambda a, b: a + 2 * b)
    tried = []

    def fail(*_):
        tried.append(code)
        raise OSError(code, "x")

    monkeypatch.setattr(kernel._cache._cache_file, "save", fail)
    monkeypatch.setattr(kernel._cache._cache_file, "load", lambda *_: None)
    assert kernel(2, 3) == 8
    assert tried == [code]
