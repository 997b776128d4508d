"""Adam (Kingma and Ba 2015)."""

import torch
from torch import Tensor

from recurrent_cells.config.schema import OptimizerConfig
from recurrent_cells.training.optimizers import Memory, Optimizer, Parameters


class Adam(Optimizer):
    """Adam with weight decay as an L2 penalty, fused into one kernel."""

    name = "adam"
    memory = ("exp_avg", "exp_avg_sq")

    def build(self, settings: OptimizerConfig, parameters: Parameters) -> torch.optim.Optimizer:
        return FusedAdam(
            parameters,
            lr=settings.lr,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=True,
            decoupled_weight_decay=self.decouples_decay,
        )

    def update(self, gradients: Tensor, rates: Tensor, memory: Memory, settings: Memory) -> Tensor:
        lr, correction1, correction2 = rates
        scale, weight1, weight2 = lr / correction1, 1 - settings["beta1"], 1 - settings["beta2"]
        squares, step = gradients * gradients, torch.empty_like(gradients)
        first = memory["exp_avg"].lerp_(gradients, weight1)
        second = memory["exp_avg_sq"].lerp_(squares, weight2)
        scale_of_gradients = torch.div(second, correction2, out=squares).sqrt_().add_(settings["eps"])
        return torch.mul(scale, first, out=step).div_(scale_of_gradients)


class FusedAdam(torch.optim.Adam):
    """torch's fused Adam or AdamW, which does not look up again at each step what stays the same."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = group["params"]
            states = [self.state[parameter] for parameter in parameters]
            if not all(states) or hasattr(self, "found_inf"):  # the first step, or one that a GradScaler checks
                super().step()
                return
            counts = [state["step"] for state in states]
            beta1, beta2 = group["betas"]
            torch._foreach_add_(counts, 1)
            update = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
            update(
                parameters,
                [parameter.grad for parameter in parameters],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                counts,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
