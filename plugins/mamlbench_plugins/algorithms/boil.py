"""BOIL: Oh et al., "BOIL: Towards Representation Change for Few-shot Learning", ICLR 2021 (arXiv 2008.08882)."""

from __future__ import annotations

from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.algorithms.presets import load_presets


class BOIL(MAML):
    """MAML with Body Only updates in the Inner Loop: the head stays as it is, ANIL's opposite.

    With θ = (θ_body, θ_head):
      inner loop:  θ_body ← θ_body − α_b ∇θ_body L(support), of ``inner_loss``     ``step``
                   θ_head ← θ_head − α_h ∇θ_head L(support), with α_h = 0
      outer loop:  θ ← θ − β ∇θ Σ L(query), body and head                         ``loss``, differentiated by the engine
    """

    presets = load_presets("boil")

    adapts_features = True

    @property
    def adapted(self) -> list[str]:
        """What the inner loop changes: α_h = 0 leaves the head out."""
        return [name for name in super().adapted if not name.startswith("head.")]
