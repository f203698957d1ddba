"""A network of features and a head, and the removal of its layers' side effects."""

from __future__ import annotations

from torch import Tensor, nn

from mamlbench.nn.batch_norm import BatchNorm


class Network(nn.Module):
    """Features followed by a head.

    Args:
        features: ``[n, *input_shape]`` to ``[n, d]``.
        head: ``[n, d]`` to ``[n, outputs]``.
        input_shape: shape of one example; empty if it is unknown, and then nothing is fused.
    """

    def __init__(self, features: nn.Module, head: nn.Module, input_shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.features = features
        self.head = head
        self.input_shape = input_shape

    def forward(self, x: Tensor) -> Tensor:
        """``[n, *input_shape]`` to ``[n, outputs]``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


_BATCH_NORMS = {nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d}


def remove_side_effects(network: nn.Module) -> None:
    """Make torch's batch norms normalize by the batch alone, and activations not work in place.

    ``nn.BatchNorm1d``, ``2d`` and ``3d`` are replaced by ``BatchNorm`` with the same parameters: running statistics
    would leak from task to task. Work in place would overwrite what a second derivative still needs.
    """
    replaced: dict[nn.Module, BatchNorm] = {}  # a layer may be used several times
    for parent in list(network.modules()):
        for name, layer in parent._modules.items():
            if isinstance(layer, nn.modules.batchnorm._NormBase) and type(layer) in _BATCH_NORMS:
                parent._modules[name] = replaced.setdefault(layer, BatchNorm.like(layer))
            elif layer is not None and getattr(layer, "inplace", False) is True:
                layer.inplace = False  # type: ignore[assignment]


def running_statistics(network: nn.Module) -> list[str]:
    """Names of the layers that keep running statistics, in the order of the modules."""
    return [name for name, layer in network.named_modules() if getattr(layer, "track_running_stats", False)]
