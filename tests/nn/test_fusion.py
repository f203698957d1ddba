"""Fusion replaces the layers it should in a network of plain ones, and changes no number."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import vmap

from mamlbench.api import Backbone, BatchNorm, Dropout, Model, Options, grad, noise_key_scope
from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.nn import fast_layers, fusion_check, kernels
from mamlbench.nn.fusion import fuse
from mamlbench_plugins.backbones.conv4 import PooledConv4, StridedConv4

SHAPE = (2, 12, 12)
BLOCK, POOLED = "convolution + batch norm + ReLU", "convolution + batch norm + ReLU + 2x2 max-pooling"


def network(features, width, shape=SHAPE):
    class Written(Backbone):
        def features(self, input_shape):
            return features, width

    torch.manual_seed(0)
    return Written(Options()).build(shape, 3)


def conv(channels, width, **options):
    return nn.Conv2d(channels, width, 3, padding=1, **options)


def flat(*layers):
    return nn.Sequential(*layers, nn.Flatten())


def strided(channels, width, **options):
    return conv(channels, width, stride=2, **options)


class Functional(nn.Module):
    """Functions of torch instead of modules, and a second branch."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = strided(2, 8), nn.BatchNorm2d(8), conv(8, 8, bias=False)
        self.third, self.branch = BatchNorm(8), nn.Conv2d(2, 8, 1, stride=4)

    def forward(self, x):
        y = torch.relu(self.norm(self.first(x)))
        y = F.max_pool2d(self.third(self.second(y)).relu(), kernel_size=2)
        return (y + self.branch(x)).flatten(1)


SEPARATE = {"convolution": 1, "batch norm": 1}
FITTING = {
    "a block": (lambda: flat(strided(2, 8), nn.BatchNorm2d(8), nn.ReLU()), 288, {BLOCK: 1}),
    "BatchNorm of mamlbench": (
        lambda: flat(strided(2, 8, bias=False), BatchNorm(8), nn.ReLU(inplace=True)),
        288,
        {BLOCK: 1},
    ),
    "no affine": (lambda: flat(strided(2, 8), nn.BatchNorm2d(8, affine=False), nn.ReLU()), 288, {BLOCK: 1}),
    "without a stride": (lambda: flat(conv(2, 8), nn.BatchNorm2d(8), nn.ReLU()), 1152, SEPARATE),
    "pooled": (lambda: flat(conv(2, 8), BatchNorm(8), nn.ReLU(), nn.MaxPool2d(2)), 288, {POOLED: 1}),
    "pooled before ReLU": (
        lambda: flat(conv(2, 8, bias=False), BatchNorm(8), nn.MaxPool2d((2, 2), (2, 2)), nn.ReLU()),
        288,
        {POOLED: 1},
    ),
    "pooled with a scale": (lambda: flat(conv(2, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)), 288, SEPARATE),
    "other pooling": (lambda: flat(strided(2, 8), BatchNorm(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)), 72, {BLOCK: 1}),
    "few channels": (lambda: flat(strided(2, 4), BatchNorm(4), nn.ReLU()), 144, SEPARATE),
    "groups, padding by name, a leaky ReLU": (
        lambda: flat(
            nn.Conv2d(2, 8, 3, padding="same", groups=2), BatchNorm(8, scale=True), nn.LeakyReLU(0.1, inplace=True)
        ),
        1152,
        SEPARATE,
    ),
    "functions and a second branch": (Functional, 72, {BLOCK: 1, POOLED: 1, "convolution": 1}),
}


@pytest.fixture(params=FITTING.values(), ids=FITTING)
def fitting(request):
    make, width, replaced = request.param
    return network(make(), width).double(), replaced


def outer_gradient(model, weights, x, rate=0.3):
    """MAML's meta-gradient after one step, summed over tasks that have weights of their own."""

    def outer(weights, x):
        def loss(weights, x):
            return (model(weights, x) - 0.4).pow(3).mean()

        gradient = grad(loss)(weights, x[:4])
        return loss({name: value - rate * gradient[name] for name, value in weights.items()}, x[4:])

    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    return torch.autograd.grad(vmap(outer)(leaves, x).sum(), list(leaves.values()), materialize_grads=True)


class SecondOrder:
    plain = False
    second_order = True


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights_of(model, tasks=3):
    named = model.initial_parameters().items()
    return {name: value + 0.1 * random(tasks, *value.shape, seed=1) for name, value in named}


def close(computed, expected):
    torch.testing.assert_close(computed, expected, rtol=1e-9, atol=1e-11)


def test_fusible_layers_are_replaced_and_the_gradients_are_equal(fitting, monkeypatch):
    plain, replaced = fitting
    monkeypatch.setattr(fast_layers, "LARGE", 0)
    reference, fused = Model(plain, LoopEngine(plain=True)), Model(plain, SecondOrder())
    assert fused.fusion.replaced == replaced and not fused.fusion.reason
    weights, x = weights_of(fused), random(3, 8, *SHAPE, seed=2)
    # the norm of all gradients: a bias before batch norm has a gradient of 0 or of rounding errors
    computed, expected = (torch.cat([g.flatten() for g in outer_gradient(m, weights, x)]) for m in (fused, reference))
    assert float((computed - expected).norm()) < 1e-9 * float(expected.norm())


def test_predictions_are_equal_in_every_mode_of_batch_norm(fitting):
    plain, _ = fitting
    reference, fused = Model(plain, LoopEngine(plain=True)), Model(plain)
    weights, support, query = weights_of(fused), random(3, 6, *SHAPE, seed=2), random(3, 4, *SHAPE, seed=3)
    for mode in ("transductive", "inductive", "support+query"):
        computed, expected = (
            vmap(lambda p, s, q, m=model, mode=mode: m.predict(p, s, q, mode))(weights, support, query)
            for model in (fused, reference)
        )
        close(computed, expected)
    one = {name: value[0] for name, value in weights.items()}
    close(fused.statistics(one, support[0]), reference.statistics(one, support[0]))


def test_parameters_keep_names_shapes_and_values(fitting):
    plain, _ = fitting
    fused = Model(plain).fusion
    for version in (fused.first_order, fused.second_order):
        parameters = dict(version.named_parameters())
        assert set(parameters) == {name for name, _ in plain.named_parameters()}
        assert all(parameters[name] is value for name, value in plain.named_parameters())
    state = plain.state_dict()
    assert set(fused.first_order.state_dict()) == set(state), "what is trained on one can be loaded into the other"
    fused.first_order.load_state_dict(state)


def test_conv4_has_the_names_of_its_checkpoints():
    for backbone, step in ((StridedConv4, 3), (PooledConv4, 4)):
        names = [name for name, _ in backbone(backbone.Options(width=8)).build((1, 16, 16), 5).named_parameters()]
        blocks = [(f"features.{step * n}.weight", f"features.{step * n + 1}.bias") for n in range(4)]
        assert names == [*(name for block in blocks for name in block), "head.weight", "head.bias"]


def test_the_fused_network_has_the_noise_of_the_plain_one():
    plain = network(flat(strided(2, 8), BatchNorm(8), nn.ReLU(), Dropout(0.5)), 288).double()
    fused, x = Model(plain), random(4, *SHAPE)
    assert fused.fusion.replaced == {BLOCK: 1}
    with noise_key_scope(7):
        close(fused(fused.initial_parameters(), x), plain(x))


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv(2, 8)

    def forward(self, x):
        return self.conv(x if x.sum() > 0 else -x).flatten(1)


class MakesTensors(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv(2, 8)

    def forward(self, x):
        return self.conv(x).flatten(1) * torch.ones(1)


class Float(nn.Module):
    """A forward that is wrong in other dtypes than float32."""

    def __init__(self):
        super().__init__()
        self.conv = conv(2, 8)

    def forward(self, x):
        return self.conv(x).flatten(1).view(torch.int32).view(torch.float32)


UNFIT = {
    "branches on values": (Branching, 1152, "torch.fx cannot trace it: symbolically traced variables"),
    "makes tensors": (MakesTensors, 1152, "makes tensors of its own"),
    "no convolution": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(288, 8), BatchNorm(8)), 8, "no convolution"),
    "in float32 only": (Float, 1152, "it could not be compared with the plain network"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_network_that_cannot_be_fused_stays_as_it_is_with_a_reason(name):
    make, width, reason = UNFIT[name]
    plain = network(make(), width)
    fused = fuse(plain)
    assert fused.first_order is fused.second_order is plain
    assert reason in fused.reason and fused.facts() == {"fused": {}, "reason": fused.reason}


def test_a_fused_network_that_differs_is_dropped_with_a_reason(monkeypatch):
    conv2d = fast_layers.conv2d
    monkeypatch.setattr(fast_layers, "conv2d", lambda x, weight, bias, **options: conv2d(x, weight, None, **options))
    monkeypatch.setattr(fusion_check, "_verdicts", {})
    fused = fuse(network(flat(conv(2, 8)), 1152))
    assert not fused.replaced and "differs from the plain network" in fused.reason


def test_unknown_input_shapes_and_subclasses_of_network_are_not_fused():
    plain = network(flat(conv(2, 8)), 1152)
    plain.input_shape = ()
    assert "shape of its input is unknown" in fuse(plain).reason

    class Own(type(plain)):
        pass

    assert "has a forward of its own" in fuse(Own(plain.features, plain.head, SHAPE)).reason


def test_equal_networks_are_compared_once(monkeypatch):
    compared, compare = [], fusion_check._compare
    monkeypatch.setattr(fusion_check, "_compare", lambda *networks: compared.append(1) or compare(*networks))
    monkeypatch.setattr(fusion_check, "_verdicts", {})
    for _ in range(3):
        fuse(network(flat(conv(2, 8)), 1152))
    assert len(compared) == 1
    fuse(network(flat(conv(2, 9)), 1296))
    assert len(compared) == 2


def test_fusion_draws_no_global_random_numbers():
    plain = network(flat(conv(2, 8)), 1152)
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    Model(plain)
    assert torch.equal(torch.rand(3), expected)


def test_the_engine_chooses_the_version(make_algorithm, make_batch, monkeypatch):
    orders, original = [], fast_layers.conv_norm_relu

    def recorded(*arguments, second_order, **options):
        orders.append(second_order)
        return original(*arguments, second_order=second_order, **options)

    monkeypatch.setattr(fast_layers, "conv_norm_relu", recorded)
    backbone, batch = StridedConv4(StridedConv4.Options(width=8)), make_batch(tasks=2)
    for name, engine, expected in (
        ("maml", VmapEngine(), True),
        ("maml", VmapEngine(differentiation="remat"), False),
        ("maml", LoopEngine(), False),
        ("fomaml", VmapEngine(), False),
    ):
        algorithm = make_algorithm(name, engine, backbone=backbone)
        orders.clear()
        algorithm.compute_update(batch)
        assert set(orders) == {expected}, engine.name
        orders.clear()
        algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")
        assert set(orders) == {False}, "an evaluation is first order"
    engine = VmapEngine()
    algorithm = make_algorithm("maml", engine, backbone=backbone)
    with pytest.raises(TypeError):
        engine.meta_gradient(algorithm, algorithm.meta, batch._replace(query=batch.query._replace(y=())), 1)
    assert not engine.second_order, "reset after an error"


def test_with_head_shares_the_features():
    model = Model(network(flat(conv(2, 8)), 1152))
    other = model.with_head(nn.Linear(1152, 7))
    assert other.network.features is model.network.features and other.fusion.replaced == {"convolution": 1}
    assert other(other.initial_parameters(), torch.rand(2, *SHAPE)).shape == (2, 7)


@pytest.mark.skipif(not kernels.available(torch.device("cpu"), torch.float32), reason=kernels.kernels_in_use())
def test_blocks_reach_the_kernels_under_one_vmap_alone(monkeypatch):
    """Not outside of vmap, for one task, under a second vmap or another transform, or with autocast."""
    calls, block = [], fast_layers.conv_block
    monkeypatch.setattr(fast_layers, "conv_block", lambda *inputs, **rows: calls.append(1) or block(*inputs, **rows))
    model = Model(network(flat(strided(2, 8), nn.BatchNorm2d(8), nn.ReLU()), 288))
    weights, x = model.initial_parameters(), torch.rand(3, 4, *SHAPE)

    def run(x):
        return model(weights, x)

    calls.clear()
    expected = vmap(run)(x)
    assert len(calls) == 1
    elsewhere = {
        "outside": lambda: torch.stack([run(task) for task in x]),
        "one task": lambda: torch.cat([vmap(run)(task[None]) for task in x]),
        "two vmaps": lambda: vmap(lambda x: vmap(run)(x[None])[0])(x),
        "another transform": lambda: vmap(lambda x: torch.func.vjp(run, x)[0])(x),
    }
    for case, compute in elsewhere.items():
        torch.testing.assert_close(compute(), expected, msg=case)
    with torch.autocast("cpu", torch.bfloat16):
        assert vmap(run)(x).dtype == torch.float32
    assert len(calls) == 1


def test_second_order_in_bf16_uses_torchs_functions(monkeypatch):
    """No kernel and no hand-written derivative of a convolution: only the order of sums differs."""
    monkeypatch.setattr(fast_layers, "LARGE", 0)
    plain = network(flat(conv(2, 8), BatchNorm(8), nn.ReLU(), nn.MaxPool2d(2), conv(8, 4)), 144)
    reference, fused = (Model(plain, engine, bf16=True) for engine in (LoopEngine(plain=True), SecondOrder()))
    assert fused.fusion.replaced == {POOLED: 1, "convolution": 1}
    weights, x = {n: v.float() for n, v in weights_of(fused).items()}, random(3, 8, *SHAPE).float()
    computed, expected = (torch.cat([g.flatten() for g in outer_gradient(m, weights, x)]) for m in (fused, reference))
    assert computed.dtype == expected.dtype == torch.float32
    assert float((computed - expected).norm()) < 0.1 * float(expected.norm())


def test_batch_norms_run_in_the_authors_order():
    """Statistics are recorded in the order in which the layers run, though a block ends later than its batch norm."""

    class TwoNorms(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.other = strided(2, 8), BatchNorm(8), BatchNorm(2)

        def forward(self, x):
            y, z = self.norm(self.conv(x)), self.other(x)
            return torch.cat([F.relu(y).flatten(1), z.flatten(1)], 1)

    fused = Model(network(TwoNorms(), 576).double())
    assert fused.fusion.replaced == {BLOCK: 1, "batch norm": 1}
    statistics = fused.statistics(fused.initial_parameters(), random(4, *SHAPE))
    assert [len(mean) for mean, _ in statistics] == [8, 2]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_padding_by_name():
    layers = (
        nn.Conv2d(2, 8, 2, padding="same"),
        nn.Conv2d(8, 8, 3, padding="same"),
        nn.Conv2d(8, 8, 3, padding="valid"),
    )
    fused = fuse(network(flat(*layers), 800))
    assert fused.replaced == {"convolution": 2}, "the kernels do not support one more zero on one side"
