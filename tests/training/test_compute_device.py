"""Precision as detected, and the message where Fabric is missing."""

from __future__ import annotations

import sys

import pytest
import torch

from overread.errors import InputError
from overread.training import compute_device


def detected(monkeypatch: pytest.MonkeyPatch, *, amx: bool, avx: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)


@pytest.mark.parametrize(
    ("amx", "avx", "name", "precision"),
    [(True, True, "AMX", "bf16-mixed"), (False, True, "AVX512-BF16", "bf16-mixed"), (False, False, "", "32-true")],
)
def test_auto_takes_bf16_where_it_is_fast(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx: bool, name: str, precision: str
):
    detected(monkeypatch, amx=amx, avx=avx)
    assert compute_device.fast_bf16() == name
    assert compute_device.resolved_precision("auto") == precision
    assert compute_device.resolved_precision("32-true") == "32-true"


def test_a_torch_without_these_questions_gives_float32(monkeypatch: pytest.MonkeyPatch):
    detected(monkeypatch, amx=True, avx=True)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert compute_device.resolved_precision("auto") == "32-true"


def test_fabric_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(InputError, match=r"pip install 'overread\[train\]'"):
        compute_device.start_fabric("32-true")
