"""
The optimizer: Muon for the matrices, AdamW for embeddings and scales.

Muon makes every update of a matrix nearly orthogonal, so that all its directions
learn at one pace. Here it needs about a third of the steps that AdamW needs for
the same held-out score, and steps are what two CPU cores have few of.
``torch.optim.Muon`` does this in bf16, which a CPU without bf16 instructions
computes very slowly; this one stays in float32.
"""

import torch

# Of a quintic Newton-Schulz step that drives singular values to about 1.
# Source: Keller Jordan, https://kellerjordan.github.io/posts/muon/ (2024-12).
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """
    Momentum, made orthogonal, for parameters with two dimensions.
    """

    def __init__(
        self,
        parameters: list[torch.nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
    ):
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        """
        Update every matrix; the scale gives updates the size of AdamW's.
        """
        for group in self.param_groups:
            for matrix in group["params"]:
                momentum = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - group["momentum"])
                direction = orthogonal(matrix.grad.lerp(momentum, group["momentum"]))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(direction, alpha=-0.2 * max(matrix.shape) ** 0.5 * group["lr"])


def orthogonal(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """
    Find about the nearest matrix with orthonormal rows (or columns).
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.T if tall else x


class Both:
    """
    Two optimizers and one schedule, stepped as one.
    """

    def __init__(
        self, model: torch.nn.Module, *, matrix_lr: float, other_lr: float, weight_decay: float
    ):
        embedding = model.get_input_embeddings().weight
        matrices = [p for p in model.parameters() if p.ndim == 2 and p is not embedding]
        scales = [p for p in model.parameters() if p.ndim == 1]
        self._all = [
            Muon(matrices, lr=matrix_lr, weight_decay=weight_decay),
            torch.optim.AdamW(
                [embedding, *scales], lr=other_lr, betas=(0.9, 0.95), weight_decay=0.01
            ),
        ]
        self._peaks = [matrix_lr, other_lr]

    def step(self, pace: float) -> None:
        """
        Take one step at *pace* times the peak learning rates, and clear the gradients.
        """
        for optimizer, peak in zip(self._all, self._peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = pace * peak
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
