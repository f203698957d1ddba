"""First-order MAML: Finn et al. 2017 (arXiv 1703.03400), section 5.2."""

from __future__ import annotations

from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.algorithms.presets import load_presets


class FOMAML(MAML):
    """MAML whose meta-gradient is the gradient of the query loss at the adapted parameters θ', applied to θ."""

    presets = load_presets("fomaml")
    gradient_order = 1
