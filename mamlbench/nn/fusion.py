"""Replaces plain layers by faster equal functions, once, when a network has been built.

Authors write ``nn.Conv2d``, ``nn.BatchNorm2d`` (or mamlbench's ``BatchNorm``), ``nn.ReLU`` and ``nn.MaxPool2d`` in any
module. ``torch.fx`` traces the network's forward; in the graph these are replaced by the functions of ``fast_layers``:

- convolution with a stride, batch norm, ReLU: one function, compiled for many tasks;
- convolution, batch norm without a scale, ReLU and 2x2 max-pooling in either order: pooling first, channels last;
- any other convolution or batch norm: the same operation with other derivatives.

Parameters keep their names, shapes and values, since the graph reads them from the author's modules. The result is
compared with the original network (``fusion_check``). A network that cannot be traced, or that differs, stays as it is,
and records and ``mamlbench check`` give the reason.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.fx import Node

from mamlbench.nn import fast_layers
from mamlbench.nn.batch_norm import BatchNorm
from mamlbench.nn.dropout import StochasticLayer
from mamlbench.nn.fusion_check import mismatch
from mamlbench.nn.network import Network

_RELUS = (F.relu, torch.relu, "relu")
_POOLINGS = (F.max_pool2d, torch.max_pool2d)
_POOLING_DEFAULTS = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False}


@dataclass(frozen=True)
class Fusion:
    """A network in the two versions that engines run.

    Attributes:
        first_order: for one differentiation, or none.
        second_order: for two, through a stored graph; it computes the same outputs.
        replaced: number of replacements of each kind.
        reason: why nothing was replaced; empty if something was.
    """

    first_order: Network
    second_order: Network
    replaced: dict[str, int]
    reason: str = ""

    def facts(self) -> dict[str, object]:
        """Fields for the record: the replacements, or none and the reason."""
        return {"fused": self.replaced} if self.replaced else {"fused": {}, "reason": self.reason}


def fuse(network: Network) -> Fusion:
    """Replace layers that have a faster equal. The network itself is not changed; the result shares its parameters."""
    if type(network) is not Network:
        return unfused(network, f"{type(network).__name__} has a forward of its own")
    if not any(map(_is_convolution, network.modules())):
        return unfused(network, "there is no convolution, and no other layer has a faster equal")
    replaced: Counter[str] = Counter()
    try:
        parts = [_fused_part(part, replaced) for part in (network.features, network.head)]
    except Exception as error:  # the author's forward may raise anything when it meets a proxy of torch.fx
        return unfused(network, f"torch.fx cannot trace it: {(str(error).strip().splitlines() or [''])[0]}")
    (features, second_features), (head, second_head) = parts
    first_order = Network(features, head, network.input_shape)
    second_order = Network(second_features, second_head, network.input_shape)
    problem = mismatch(network, second_order)
    return unfused(network, problem) if problem else Fusion(first_order, second_order, dict(replaced))


def unfused(network: Network, reason: str) -> Fusion:
    """The network without replacements, and why."""
    return Fusion(network, network, {}, reason)


class _Tracer(fx.Tracer):
    """Traces into the author's modules; layers that are replaced or that read a context variable are leaves."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, BatchNorm | StochasticLayer) or super().is_leaf_module(m, module_qualified_name)


def _fused_part(part: nn.Module, replaced: Counter[str]) -> tuple[nn.Module, nn.Module]:
    """Features or head in the first-order and second-order version; counts the replacements."""
    if not any(map(_is_convolution, part.modules())):
        return part, part
    graph = _Tracer().trace(part)
    if any(node.op == "get_attr" and "_tensor_constant" in str(node.target) for node in graph.nodes):
        # tracing makes such a tensor a constant, which is wrong if it is random or depends on the input's size
        raise TypeError("its forward makes tensors of its own")
    editor = _Editor(part, graph)
    editor.replace()
    replaced.update(editor.replaced)
    graphs = (graph, copy.deepcopy(graph))
    for node in graphs[1].nodes:
        if "second_order" in node.kwargs:
            node.kwargs = {**node.kwargs, "second_order": True}
    first, second = (fx.GraphModule(part, version, "Fused") for version in graphs)
    return first, second


class _Editor:
    """Replaces chains of nodes in one graph.

    In a chain only the next node reads a node's result. The replacement is inserted at the chain's batch norm, so that
    batch norms run, and statistics are recorded, in the author's order.
    """

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        self.graph, self.replaced = graph, Counter[str]()
        self.erased: set[Node] = set()
        self.layers = dict(root.named_modules())
        self.patterns: tuple[tuple[tuple[str, ...], Callable[..., bool]], ...] = (
            (("convolution", "norm", "relu", "pool"), self.pooled),
            (("convolution", "norm", "pool", "relu"), self.pooled),
            (("convolution", "norm", "relu"), self.block),
            (("convolution",), self.convolution),
            (("norm",), self.norm),
        )

    def replace(self) -> None:
        """Replace every chain by the first pattern that fits."""
        for node in list(self.graph.nodes):
            for kinds, rewrite in self.patterns:
                chain = [] if node in self.erased else self.chain(node, kinds)
                if chain and rewrite(*chain):
                    break
        self.graph.lint()

    def pooled(self, convolution: Node, norm: Node, *others: Node) -> bool:
        """Pool before bias and ReLU. Not with a scale: a negative one exchanges maxima and minima."""
        if self.layer(norm).weight is not None:
            return False
        with self.graph.inserting_before(norm):
            x = self.graph.call_function(fast_layers.channels_last, (convolution.args[0],))
            x = self.call(fast_layers.conv2d, (x, *self.weights(convolution)), self.geometry(convolution))
            _, bias = self.weights(norm)
            x = self.call(fast_layers.batch_norm_max_pool, (x, bias, self.layer(norm).eps))
            x = self.graph.call_function(F.relu, (x,))
        return self.finish("convolution + batch norm + ReLU + 2x2 max-pooling", (convolution, norm, *others), x)

    def block(self, convolution: Node, norm: Node, relu: Node) -> bool:
        """Replace the three by one function, if the kernels support it."""
        layer = self.layer(convolution)
        # without a stride, torch's grouped convolutions were measured to take 5 to 40 % less time than the kernels
        strided = max(layer.stride) > 1 and layer.groups == 1 and set(layer.dilation) == {1}
        if not strided or layer.out_channels < fast_layers.MIN_OUTPUTS:
            return False
        with self.graph.inserting_before(norm):
            options = {name: self.geometry(convolution)[name] for name in ("stride", "padding")}
            options["norm_weight"], options["norm_bias"] = self.weights(norm)
            options["eps"] = self.layer(norm).eps
            arguments = (convolution.args[0], *self.weights(convolution))
            y = self.call(fast_layers.conv_norm_relu, arguments, options)
        return self.finish("convolution + batch norm + ReLU", (convolution, norm, relu), y)

    def convolution(self, convolution: Node) -> bool:
        """Replace a convolution alone."""
        with self.graph.inserting_before(convolution):
            arguments = (convolution.args[0], *self.weights(convolution))
            y = self.call(fast_layers.conv2d, arguments, self.geometry(convolution))
        return self.finish("convolution", (convolution,), y)

    def norm(self, norm: Node) -> bool:
        """Replace a batch norm alone."""
        with self.graph.inserting_before(norm):
            arguments = (norm.args[0], *self.weights(norm), self.layer(norm).eps)
            y = self.call(fast_layers.batch_norm, arguments)
        return self.finish("batch norm", (norm,), y)

    def chain(self, node: Node, kinds: Sequence[str]) -> list[Node]:
        """The chain of nodes of these kinds that begins with ``node``; empty if there is none."""
        chain = [node]
        while len(chain) < len(kinds) and len(chain[-1].users) == 1:
            chain.append(next(iter(chain[-1].users)))
        return chain if [self.kind(member) for member in chain] == list(kinds) else []

    def kind(self, node: Node) -> str:
        """The kind of a node, as the patterns name it; empty for any other."""
        layer = self.layer(node)
        if _is_convolution(layer):
            return "convolution"
        if type(layer) is BatchNorm:
            return "norm"
        if type(layer) is nn.ReLU or (node.op in {"call_function", "call_method"} and node.target in _RELUS):
            return "relu"
        return "pool" if self.is_pool(node) else ""

    def is_pool(self, node: Node) -> bool:
        """Whether a node is max-pooling of 2x2 squares with stride 2."""
        layer = self.layer(node)
        options: dict[str, Any] = dict(_POOLING_DEFAULTS)
        if type(layer) is nn.MaxPool2d:
            options.update({name: getattr(layer, name) for name in ("kernel_size", *options)})
        elif node.target in _POOLINGS and node.op == "call_function":
            order = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
            options.update(zip(order, node.args[1:], strict=False))
            options.update({name: value for name, value in node.kwargs.items() if name != "input"})
        stride = options.pop("stride") or options.get("kernel_size")
        expected = {**_POOLING_DEFAULTS, "kernel_size": 2, "stride": 2}
        return {name: _scalar(value) for name, value in {**options, "stride": stride}.items()} == expected

    def layer(self, node: Node) -> Any:
        """The module that a node calls, or None."""
        return self.layers.get(str(node.target)) if node.op == "call_module" else None

    def weights(self, node: Node) -> tuple[Node | None, ...]:
        """Weight and bias of the layer that a node calls, under the names that the author's network gives them."""
        layer, names = self.layer(node), ("weight", "bias")
        return tuple(
            None if getattr(layer, name) is None else self.graph.get_attr(f"{node.target}.{name}") for name in names
        )

    def geometry(self, convolution: Node) -> dict[str, Any]:
        """A convolution's padding, stride, dilation and groups."""
        layer = self.layer(convolution)
        names = ("stride", "dilation", "groups")
        return {"padding": _padding(layer), **{name: getattr(layer, name) for name in names}}

    def call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any] | None = None
    ) -> Node:
        """Insert a call of one of the functions of ``fast_layers``, in its first-order form."""
        return self.graph.call_function(function, arguments, {**(options or {}), "second_order": False})

    def finish(self, name: str, chain: Sequence[Node], result: Node) -> bool:
        """Put ``result`` in place of the chain's last node, remove the chain, and count the replacement."""
        chain[-1].replace_all_uses_with(result)
        for node in reversed(chain):
            self.graph.erase_node(node)
        self.erased.update(chain)
        self.replaced[name] += 1
        return True


def _is_convolution(layer: object) -> bool:
    """Whether a module is torch's own convolution, padded with the same number of zeros on both sides."""
    return type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and _padding(layer) is not None


def _padding(layer: nn.Conv2d) -> tuple[int, ...] | None:
    """Zeros on each side in height and width; None if one side has one more than the other."""
    if not isinstance(layer.padding, str):
        return layer.padding
    if layer.padding == "valid":
        return (0, 0)
    both = [dilation * (size - 1) for dilation, size in zip(layer.dilation, layer.kernel_size, strict=True)]
    return None if any(zeros % 2 for zeros in both) else tuple(zeros // 2 for zeros in both)


def _scalar(value: Any) -> Any:
    """A pair of equal numbers as one number; any other value unchanged."""
    return value[0] if isinstance(value, tuple | list) and len(set(value)) == 1 else value
