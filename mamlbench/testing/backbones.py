"""The contract of a backbone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad, vmap

from mamlbench.api import Backbone, Model, Network, Parameters, noise_key_scope, record_statistics, replay_statistics
from mamlbench.errors import ConfigError
from mamlbench.nn.fusion_check import DIFFERS
from mamlbench.testing.checks import Check, ContractError, NotApplicable, ensure
from mamlbench.testing.tensor_comparison import changed, distance, global_seed, same, snapshot

OUTPUTS, EXAMPLES = 3, 4
SHAPES = ((1, 28, 28), (3, 32, 32), (3, 84, 84), (1,))
"""Input shapes to try until one is accepted: Omniglot, CIFAR, miniImageNet, a point of a curve."""

TOLERANCE = 1e-7
STEP, DIRECTIONS, SECOND_ORDER_TOLERANCE = 1e-5, 3, 1e-4
"""Step of central differences of a gradient, number of directions, and allowed relative error."""


class BackboneSubject:
    """Builds networks of a backbone in float64.

    Args:
        plugin: the class under test.
        **options: options that differ from their defaults.
    """

    def __init__(self, plugin: type[Backbone], **options: Any) -> None:
        self.plugin = plugin
        self.changed_options = options
        self._shape: tuple[int, ...] | None = None

    @property
    def backbone(self) -> Backbone:
        """A new instance of the backbone."""
        return self.plugin(self.plugin.Options.model_validate(self.changed_options))

    @property
    def shape(self) -> tuple[int, ...]:
        """The first of its ``example_shapes`` (else of SHAPES) that it accepts.

        Raises ContractError if it accepts none of them.
        """
        if self._shape is None:
            self._shape = next(iter(self._accepted_shapes()), None)
        if self._shape is None:
            raise ContractError(
                f"it accepts none of the shapes {', '.join(str(list(shape)) for shape in self._shapes)}"
            )
        return self._shape

    @property
    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        return self.plugin.example_shapes or SHAPES

    def _accepted_shapes(self) -> Iterable[tuple[int, ...]]:
        for shape in self._shapes:
            try:
                self.backbone.features(shape)
            except ConfigError:
                continue
            yield shape

    def build(self, seed: int = 0) -> Network:
        """Build a network in float64 whose initial parameters depend on ``seed``."""
        shape = self.shape  # before seeding, because trying shapes draws random numbers
        with global_seed(seed):
            return self.backbone.build(shape, OUTPUTS).double()

    def x(self, tasks: int = 1) -> Tensor:
        """Return inputs in [0, 1], float64 or token ids: ``[tasks * examples, *shape]``."""
        return self.inputs(tasks * EXAMPLES, self.shape, torch.float64)

    def inputs(self, count: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """Return inputs in [0, 1], or int64 token ids 0 and 1 if the network takes those: ``[count, *shape]``."""
        x = torch.rand(count, *shape, generator=torch.Generator().manual_seed(3), dtype=dtype)
        return x.round().long() if self.takes_tokens else x

    @cached_property
    def takes_tokens(self) -> bool:
        """Whether inputs are token ids: fractions are refused or all the same to the network, whole numbers are not."""
        network = self.build()
        x = torch.rand(EXAMPLES, *self.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        tokens = x.round().long()
        return _distinguishes(network, tokens, 1 - tokens) and not _distinguishes(network, x, 1 - x)


def _distinguishes(network: Network, first: Tensor, second: Tensor) -> bool:
    try:
        return not same(network(first), network(second))
    except Exception:  # the author's network may raise any type
        return False


def can_be_built_and_run(subject: BackboneSubject) -> None:
    """A network can be built for some input shape, and takes inputs of that shape."""
    subject.build()(subject.x())


def shapes_and_types(subject: BackboneSubject) -> None:
    """features returns the declared number of values and the head the outputs, in the network's dtype."""
    backbone, x = subject.backbone, subject.x()
    module, width = backbone.features(subject.shape)
    features = module.double()(x)
    ensure(list(features.shape) == [EXAMPLES, width], f"features are {list(features.shape)}, not [n, {width}]")
    outputs = subject.build()(x)
    ensure(list(outputs.shape) == [EXAMPLES, OUTPUTS], f"outputs are {list(outputs.shape)}, not [n, {OUTPUTS}]")
    ensure(outputs.dtype == torch.float64, f"outputs are {outputs.dtype}, but the network is float64")
    ensure(bool(outputs.isfinite().all()), "outputs are not finite")


def unsupported_shapes_raise_config_error(subject: BackboneSubject) -> None:
    """An unsupported input shape raises ConfigError, not an error inside torch."""
    for shape in SHAPES:
        try:
            network = subject.backbone.build(shape, OUTPUTS)
        except ConfigError:
            continue
        outputs = network(subject.inputs(2, shape))
        ensure(list(outputs.shape) == [2, OUTPUTS], f"for inputs {list(shape)} outputs are {list(outputs.shape)}")


def seed_determines_the_parameters(subject: BackboneSubject) -> None:
    """Initial parameters depend only on torch's random state."""
    first, again, other = (snapshot(dict(subject.build(seed).named_parameters())) for seed in (1, 1, 2))
    differing = changed(first, again)
    ensure(not differing, f"two networks with the same seed differ: {', '.join(differing)}")
    ensure(bool(changed(first, other)), "networks with different seeds have the same parameters")


def forward_pass_changes_nothing(subject: BackboneSubject) -> None:
    """A forward pass changes nothing in the network: the same input gives the same output again."""
    network, x = subject.build(), subject.x(2)
    before = snapshot(network.state_dict())
    with torch.no_grad():
        first = network(x[:EXAMPLES])
        network(x[EXAMPLES:])
        again = network(x[:EXAMPLES])
    differing = changed(before, network.state_dict())
    ensure(not differing, f"a forward pass changed {', '.join(differing)}")
    ensure(same(first, again), "the same input gives another output after a different input")


def inductive_examples_are_independent(subject: BackboneSubject) -> None:
    """With the support set's statistics, the output for a query example does not depend on other query examples."""
    network, x = subject.build(), subject.x(2)
    model = Model(network)
    parameters = model.initial_parameters()
    support, query = x[:EXAMPLES], x[EXAMPLES:].clone()
    with torch.no_grad():
        expected = model.predict(parameters, support, query, "inductive")
        query[-1] = 1 - query[-1]
        difference = distance(model.predict(parameters, support, query, "inductive")[:-1], expected[:-1])
    ensure(difference < TOLERANCE, f"changing one example changed the outputs for others by {difference:.2g}")


def statistics_can_be_replayed(subject: BackboneSubject) -> None:
    """Batch-norm layers run in the same order in every pass."""
    network, x = subject.build(), subject.x()
    with torch.no_grad():
        with record_statistics() as statistics:
            expected = network(x)
        if not statistics:
            raise NotApplicable("has no mamlbench.api.BatchNorm layer")
        with replay_statistics(statistics):
            difference = distance(network(x), expected)
    ensure(difference < TOLERANCE, f"replaying a batch's own statistics changed its outputs by {difference:.2g}")


def every_parameter_is_used(subject: BackboneSubject) -> None:
    """Every parameter affects the outputs."""
    network, x = subject.build(), subject.x()
    parameters = snapshot(dict(network.named_parameters()))
    gradient = grad(lambda p: _loss(network, p, x))(parameters)
    unused = [name for name, value in gradient.items() if not bool(value.any())]
    ensure(not unused, f"no effect on the outputs: {', '.join(unused)}")


def tasks_can_be_vectorized(subject: BackboneSubject) -> None:
    """vmap over two tasks gives the same gradients as one task after the other."""
    _ensure_vectorized(subject.build(), subject.x(2).view(2, EXAMPLES, *subject.shape))


def noise_depends_only_on_its_key(subject: BackboneSubject) -> None:
    """Noise occurs only in training and depends only on its key, also under vmap."""
    network, x = subject.build(), subject.x(2).view(2, EXAMPLES, *subject.shape)
    with torch.no_grad():
        without_noise = network(x[0])
        first, other = _noisy(network, x[0], 1), _noisy(network, x[0], 2)
        if same(first, without_noise) and same(other, without_noise):
            raise NotApplicable("has no noise in training")
        ensure(same(_noisy(network, x[0], 1), first), "the same input and key give another output the second time")
        ensure(not same(other, first), "a different key gives the same noise")
        ensure(same(network(x[0]), without_noise), "there is noise outside training")
    with noise_key_scope(1):
        _ensure_vectorized(network, x)


def _noisy(network: Network, x: Tensor, key: int) -> Tensor:
    with noise_key_scope(key):
        return network(x)  # type: ignore[no-any-return]


def _ensure_vectorized(network: Network, x: Tensor) -> None:
    """Ensure that the gradients of two tasks, x ``[2, n, *shape]``, are the same under vmap."""
    parameters = snapshot(dict(network.named_parameters()))
    tasks = {name: torch.stack([value, 1.1 * value]) for name, value in parameters.items()}
    gradient = grad(lambda p, x: _loss(network, p, x))
    try:
        vectorized = vmap(gradient)(tasks, x)
    except RuntimeError as error:
        raise ContractError(f"vmap cannot run it: {str(error).strip().splitlines()[0]}") from error
    for task in range(2):
        expected = gradient({name: value[task] for name, value in tasks.items()}, x[task])
        for name, value in expected.items():
            difference = distance(vectorized[name][task], value)
            ensure(difference < TOLERANCE, f"gradient of '{name}' differs by {difference:.2g} under vmap")


def second_derivatives_are_correct(subject: BackboneSubject) -> None:
    """Second derivatives, which second-order MAML needs, equal central differences of the gradient."""
    network, x = subject.build(), subject.x()
    # A kink (ReLU, max-pooling) may lie within a difference in some directions; a wrong derivative shows in all.
    errors = []
    for seed in range(DIRECTIONS):
        errors.append(_second_order_error(network, x, seed))
        if errors[-1] < SECOND_ORDER_TOLERANCE:
            return
    ensure(False, f"second derivatives have a relative error of {min(errors):.2g}")


def _second_order_error(network: Network, x: Tensor, seed: int) -> float:
    """Return the relative error of a Hessian-vector product, with a random unit vector, against central differences."""
    parameters = snapshot(dict(network.named_parameters()))
    generator = torch.Generator().manual_seed(seed)
    random = parameters.map(lambda value: torch.randn(value.shape, generator=generator, dtype=value.dtype))
    direction = random / random.dot(random).sqrt()
    gradient = grad(lambda p: _loss(network, p, x))

    def directional_derivative(p: Parameters) -> Tensor:
        return direction.dot(gradient(p))

    expected = (gradient(parameters + STEP * direction) - gradient(parameters - STEP * direction)) / (2 * STEP)
    error = grad(directional_derivative)(parameters) - expected
    return float((error.dot(error) / expected.dot(expected).clamp_min(1e-300)).sqrt())


def _loss(network: Network, parameters: Parameters, x: Tensor) -> Tensor:
    outputs = functional_call(network, parameters, (x,))
    return F.cross_entropy(outputs, torch.arange(len(x)) % OUTPUTS)


def fused_layers_are_equivalent(subject: BackboneSubject) -> str:
    """With the faster layers that engines put in, outputs and gradients are those of the network."""
    fusion = Model(subject.build()).fusion
    ensure(not fusion.reason.startswith(DIFFERS), fusion.reason)
    if not fusion.replaced:
        raise NotApplicable(f"the network runs as it is, which may cost a tenth of the speed: {fusion.reason}")
    return "fused: " + ", ".join(f"{count} x {name}" for name, count in fusion.replaced.items())


BACKBONE = (
    Check(
        can_be_built_and_run,
        "Fix this error first: every other check runs the network. If it takes inputs of other shapes than images "
        "and curves, name one in example_shapes.",
        needed=True,
    ),
    Check(shapes_and_types, "Return from features a module and the length of its output; flatten at its end."),
    Check(
        unsupported_shapes_raise_config_error, "Check input_shape in features, and raise ConfigError with the reason."
    ),
    Check(
        seed_determines_the_parameters, "Initialize with torch.nn.init or torch's layers, without another generator."
    ),
    Check(forward_pass_changes_nothing, "Keep no running statistics and no counters: use mamlbench.api.BatchNorm."),
    Check(inductive_examples_are_independent, "Only mamlbench.api.BatchNorm may combine the examples of a batch."),
    Check(statistics_can_be_replayed, "Run each BatchNorm layer once per pass, always in the same order."),
    Check(every_parameter_is_used, "Remove layers that forward does not use."),
    Check(
        tasks_can_be_vectorized,
        "Use torch's functions without in-place changes or branches on values, and mamlbench.api.Dropout instead of "
        "torch's, which uses the global random state.",
    ),
    Check(
        noise_depends_only_on_its_key,
        "Use mamlbench.api.StochasticLayer, and derive noise from its key with mamlbench.api.bernoulli_mask.",
    ),
    Check(
        second_derivatives_are_correct,
        "Detach nothing; the backward of a custom autograd function must be differentiable.",
    ),
    Check(
        fused_layers_are_equivalent,
        "forward is traced once: let it depend on its input alone, not on anything that changes later.",
    ),
)
