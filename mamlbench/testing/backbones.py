"""The contract of a backbone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad, vmap

from mamlbench.api import Backbone, Model, Network, Parameters, noise_key_scope, record_statistics, replay_statistics
from mamlbench.errors import ConfigError
from mamlbench.testing.run_checks import BrokenPromiseError, Check, NotApplicable, demand
from mamlbench.testing.tensor_comparison import changed, distance, global_seed, same, snapshot

OUTPUTS, EXAMPLES = 3, 4
SHAPES = ((1, 28, 28), (3, 32, 32), (3, 84, 84), (1,))
"""Inputs that are tried until one is accepted: Omniglot's, CIFAR's, miniImageNet's, a point of a curve."""

TOLERANCE = 1e-7
STEP, LINES, SECOND_ORDER = 1e-5, 3, 1e-4
"""Length of central differences of a gradient, lines they are taken along, and the relative error allowed."""


class BackboneSubject:
    """Builds networks of a backbone, in float64.

    Args:
        plugin: the class under test.
        **given: options that differ from their defaults.
    """

    def __init__(self, plugin: type[Backbone], **given: Any) -> None:
        self.plugin = plugin
        self.given = given
        self._shape: tuple[int, ...] | None = None

    @property
    def backbone(self) -> Backbone:
        """A new instance."""
        return self.plugin(self.plugin.Options.model_validate(self.given))

    @property
    def shape(self) -> tuple[int, ...]:
        """The first of SHAPES that the backbone takes. Raises BrokenPromiseError where it takes none."""
        if self._shape is None:
            self._shape = next(iter(self._accepted()), None)
        if self._shape is None:
            raise BrokenPromiseError(f"it takes none of the shapes {', '.join(str(list(shape)) for shape in SHAPES)}")
        return self._shape

    def _accepted(self) -> Iterable[tuple[int, ...]]:
        for shape in SHAPES:
            try:
                self.backbone.features(shape)
            except ConfigError:
                continue
            yield shape

    def build(self, seed: int = 0) -> Network:
        """A network in float64 whose initial parameters hang on ``seed``."""
        shape = self.shape  # found out outside: trying shapes draws parameters
        with global_seed(seed):
            return self.backbone.build(shape, OUTPUTS).double()

    def x(self, tasks: int = 1) -> Tensor:
        """Inputs in [0, 1]: ``[tasks * examples, *shape]``."""
        generator = torch.Generator().manual_seed(3)
        return torch.rand(tasks * EXAMPLES, *self.shape, generator=generator, dtype=torch.float64)


def shapes_and_types(subject: BackboneSubject) -> None:
    """features goes to as many values as it says, the head to the outputs; in float64 where the network is."""
    backbone, x = subject.backbone, subject.x()
    module, width = backbone.features(subject.shape)
    features = module.double()(x)
    demand(list(features.shape) == [EXAMPLES, width], f"features are {list(features.shape)}, not [n, {width}]")
    outputs = subject.build()(x)
    demand(list(outputs.shape) == [EXAMPLES, OUTPUTS], f"outputs are {list(outputs.shape)}, not [n, {OUTPUTS}]")
    demand(outputs.dtype == torch.float64, f"outputs are {outputs.dtype} where the network is float64")
    demand(bool(outputs.isfinite().all()), "outputs are not finite")


def other_shapes_are_refused_in_a_sentence(subject: BackboneSubject) -> None:
    """A shape that the network cannot take is a ConfigError, not a crash inside torch."""
    for shape in SHAPES:
        try:
            network = subject.backbone.build(shape, OUTPUTS)
        except ConfigError:
            continue
        outputs = network(torch.rand(2, *shape))
        demand(list(outputs.shape) == [2, OUTPUTS], f"for inputs {list(shape)} outputs are {list(outputs.shape)}")


def seed_decides_the_parameters(subject: BackboneSubject) -> None:
    """Parameters are drawn from torch's random state and from nothing else."""
    first, again, other = (snapshot(dict(subject.build(seed).named_parameters())) for seed in (1, 1, 2))
    differing = changed(first, again)
    demand(not differing, f"two networks from one seed differ: {', '.join(differing)}")
    demand(bool(changed(first, other)), "networks from different seeds have the same parameters")


def a_pass_leaves_no_trace(subject: BackboneSubject) -> None:
    """Running the network changes nothing in it: the same input gives the same output again."""
    network, x = subject.build(), subject.x(2)
    before = snapshot(network.state_dict())
    with torch.no_grad():
        first = network(x[:EXAMPLES])
        network(x[EXAMPLES:])
        again = network(x[:EXAMPLES])
    differing = changed(before, network.state_dict())
    demand(not differing, f"a forward pass changed {', '.join(differing)}")
    demand(same(first, again), "the same input gave another output after the network had seen something else")


def inductive_examples_do_not_mix(subject: BackboneSubject) -> None:
    """With the support set's statistics no query example influences the output for another."""
    network, x = subject.build(), subject.x(2)
    model = Model(network)
    parameters = model.initial_parameters()
    support, query = x[:EXAMPLES], x[EXAMPLES:].clone()
    with torch.no_grad():
        plain = model.predict(parameters, support, query, "inductive")
        query[-1] = 1 - query[-1]
        moved = distance(model.predict(parameters, support, query, "inductive")[:-1], plain[:-1])
    demand(moved < TOLERANCE, f"with one example changed the outputs for others moved by {moved:.2g}")


def statistics_can_be_replayed(subject: BackboneSubject) -> None:
    """Batch-norm layers run in the same order in every pass."""
    network, x = subject.build(), subject.x()
    with torch.no_grad():
        with record_statistics() as statistics:
            plain = network(x)
        if not statistics:
            raise NotApplicable("has no mamlbench.api.BatchNorm layer")
        with replay_statistics(statistics):
            moved = distance(network(x), plain)
    demand(moved < TOLERANCE, f"with its own statistics replayed a batch's outputs moved by {moved:.2g}")


def every_parameter_matters(subject: BackboneSubject) -> None:
    """Every parameter has an influence on the outputs."""
    network, x = subject.build(), subject.x()
    parameters = snapshot(dict(network.named_parameters()))
    gradient = grad(lambda p: _loss(network, p, x))(parameters)
    idle = [name for name, value in gradient.items() if not bool(value.any())]
    demand(not idle, f"no influence: {', '.join(idle)}")


def tasks_can_be_vectorized(subject: BackboneSubject) -> None:
    """vmap over the parameters of two tasks gives what one task after the other gives."""
    _demand_vectorized(subject.build(), subject.x(2).view(2, EXAMPLES, *subject.shape))


def noise_hangs_on_its_key(subject: BackboneSubject) -> None:
    """Noise is there in training alone, and one key gives one noise: to every pass, and to tasks under vmap."""
    network, x = subject.build(), subject.x(2).view(2, EXAMPLES, *subject.shape)
    with torch.no_grad():
        quiet = network(x[0])
        first, other = _noisy(network, x[0], 1), _noisy(network, x[0], 2)
        if same(first, quiet) and same(other, quiet):
            raise NotApplicable("has no noise in training")
        demand(same(_noisy(network, x[0], 1), first), "the same input and key gave another output the second time")
        demand(not same(other, first), "another key gave the same noise")
        demand(same(network(x[0]), quiet), "there is noise outside training as well")
    with noise_key_scope(1):
        _demand_vectorized(network, x)


def _noisy(network: Network, x: Tensor, key: int) -> Tensor:
    with noise_key_scope(key):
        return network(x)  # type: ignore[no-any-return]


def _demand_vectorized(network: Network, x: Tensor) -> None:
    """Demand that gradients of two tasks, x ``[2, n, *shape]``, are under vmap what they are alone."""
    one = snapshot(dict(network.named_parameters()))
    tasks = {name: torch.stack([value, 1.1 * value]) for name, value in one.items()}
    slopes = grad(lambda p, x: _loss(network, p, x))
    try:
        together = vmap(slopes)(tasks, x)
    except RuntimeError as error:
        raise BrokenPromiseError(f"vmap cannot run it: {str(error).strip().splitlines()[0]}") from error
    for number in range(2):
        alone = slopes({name: value[number] for name, value in tasks.items()}, x[number])
        for name, value in alone.items():
            moved = distance(together[name][number], value)
            demand(moved < TOLERANCE, f"gradient of '{name}' differs by {moved:.2g} under vmap")


def it_can_be_differentiated_twice(subject: BackboneSubject) -> None:
    """Second derivatives are those that differences of the gradient give: second-order MAML rests on them."""
    network, x = subject.build(), subject.x()
    # a kink (ReLU, max-pooling) may lie between the ends of a difference, on one line or another; a mistake is on all
    errors = []
    for seed in range(LINES):
        errors.append(_error_of_curvature(network, x, seed))
        if errors[-1] < SECOND_ORDER:
            return
    demand(False, f"second derivatives are {min(errors):.2g} of their length away from differences")


def _error_of_curvature(network: Network, x: Tensor, seed: int) -> float:
    """Product of the Hessian and a random unit vector, against central differences: a relative error."""
    parameters = snapshot(dict(network.named_parameters()))
    generator = torch.Generator().manual_seed(seed)
    line = {n: torch.randn(v.shape, generator=generator, dtype=v.dtype) for n, v in parameters.items()}
    length = _flat(line).norm()
    line = {name: value / length for name, value in line.items()}
    slopes = grad(lambda p: _loss(network, p, x))

    def along(p: Parameters) -> Tensor:
        return torch.stack([(slope * line[name]).sum() for name, slope in slopes(p).items()]).sum()

    ahead, behind = (
        _flat(slopes({name: value + step * line[name] for name, value in parameters.items()})) for step in (STEP, -STEP)
    )
    differences = (ahead - behind) / (2 * STEP)
    return float((_flat(grad(along)(parameters)) - differences).norm() / differences.norm().clamp_min(1e-300))


def _flat(tensors: Parameters) -> Tensor:
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def _loss(network: Network, parameters: Parameters, x: Tensor) -> Tensor:
    outputs = functional_call(network, parameters, (x,))
    return F.cross_entropy(outputs, torch.arange(len(x)) % OUTPUTS)


BACKBONE = (
    Check(shapes_and_types, "Return from features a module and the length of what it puts out; flatten at its end."),
    Check(other_shapes_are_refused_in_a_sentence, "Look at input_shape in features, and raise ConfigError with why."),
    Check(seed_decides_the_parameters, "Initialize with torch.nn.init or torch's layers, from no other generator."),
    Check(a_pass_leaves_no_trace, "Keep no running statistics and no counters: use mamlbench.api.BatchNorm."),
    Check(inductive_examples_do_not_mix, "Let only mamlbench.api.BatchNorm look across the examples of a batch."),
    Check(statistics_can_be_replayed, "Run each BatchNorm layer once per pass, always in the same order."),
    Check(every_parameter_matters, "Remove layers that forward does not use."),
    Check(
        tasks_can_be_vectorized,
        "Use torch's functions without in-place changes or branches on values, and "
        "mamlbench.api.Dropout, not torch's, which draws from the global random state.",
    ),
    Check(
        noise_hangs_on_its_key,
        "Derive mamlbench.api.StochasticLayer from its key and positions, by mamlbench.api.bernoulli_mask.",
    ),
    Check(
        it_can_be_differentiated_twice,
        "Detach nothing; a custom autograd function needs a backward that can be differentiated itself.",
    ),
)
