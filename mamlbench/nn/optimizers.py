"""The outer optimizer: Adam or SGD on the meta-parameters, with a schedule and a clip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from torch import Tensor

from mamlbench.run_spec.options import Options
from mamlbench.run_spec.search_space import LogUniform

Schedule = Literal["constant", "linear", "cosine"]
"""Course of the outer learning rate over a run: constant, or down to 0 along a line or half a cosine."""

_LATER = ("outer_momentum", "outer_weight_decay")
"""Options that the first records do not have."""


class OuterOptions(Options):
    """Options of every method that takes outer gradient steps."""

    outer_optimizer: Literal["adam", "sgd"] = Field("adam", description="optimizer of the meta-parameters")
    outer_lr: Annotated[float, LogUniform(3e-4, 0.03)] = Field(
        1e-3, gt=0, description="outer learning rate at the first iteration"
    )
    outer_schedule: Schedule = Field("constant", description="how the outer rate falls to 0 over the run")
    halve_every: int | None = Field(
        None, ge=1, description="iterations after which the outer rate is halved, again and again; none: never"
    )
    clip: float | None = Field(None, gt=0, description="clip each element of the mean meta-gradient to ±clip")
    outer_momentum: float = Field(0.0, ge=0, lt=1, description="Nesterov momentum of the outer SGD")
    outer_weight_decay: float = Field(0.0, ge=0, description="added to the meta-gradient: this times the parameter")

    @model_validator(mode="after")
    def _only_sgd_has_momentum(self) -> OuterOptions:
        if self.outer_momentum and self.outer_optimizer != "sgd":
            raise ValueError("outer_momentum is of outer_optimizer=sgd: adam has moments of its own")
        return self

    @model_serializer(mode="wrap")
    def _without_later_options_at_0(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # a run that uses neither has the settings, and so the hash, of records from before these options existed
        values: dict[str, Any] = dump(self)
        return {name: value for name, value in values.items() if value or name not in _LATER}


def scheduled(schedule: Schedule, done: int, total: int) -> float:
    """Factor on the rate after ``done`` of ``total`` iterations: 1 at the first, towards 0 at the last."""
    progress = done / max(total, 1)
    if schedule == "linear":
        return 1 - progress
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1.0


class OuterOptimizer:
    """Updates meta-parameters in place.

    Args:
        parameters: by name, of any shape; changed by ``step``.
        options: optimizer, rate, schedule and clip.
        iterations: planned meta-iterations, for the schedule.
    """

    def __init__(self, parameters: Mapping[str, Tensor], options: OuterOptions, iterations: int) -> None:
        self.parameters = parameters
        self.options = options
        self.iterations = iterations
        self.done = 0
        # torch refuses to optimize nothing, which is what a frozen encoder leaves to some methods
        self.optimizer = _make_optimizer(list(parameters.values()) or [torch.zeros(())], options)

    def step(self, gradient: Mapping[str, Tensor]) -> None:
        """Take one step against ``gradient`` (by name, in the parameters' shapes), clipped if ``clip`` is set."""
        for name, value in self.parameters.items():
            clip = self.options.clip
            value.grad = gradient[name] if clip is None else gradient[name].clamp(-clip, clip)
        rate = self.options.outer_lr * scheduled(self.options.outer_schedule, self.done, self.iterations)
        if self.options.halve_every is not None:
            rate *= 0.5 ** (self.done // self.options.halve_every)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.done += 1

    def state(self) -> dict[str, Tensor]:
        """Moments (in the parameters' shapes) and step counts (scalars), as tensors by name."""
        flat = {"done": torch.tensor(self.done)}
        for name, value in self.parameters.items():
            for key, tensor in self.optimizer.state.get(value, {}).items():
                flat[f"{name}/{key}"] = tensor
        return flat

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what ``state`` returned, by name."""
        self.done = int(state["done"])
        self.optimizer.state.clear()
        for name, value in self.parameters.items():
            keys = [key for key in state if key.rpartition("/")[0] == name]
            if keys:
                self.optimizer.state[value] = {key.rpartition("/")[2]: state[key].clone() for key in keys}


def _make_optimizer(parameters: list[Tensor], options: OuterOptions) -> torch.optim.Optimizer:
    rate, decay = options.outer_lr, options.outer_weight_decay
    if options.outer_optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
    momentum = options.outer_momentum
    return torch.optim.SGD(parameters, lr=rate, momentum=momentum, nesterov=momentum > 0, weight_decay=decay)
