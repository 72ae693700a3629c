"""Means over the processes of a distributed training, and batch norm with them.

Cross-GPU batch normalization: Peng et al. 2018, MegDet (arXiv 1711.07240). torch's SyncBatchNorm requires a GPU.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def processes() -> int:
    """The number of processes that train together; 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of equal-shaped tensors of all processes, which all have to call it; differentiable any number of times.

    Its gradient is the mean of the processes' gradients: with losses whose gradients are averaged over the processes
    afterwards, parameters get the gradient of the mean loss.
    """
    return values if processes() == 1 else _Mean.apply(values)


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004  # torch's signature
        total = values.clone()
        dist.all_reduce(total)
        return total / processes()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return mean_over_processes(gradients[0])


class BatchNorm(nn.BatchNorm2d):
    """Batch norm, in training over the batches of all processes, which are of one size."""

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, C, H, W) with zero mean and unit variance in each channel, then scaled and shifted."""
        if not self.training or processes() == 1:
            return super().forward(hidden)
        wide = hidden.float()
        mean = mean_over_processes(wide.mean(dim=(0, 2, 3)))
        centred = wide - mean.view(1, -1, 1, 1)
        variance = mean_over_processes(centred.square().mean(dim=(0, 2, 3)))
        self._track(mean.detach(), variance.detach(), wide[:, 0].numel() * processes())
        scale = (torch.rsqrt(variance + self.eps) * self.weight).view(1, -1, 1, 1)
        return (centred * scale + self.bias.view(1, -1, 1, 1)).to(hidden.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        share = self.momentum if self.momentum is not None else 0.1
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / (count - 1)), share)
