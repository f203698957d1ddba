"""Baseline++: Chen et al., "A Closer Look at Few-shot Classification", ICLR 2019 (arXiv 1904.04232), section 3.2."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mamlbench.api import Classification, LogUniform, MethodContext, Model
from mamlbench.errors import ConfigError
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.pretrain import Pretrain, PretrainOptions

FEW_CLASSES = 200


class BaselinePlusPlusOptions(PretrainOptions):
    """Options of Baseline++."""

    temperature: Annotated[float | None, LogUniform(1.0, 30.0)] = Field(
        None,
        gt=0,
        description="factor on the cosines; none: 2 for up to 200 classes and 10 for more, as in the published code",
    )


class CosineHead(nn.Module):
    """s_j = factor · cos(f, w_j): features ``[n, d]`` to ``[n, classes]``."""

    def __init__(self, weight: Tensor, factor: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)  # [classes, d]
        self.factor = factor

    def forward(self, features: Tensor) -> Tensor:
        return self.factor * F.normalize(features) @ F.normalize(self.weight).T


class BaselinePlusPlus(Pretrain):
    """Baseline whose heads classify by the cosine between features and one weight vector for each class.

    Training stage:     minimize the loss of features and a cosine head over all training classes.
    Fine-tuning stage:  a new cosine head for each task, trained on the support set by SGD; its first weights are
                        random, the same for every task (zeros, as Baseline has them, have no direction).

    The cosine is the paper's. Its code learns a length for each weight vector besides (weight normalization).
    """

    Options = BaselinePlusPlusOptions
    presets = load_presets("baseline_plus_plus")

    def __init__(self, context: MethodContext, options: BaselinePlusPlusOptions) -> None:
        if not isinstance(context.objective, Classification):
            raise ConfigError("baseline++ is a method of classification: it cannot be run on regression; try pretrain.")
        super().__init__(replace(context, build=lambda outputs: with_cosines(context.build(outputs), options)), options)
        self.new_head = self.task_model.initial_parameters().select(["head.weight"])


def with_cosines(model: Model, options: BaselinePlusPlusOptions) -> Model:
    """The same features under a cosine head that starts from the linear head's weights."""
    head = model.network.head
    if type(head) is not nn.Linear:
        raise ConfigError("baseline++ needs a backbone whose head is one linear layer: it puts a cosine head there.")
    factor = options.temperature or (2.0 if head.out_features <= FEW_CLASSES else 10.0)
    return model.with_head(CosineHead(head.weight.detach().clone(), factor))
