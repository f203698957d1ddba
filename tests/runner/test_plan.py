"""Planning fills in every value, or names every problem at once."""

import pytest

from mamlbench.errors import ConfigError
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import RunRequest
from mamlbench.runner.component_options import stored_options
from mamlbench.runner.plan import plan
from mamlbench_plugins.datasets.glyphs import Glyphs


@pytest.fixture(scope="module")
def plugins(toy_plugin):
    return load_plugins([toy_plugin])


def spec(plugins, **request):
    (only,) = plan(RunRequest(**{"algorithms": ("maml",), "dataset": "toy", **request}), plugins)
    return only


def problems(plugins, **request):
    with pytest.raises(ConfigError) as caught:
        spec(plugins, **request)
    return "\n".join(caught.value.problems)


def test_one_spec_per_algorithm_and_seed(plugins):
    specs = plan(RunRequest(algorithms=("maml", "reptile"), dataset="toy", seeds=3, seed=5), plugins)
    assert [(spec.algorithm.name, spec.seed) for spec in specs] == [
        (name, seed) for name in ("maml", "reptile") for seed in (5, 6, 7)
    ]
    assert len({spec.hash for spec in specs}) == 6


def test_every_option_stands_in_the_spec(plugins):
    planned = spec(plugins)
    assert planned.algorithm.options["inner_lr"] == 0.506
    assert planned.backbone.name == "conv4-strided" and planned.backbone.options["width"] == 64
    assert planned.preset == "quick"
    assert type(planned).model_validate_json(planned.model_dump_json()).hash == planned.hash


def test_what_is_asked_for_wins_over_the_preset(plugins):
    planned = spec(
        plugins, iterations=7, meta_batch_size=3, options={"inner_lr": "0.25", "backbone.width": "8"}, shots=2
    )
    assert (planned.training.iterations, planned.training.meta_batch_size) == (7, 3)
    assert planned.algorithm.options["inner_lr"] == 0.25
    assert planned.backbone.options["width"] == 8
    assert planned.training.shots == planned.protocol.shots == 2


def test_a_preset_may_name_its_sampler_and_a_user_another(plugins):
    paper = {"dataset": "omniglot", "preset": "paper"}
    planned = spec(plugins, **paper)
    assert (planned.sampler.name, planned.sampler.options) == ("fixed-pool", {"tasks": 200_000})
    assert spec(plugins, **paper, options={"sampler.tasks": 7}).sampler.options == {"tasks": 7}
    assert spec(plugins, **paper, sampler="fresh").sampler.name == "fresh"
    assert spec(plugins, sampler="fixed-pool").sampler.options == {"tasks": 1000}
    assert spec(plugins).sampler.name == "fresh"


def test_metrics_are_named_as_registered_and_must_suit_the_tasks(plugins):
    planned = spec(plugins, metrics=("macro-f1", "accuracy", "macro F1"))
    assert planned.protocol.metrics == ("macro F1", "accuracy")
    assert spec(plugins).protocol.metrics == ()
    text = problems(plugins, metrics=("macro F2", "mean_squared_error"), iterations=3)
    assert "Unknown metric 'macro F2'. Did you mean 'macro F1'?" in text
    assert "'mean squared error' is a metric of regression, not of classification." in text


@pytest.mark.parametrize(
    ("ways", "meta_batch_size", "inner_lr", "steps"), [(5, 32, 0.4, (1, 3)), (20, 16, 0.1, (5, 5))]
)
def test_the_paper_preset_has_the_published_settings(plugins, ways, meta_batch_size, inner_lr, steps):
    planned = spec(plugins, dataset="omniglot", preset="paper", ways=ways)
    options = planned.algorithm.options
    assert planned.training.iterations == 60_000
    assert planned.training.meta_batch_size == meta_batch_size
    assert (options["inner_lr"], options["train_steps"], options["test_steps"]) == (inner_lr, *steps)
    assert options["loss_reduction"] == "per-shot" and options["outer_lr"] == 1e-3


def test_every_problem_is_named_at_once_with_a_suggestion(plugins):
    text = problems(plugins, options={"inner_rl": "0.4", "train_steps": "-1", "backbone.widht": "3"})
    assert "no option 'inner_rl'. Did you mean 'inner_lr'?" in text
    assert "option 'train_steps'" in text and "greater than or equal to 0" in text
    assert "no option 'widht'. Did you mean 'width'?" in text


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"algorithms": ("mmal",)}, "Unknown algorithm 'mmal'. Did you mean 'maml'?"),
        ({"dataset": "omniglott"}, "Unknown dataset 'omniglott'. Did you mean 'omniglot'?"),
        ({"backbone": "conv4"}, "Unknown backbone 'conv4'."),
        ({"sampler": "fressh"}, "Did you mean 'fresh'?"),
        ({"preset": "papper"}, "has no preset 'papper'. Did you mean 'paper'?"),
        ({"preset": "paper"}, "has no preset 'paper' for toy 5-way 1-shot."),
        ({"engine": "vmpa"}, "Unknown engine 'vmpa'. Did you mean 'vmap'?"),
        ({"device": "tpu"}, "device 'tpu'"),
        ({"ways": 1}, "--ways must be 2 or more"),
    ],
)
def test_unknown_names(plugins, request_, message):
    assert message.lower() in problems(plugins, **request_).lower()


def test_an_algorithm_named_twice_is_run_once(plugins):
    specs = plan(RunRequest(algorithms=("maml", "fomaml", "maml"), dataset="toy"), plugins)
    assert [spec.algorithm.name for spec in specs] == ["maml", "fomaml"]


def test_a_gpu_that_is_not_there(plugins):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert "torch finds no GPU here: use --device cpu" in problems(plugins, device="cuda")


def test_none_is_a_word_where_an_option_has_it_as_a_value(plugins):
    planned = spec(plugins, dataset="glyphs", options={"dataset.rotations": "none", "clip": "none"})
    assert planned.dataset.options["rotations"] == "none"
    assert planned.algorithm.options["clip"] is None
    assert stored_options("dataset", Glyphs, planned.dataset).rotations == "none"


def test_a_bad_value_is_named_as_the_user_writes_it(plugins):
    assert "backbone 'conv4-strided': option 'backbone.width'" in problems(plugins, options={"backbone.width": "0"})
