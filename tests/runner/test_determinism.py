"""One spec, one record: bit for bit, timing aside, whatever ran before, in which order and in which process."""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mamlbench.errors import ConfigError
from mamlbench.plugin import load_plugins
from mamlbench.record import RunRecord
from mamlbench.run_spec import Folders, RunRequest
from mamlbench.runner import isolation
from mamlbench.runner.isolation import WORKSPACE, isolated
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan

METHODS = tuple(
    entry.name
    for entry in load_plugins().registry.entries("algorithm")
    if entry.origin == "mamlbench" and "classification" in entry.load().kinds
)
"""Every method that ships."""
TINY = {
    "dataset": "toy",
    "ways": 3,
    "queries": 2,
    "test_episodes": 6,
    "validation_episodes": 4,
    "iterations": 3,
    "meta_batch_size": 2,
    "validate_every": 1,
    "engine": "vmap",
}
OPTIONS = {"backbone.width": 4, "test_steps": 2}
SEEDS_OF_HASHES = ("0", "4242")


def run(names, folder, toy_plugin, *, workers=False, **request):
    """Run methods one after the other, in this process or in one each; return their records in the same order."""
    plugins, folders = load_plugins([toy_plugin]), Folders(results=folder / "results", cache=folder / "cache")
    specs = []
    for name in names:
        fields = plugins.registry.load("algorithm", name).Options.model_fields
        options = {key: value for key, value in OPTIONS.items() if key != "test_steps" or key in fields}
        specs += plan(RunRequest(algorithms=(name,), options=options, **{**TINY, **request}), plugins)
    if workers:
        return launch(specs, plugins, folders)
    return [launch([spec], plugins, folders, own_process=False)[0] for spec in specs]


def content(record: RunRecord, folder: Path) -> str:
    """Everything that a run leaves behind, timing and names aside, as text; the model by its hash."""
    assert record.status == "finished", record.reason
    values = record.model_dump(
        mode="json", exclude={"name", "attempt", "started", "model", "checkpoint", "environment"}
    )
    values["measurement"] = [record.measurement.iterations, record.measurement.examples_seen]
    for point in values["curve"]:
        del point["wall_seconds"], point["device_seconds"]
    for part in ("episodes", "training_data"):
        if values[part]:
            del values[part]["file"]
    tensors = (folder / "results" / record.model).with_suffix(".safetensors")
    return json.dumps([values, hashlib.sha256(tensors.read_bytes()).hexdigest()], sort_keys=True)


@pytest.fixture(scope="module")
def expected(tmp_path_factory, toy_plugin):
    """What each method leaves behind, run in their order in this process."""
    folder = tmp_path_factory.mktemp("expected")
    records = run(METHODS, folder, toy_plugin)
    return {name: content(record, folder) for name, record in zip(METHODS, records, strict=True)}


@pytest.mark.slow
def test_in_another_order_after_other_runs(expected, tmp_path, toy_plugin):
    order = ("careless", *reversed(METHODS))
    records = run(order, tmp_path, toy_plugin)[1:]
    assert {name: content(record, tmp_path) for name, record in zip(order[1:], records, strict=True)} == expected


@pytest.mark.slow
def test_in_worker_processes(expected, tmp_path, toy_plugin):
    names = ("reptile", "maml", "protonet")
    records = run(names, tmp_path, toy_plugin, workers=True)
    assert all(content(record, tmp_path) == expected[name] for name, record in zip(names, records, strict=True))


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_determinism import METHODS, content, run
import json
folder = Path(sys.argv[1])
records = run(METHODS, folder, Path(sys.argv[2]))
print(json.dumps({{name: content(record, folder) for name, record in zip(METHODS, records, strict=True)}}))
"""


@pytest.mark.slow
def test_in_other_processes_with_other_hashes_of_strings(expected, tmp_path, toy_plugin):
    code = SCRIPT.format(folder=str(Path(__file__).parent))
    started = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", code, tmp_path / seed, toy_plugin],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        )
        for seed in SEEDS_OF_HASHES
    ]
    assert [json.loads(process.communicate()[0]) for process in started] == [expected] * len(SEEDS_OF_HASHES)


def test_a_method_that_draws_from_global_generators_repeats_itself(tmp_path, toy_plugin):
    """In the same process its second run would otherwise go on where the first one stopped."""
    first, second, other = (
        *run(("careless",) * 2, tmp_path, toy_plugin),
        *run(("careless",), tmp_path, toy_plugin, seed=1),
    )
    assert content(first, tmp_path) == content(second, tmp_path) != content(other, tmp_path)


def global_state():
    return (
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_device(),
        random.getstate(),
        str(np.random.get_state()),
        torch.get_rng_state().tolist(),
    )


@pytest.fixture
def unusual():
    """Settings that a notebook may have before it calls mamlbench."""
    before = torch.get_num_threads(), torch.get_default_dtype()
    random.seed(5)
    np.random.seed(5)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    with torch.no_grad(), torch.autocast("cpu"), torch.device("meta"):
        yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False
    torch.set_float32_matmul_precision("highest")
    torch.set_default_dtype(before[1])
    torch.set_num_threads(before[0])


@pytest.mark.slow
@pytest.mark.usefixtures("unusual")
def test_the_callers_settings_change_nothing_and_are_put_back(expected, tmp_path, toy_plugin):
    before = global_state()
    names = ("careless", "maml", "reptile")
    records = dict(zip(names, run(names, tmp_path, toy_plugin), strict=True))
    assert global_state() == before
    assert all(content(records[name], tmp_path) == expected[name] for name in ("maml", "reptile"))


@pytest.fixture
def spec(toy_plugin):
    def make(**request):
        return plan(RunRequest(algorithms=("maml",), **{**TINY, **request}), load_plugins([toy_plugin]))[0]

    return make


def test_settings_are_put_back_after_an_error(spec):
    before = global_state()
    with pytest.raises(RuntimeError, match="stop"), isolated(spec()):
        torch.set_default_dtype(torch.float64)
        torch.rand(3)
        raise RuntimeError("stop")
    assert global_state() == before


def test_deterministic_algorithms_are_on_in_such_a_run_alone(spec, tmp_path, toy_plugin, expected):
    with isolated(spec(deterministic=True)):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    (record,) = run(("maml",), tmp_path, toy_plugin, deterministic=True)
    assert record.spec.deterministic and record.spec_hash != spec().hash
    assert json.loads(content(record, tmp_path))[0]["test"] == json.loads(expected["maml"])[0]["test"]  # on a CPU


def test_compiled_functions_of_earlier_runs_do_not_count(spec):
    """torch compiles one function eight times in a process, and then refuses: it was the ninth run that failed."""

    def scale(factor):
        return torch.compile(lambda x: x * factor, fullgraph=True, dynamic=False, backend="eager")

    for number in range(1, 11):
        with isolated(spec()):
            assert float(scale(number)(torch.ones(number)).sum()) == number**2


@pytest.fixture
def gpu(monkeypatch):
    """A GPU as far as the preparation of cuBLAS is concerned."""
    monkeypatch.delenv(WORKSPACE, raising=False)

    def make(used):
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
        return torch.device("cuda", 0)

    return make


def test_cublas_is_made_deterministic_before_its_first_use(gpu, monkeypatch):
    device = gpu(used=False)
    monkeypatch.setenv(WORKSPACE, "something else")
    isolation.prepare_cublas(device)
    assert os.environ[WORKSPACE] == ":4096:8"
    monkeypatch.setenv(WORKSPACE, ":16:8")
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    isolation.prepare_cublas(device)  # set before the process used the GPU
    assert os.environ[WORKSPACE] == ":16:8"


def test_a_process_that_used_the_gpu_without_is_refused(gpu):
    device = gpu(used=True)
    with pytest.raises(ConfigError, match=f"{WORKSPACE}=:4096:8 before"):
        isolation.prepare_cublas(device)
    isolation.prepare_cublas(torch.device("cpu"))
    assert WORKSPACE not in os.environ


@pytest.mark.gpu
def test_a_deterministic_run_on_a_gpu_repeats_itself(tmp_path, toy_plugin):
    first, second = run(("maml", "maml"), tmp_path, toy_plugin, deterministic=True, device="cuda")
    assert content(first, tmp_path) == content(second, tmp_path)
