"""Batch norm over the images of all processes, on a CPU too, which torch's SyncBatchNorm refuses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def normalise_globally(network: nn.Module) -> None:
    """Make every batch norm of a network one over the images of all processes, with the same parameters and names.

    Norms of other kinds are left as they are.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = GlobalBatchNorm  # nothing that it holds changes, only what it does in training


class GlobalBatchNorm(_BatchNorm):
    """A batch norm with the means and variances of the batches of all processes together.

    What it holds, and what it does outside of training, is that of torch's batch norms; statistics are those that one
    process would find in the whole batch, the running variance is the unbiased one. Each process has at least one
    image. A `drop` and an `act`, which timm's batch norms hold, are applied afterwards.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (n, channels, ...)."""
        y = self._in_training(x) if self.training else super().forward(x)
        for name in ("drop", "act"):
            if hasattr(self, name):
                y = getattr(self, name)(y)
        return y

    def _in_training(self, x: Tensor) -> Tensor:
        statistics = global_statistics(x)
        mean, variance, count = statistics
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.to(self.running_mean), share)
            self.running_var.lerp_((variance * (count / (count - 1))).to(self.running_var), share)
        dtype = torch.promote_types(x.dtype, torch.float32)
        weight = self.weight if self.weight is not None else mean.new_ones(mean.shape, dtype=dtype)
        bias = self.bias if self.bias is not None else mean.new_zeros(mean.shape, dtype=dtype)
        normalised: Tensor = _Normalise.apply(x, weight, bias, *statistics, self.eps)  # type: ignore[no-untyped-call]
        return normalised

    def _check_input_dim(self, input: Tensor) -> None:
        """Take an input of any number of dimensions."""


@torch.no_grad()
def global_statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return means and variances (channels,), and how many values of each channel all processes have ().

    In float64, so that the variances, which are differences of sums, are not lost where the mean is large.
    """
    # The kernel of torch's batch norm: var_mean takes ten times as long on a CPU. The zeros only state the type of the
    # results, which that of x would be otherwise.
    zeros = x.new_zeros(2, x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
    mean, variance = (v.double() for v in torch.batch_norm_update_stats(x, zeros[0], zeros[1], 0.0))
    count = mean.new_full((1,), x.numel() // x.shape[1])
    sums = torch.cat([count * mean, count * (variance + mean.square()), count])
    torch.distributed.all_reduce(sums)
    (mean, square), count = (sums[:-1] / sums[-1]).chunk(2), sums[-1]
    return mean, (square - mean.square()).clamp_(min=0), count


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with the gradient through the statistics of all processes.

    With z the normalised x and g the gradient of the output, that of x is (Ioffe and Szegedy 2015, arXiv:1502.03167)

        weight / sqrt(variance + eps) * (g - mean(g) - z mean(g z)),

    with the means over all processes. Those of weight and bias are of this process, as DDP expects them.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, count: Tensor, eps: float
    ) -> Tensor:
        mean, variance = mean.to(weight), variance.to(weight)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps = eps
        return torch.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, eps)[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        # As if the statistics were constants: weight / sqrt(variance + eps) g, sum(g z) and sum(g).
        dx, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.cat([of_weight, of_bias]).double()
        torch.distributed.all_reduce(sums)
        of_z, of_one = (sums / count).chunk(2)
        deviation = (variance.double() + ctx.eps).rsqrt()
        factor = weight * deviation
        slope = -factor * of_z * deviation
        offset = -factor * of_one - slope * mean
        shape = (1, -1, *[1] * (x.ndim - 2))
        dx = dx.addcmul_(x, slope.to(dx).view(shape)).add_(offset.to(dx).view(shape))
        return dx, of_weight, of_bias, None, None, None, None
