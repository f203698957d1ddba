"""``timm:NAME``: built for small images, second order, weights from a file."""

import pytest
import torch
from torch.func import grad

from mamlbench.api import ConfigError, Model
from mamlbench.errors import ExitCode, MissingDependencyError
from mamlbench.plugin import load_plugins

timm = pytest.importorskip("timm")
SMALL = {"vit_tiny_patch16_224": {"patch_size": 16}, "resnet10t": {}}


def plugin(name):
    return load_plugins().registry.load("backbone", f"timm:{name}")


def build(name, shape=(1, 32, 32), **options):
    backbone = plugin(name)
    torch.manual_seed(0)
    return backbone(backbone.Options.model_validate(options)).build(shape, 3)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_second_derivative_exists(name):
    model = Model(build(name, **SMALL[name]))
    theta, x = dict(model.initial_parameters()), torch.rand(3, 1, 32, 32)
    assert not any(getattr(module, "fused_attn", False) for module in model.network.modules())

    def outer(theta):
        inner = grad(lambda theta: model(theta, x).square().mean())(theta)
        return model({name: theta[name] - 0.01 * inner[name] for name in theta}, x).square().mean()

    assert all(bool(value.isfinite().all()) for value in grad(outer)(theta).values())


def test_norms_with_an_activation_keep_no_running_statistics():
    from timm.layers import BatchNormAct2d

    from mamlbench_plugins.backbones.timm_networks import _without_norm_acts

    block = torch.nn.Sequential(BatchNormAct2d(4)).eval()
    x = torch.randn(2, 4, 3, 3)
    before = block(x)
    assert torch.allclose(_without_norm_acts(block)(x), before)
    assert not any(isinstance(module, BatchNormAct2d) for module in block.modules())


def test_weights_come_from_a_file_and_are_part_of_the_options(tmp_path):
    torch.manual_seed(5)
    source = timm.create_model("resnet10t", num_classes=7)
    path = tmp_path / "weights.pth"
    torch.save(source.state_dict(), path)
    options = plugin("resnet10t").Options.model_validate({"weights": str(path)})
    assert len(options.weights_sha256) == 64
    backbone = plugin("resnet10t")(options)
    features, width = backbone.features((3, 32, 32))
    assert width == 512 and torch.equal(dict(features.named_parameters())["conv1.0.weight"], source.conv1[0].weight)
    path.write_bytes(b"another file")
    with pytest.raises(ConfigError, match="are not those of the run: their SHA-256 differs"):
        backbone.features((3, 32, 32))
    path.unlink()
    with pytest.raises(ConfigError, match="There is no file of weights"):
        backbone.features((3, 32, 32))


def test_what_cannot_be_built_is_explained(monkeypatch):
    with pytest.raises(ConfigError, match=r"Did you mean 'resnet18'\?"):
        plugin("resnet8")
    with pytest.raises(ConfigError, match="cannot be built for images of 8 x 8"):
        build("vit_tiny_patch16_224", (3, 8, 8))
    with pytest.raises(ConfigError):
        build("resnet10t", (5,))
    monkeypatch.setattr("mamlbench_plugins.backbones.timm_networks.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mamlbench\[timm\]'"):
        plugin("resnet18")


@pytest.mark.slow
def test_a_run_through_the_command_line(project, toy_plugin):
    arguments = ("run", "--plugin", str(toy_plugin), "--dataset", "toy", "--iterations", "1", "--ways", "2", "-q")
    counts = ("--meta-batch-size", "1", "--validation-episodes", "2", "--test-episodes", "2", "--device", "cpu")
    vit = ("--backbone", "timm:vit_tiny_patch16_224", "-o", "backbone.patch_size=14")
    project.run(*arguments, *counts, "--algo", "maml", *vit)
    (record,) = project.records()
    assert record.status == "finished" and record.spec.backbone.name == "timm:vit_tiny_patch16_224"
    wrong = project.run(*arguments, "--algo", "maml", "--backbone", "timm:resnt18", expect=ExitCode.USAGE)
    assert "Did you mean 'resnet18'?" in wrong.err
