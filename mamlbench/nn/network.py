"""A network of features and a head, and the removal of its layers' side effects."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from mamlbench.errors import ConfigError, summarize_names
from mamlbench.nn.attention import differentiable_attention, uses_attention
from mamlbench.nn.batch_norm import BatchNorm
from mamlbench.nn.dropout import ChannelDropout, Dropout, StochasticLayer

PROBE_EXAMPLES = 4
"""Number of random inputs on which a network's two behaviors are compared."""


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
        self.has_attention = uses_attention(self)

    def forward(self, x: Tensor) -> Tensor:
        """``[n, *input_shape]`` to ``[n, outputs]``; attention by the kernel that has a second derivative."""
        with differentiable_attention() if self.has_attention else nullcontext():
            return self.head(self.features(x))  # type: ignore[no-any-return]


_BATCH_NORMS = {nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d}
_DROPOUTS = {nn.Dropout: Dropout, **dict.fromkeys((nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), ChannelDropout)}


def remove_side_effects(network: nn.Module) -> None:
    """Replace layers that behave in one way in training and in another at test, and work in place.

    ``nn.BatchNorm1d``, ``2d`` and ``3d`` are replaced by ``BatchNorm`` with the same parameters: running statistics
    would leak from task to task. ``nn.Dropout``, ``1d``, ``2d`` and ``3d`` are replaced by ``Dropout`` and
    ``ChannelDropout``, which the harness switches on in training alone and whose masks are functions of a key. Work in
    place would overwrite what a second derivative still needs.
    """
    replaced: dict[nn.Module, nn.Module] = {}  # a layer may be used several times
    for parent in list(network.modules()):
        for name, layer in parent._modules.items():
            if isinstance(layer, nn.modules.batchnorm._NormBase) and type(layer) in _BATCH_NORMS:
                parent._modules[name] = replaced.setdefault(layer, BatchNorm.like(layer))
            elif isinstance(layer, nn.modules.dropout._DropoutNd) and type(layer) in _DROPOUTS and layer.p < 1:
                parent._modules[name] = replaced.setdefault(layer, _DROPOUTS[type(layer)](layer.p))
            elif layer is not None and getattr(layer, "inplace", False) is True:
                layer.inplace = False  # type: ignore[assignment]
    for name, module in network.named_modules():
        if isinstance(module, StochasticLayer):
            module.place = name


def refuse_two_behaviors(network: Network) -> None:
    """Raise ConfigError if the network keeps running statistics, or is another function in training than at test.

    The second is found by running it: outputs that differ between ``train()`` and ``eval()``, or from one pass to the
    next, come from a layer with a behavior of its own (``F.dropout``, ``nn.AlphaDropout``, ``nn.RReLU``, ...), which
    the harness cannot switch off at test.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError("every parameter of the network is frozen (requires_grad=False): nothing can be trained.")
    for name, layer in network.named_modules():
        if getattr(layer, "track_running_stats", False):
            raise ConfigError(
                f"layer '{name}' is {type(layer).__name__}, which keeps running statistics, a side effect: use "
                "mamlbench.api.BatchNorm."
            )
    if not _is_one_function(network):
        layers = [f"'{name}' ({type(layer).__name__})" for name, layer in network.named_modules() if _is_suspect(layer)]
        where = f" (perhaps in {summarize_names(layers)})" if layers else ""
        raise ConfigError(
            f"the network gives other outputs in training than at test, or from pass to pass{where}, which no method "
            "can switch off: use nn.Dropout, mamlbench.api.Dropout, or a StochasticLayer of your own."
        )


def _is_one_function(network: Network) -> bool:
    """Whether training and test, and two passes, give the same outputs; True if it cannot be run."""
    parameter = next(network.parameters(), None)
    if parameter is None or not network.input_shape or parameter.device.type == "meta":
        return True
    with torch.random.fork_rng(devices=[]), torch.no_grad():  # drawing the parameters must not depend on this
        x = torch.randn(PROBE_EXAMPLES, *network.input_shape, dtype=parameter.dtype, device=parameter.device)
        try:
            at_test, again, in_training = (network.train(training)(x) for training in (False, False, True))
            return all(torch.allclose(at_test, other, 1e-3, 1e-4, equal_nan=True) for other in (again, in_training))
        except Exception:  # what is wrong with the network is named where it is used
            return True
        finally:
            network.eval()


def _is_suspect(layer: nn.Module) -> bool:
    """Whether a layer is known to have two behaviors, or its code names ``training`` or a dropout."""
    code = getattr(type(layer).forward, "__code__", None)
    names = set(code.co_names) if code is not None else set()
    return bool(
        names & {"training", "dropout", "dropout2d", "alpha_dropout", "bernoulli", "rand", "randn", "rand_like"}
    )
