"""Batch norm over all processes: with one process it is torch's; several are in tests/training/test_processes.py."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import distributed, nn

from overread.training.networks.architectures import Architecture, build
from overread.training.networks.global_batch_norm import GlobalBatchNorm, normalise_globally


@pytest.fixture(autouse=True)
def _one_process() -> Iterator[None]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def pair(norm: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A norm with parameters that are no ones and zeros, and the same one over all processes."""
    for value in norm.parameters():
        nn.init.normal_(value)
    ours = nn.Sequential(copy.deepcopy(norm))
    normalise_globally(ours)
    assert type(ours[0]) is GlobalBatchNorm
    return norm, ours[0]


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm2d(3), (4, 3, 5, 6)),
        (nn.BatchNorm2d(3, momentum=None), (4, 3, 5, 6)),
        (nn.BatchNorm2d(3, affine=False), (4, 3, 5, 6)),
        (nn.BatchNorm2d(3, track_running_stats=False), (4, 3, 5, 6)),
        (nn.BatchNorm1d(3), (4, 3)),
    ],
)
def test_with_one_process_it_is_that_of_torch(norm: nn.Module, shape: tuple[int, ...]):
    theirs, ours = pair(norm.double())
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for _ in range(2):
        x = (1000 + 3 * torch.randn(shape, dtype=torch.float64)).requires_grad_()
        y = x.detach().clone().requires_grad_()
        weights = torch.randn(shape, dtype=torch.float64)
        (theirs(x) * weights).sum().backward()
        (ours(y) * weights).sum().backward()
        torch.testing.assert_close(y.grad, x.grad, rtol=1e-7, atol=1e-9)
    for found, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-9, atol=1e-9)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-9, atol=0)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-9, atol=1e-9)


def test_the_gradient_is_that_of_the_differences():
    _, ours = pair(nn.BatchNorm2d(2).double())
    x = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ours, (x,))


def test_bfloat16_is_normalised_with_statistics_in_float32():
    theirs, ours = pair(nn.BatchNorm2d(3))
    x = (5 + torch.randn(4, 3, 8, 8)).bfloat16()
    assert ours(x).dtype == torch.bfloat16
    theirs(x)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-5, atol=0)


class NormAct(nn.BatchNorm2d):
    """A batch norm as timm has them: with a dropout and an activation that it applies itself."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.PReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise, drop, activate."""
        return self.act(self.drop(super().forward(x)))


def test_the_activation_of_a_norm_of_timm_is_kept():
    theirs, ours = pair(NormAct(3))
    x = torch.randn(4, 3, 5, 5)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_a_whole_network_keeps_its_names_and_its_norms_are_all_changed():
    network = build(Architecture("densenet-tiny", 1, 2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    normalise_globally(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.state_dict().keys() == before.keys()
    assert {type(m) for m in network.modules() if "Norm" in type(m).__name__} == {GlobalBatchNorm}
