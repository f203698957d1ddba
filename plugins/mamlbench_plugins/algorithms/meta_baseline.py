"""Meta-Baseline: Chen et al., "Meta-Baseline: Exploring Simple Meta-Learning for Few-Shot Learning", ICCV 2021."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from mamlbench.api import LogUniform, Parameters
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.support_heads import NormalizedLinear, SupportHead, SupportHeadOptions, class_means


class MetaBaselineOptions(SupportHeadOptions):
    """Options of Meta-Baseline."""

    scale: Annotated[float, LogUniform(1.0, 100.0)] = Field(
        10.0, gt=0, description="τ before training: factor on the cosines as logits, learned"
    )


class MetaBaseline(SupportHead[MetaBaselineOptions]):
    """Meta-learning over the metric of Classifier-Baseline: the cosine to a class's mean feature.

    With fθ the features (arXiv 2003.04390, section 3.2):
      w_c = mean of fθ(x) over the support examples of class c        (1), ``solve``
      p(y = c | x) ∝ exp(τ ⟨fθ(x), w_c⟩), ⟨ , ⟩ the cosine, τ learned    (3), ``loss`` and ``predict``
      update θ and τ by the gradient of −log p over the query set      by the engine and the outer optimizer

    This is the second stage. The paper's first stage trains the features as a classifier of all training classes:

      mamlbench run --algo pretrain
      mamlbench run --algo meta-baseline --init results/NAME.json

    Without --init the features start from the backbone's first weights.
    """

    Options = MetaBaselineOptions
    presets = load_presets("meta_baseline")

    def make_head(self, linear: nn.Linear) -> nn.Module:
        return NormalizedLinear(linear)

    def learned(self) -> Mapping[str, Tensor]:
        """τ, a scalar."""
        return {"learned.scale": next(iter(self.model.initial_parameters().values())).new_tensor(self.options.scale)}

    def solve(self, learned: Parameters, features: Tensor, y: Tensor, ways: int) -> dict[str, Tensor]:
        """(1), normalized, with τ in it: weight ``[N, d]``."""
        return {"head.weight": learned["learned.scale"] * normalize(class_means(features, y, ways))}
