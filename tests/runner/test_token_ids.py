"""Inputs that are token ids (int64) through sampling, engines, training, records, evaluation and the contract kit."""

from pathlib import Path

import pytest
import torch
from torch.func import grad

from mamlbench.nn.attention import uses_attention
from mamlbench.nn.model import Model
from mamlbench.plugin import load_plugins

FILE = Path(__file__).parents[1] / "toys" / "token_plugin.py"
RUN = ("run", "--plugin", str(FILE), "--dataset", "tokens", "-q", "--device", "cpu", "--test-episodes", "40")


def arguments(algorithm, iterations="30"):
    return (
        *RUN,
        "--algo",
        algorithm,
        "--iterations",
        iterations,
        "--validation-episodes",
        "10",
        "--meta-batch-size",
        "4",
    )


@pytest.mark.parametrize("engine", ["loop", "vmap"])
def test_second_order_maml_learns_from_token_ids(project, engine):
    options = ("--engine", engine, "--shots", "5", "-o", "inner_lr=1", "-o", "train_steps=2")
    project.run(*arguments("maml"), "--backbone", "embedding", *options)
    (record,) = project.records()
    scores = record.test.modes["inductive"]
    assert record.status == "finished" and record.engine["name"] == engine
    assert scores.score.mean > 0.3, "chance is 0.2"


@pytest.mark.parametrize("algorithm", ["reptile", "protonet", "pretrain"])
def test_other_methods_take_token_ids(project, algorithm):
    project.run(*arguments(algorithm, "2"))
    (record,) = project.records()
    assert record.status == "finished"
    (path,) = (project.path / "results").glob("*.json")
    project.run("evaluate", str(path), "--plugin", str(FILE), "--shots", "5")


@pytest.mark.parametrize("precision", ["float64", "bf16"])
def test_token_ids_keep_their_type_in_every_precision(project, precision):
    project.run(*arguments("maml", "2"), "--precision", precision)
    assert project.records()[0].status == "finished"


@pytest.mark.parametrize("engine", ["loop", "vmap"])
def test_second_order_maml_runs_through_fused_attention(project, engine):
    project.run(*arguments("maml", "2"), "--backbone", "transformer", "--engine", engine)
    assert project.records()[0].status == "finished"


def test_attention_has_a_second_derivative_that_central_differences_confirm():
    plugin = load_plugins([FILE]).registry.load("backbone", "transformer")
    torch.manual_seed(0)
    network = plugin(plugin.Options()).build((6,), 3).double()
    assert uses_attention(network) and not uses_attention(torch.nn.Linear(2, 2))
    assert uses_attention(torch.nn.TransformerEncoderLayer(8, 2, 16))
    model = Model(network)
    x = torch.randint(0, 20, (4, 6))
    theta = dict(model.initial_parameters())
    direction = {name: torch.randn_like(value) for name, value in theta.items()}

    def slope(parameters):
        gradient = grad(lambda p: model(p, x).square().sum())(parameters)
        return sum((gradient[name] * direction[name]).sum() for name in gradient)

    second = grad(slope)(theta)
    step = 1e-5
    ends = [{n: v + sign * step * direction[n] for n, v in theta.items()} for sign in (1, -1)]
    difference = (slope(ends[0]) - slope(ends[1])) / (2 * step)
    exact = sum((second[name] * direction[name]).sum() for name in second)
    assert float(exact) == pytest.approx(float(difference), rel=1e-5)


@pytest.mark.parametrize("name", ["embedding", "transformer", "tokens"])
def test_the_contract_kit_takes_them(project, name):
    project.run("check", name, "--plugin", str(FILE))
