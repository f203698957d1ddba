"""Fixtures of the whole test suite."""

import multiprocessing
import os
import shutil
import subprocess
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from mamlbench.user_config import KERNELS_VARIABLE, kernels_folder

# Examples are derived from the test itself, so that a failure is the same one on every machine.
settings.register_profile("mamlbench", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("mamlbench")

pytest_plugins = ["mamlbench.testing.pytest"]

if kernels_folder() is not None:  # compiled once, not for every test that has a cache of its own
    os.environ[KERNELS_VARIABLE] = str(kernels_folder())

ROOT = Path(__file__).parents[1]
REQUIRE_ALL = os.environ.get("MAMLBENCH_REQUIRE_ALL") == "1"
"""Set by .ci/run: there the real data must be present, and a test that cannot find it fails."""


def skip_or_fail(reason):
    """Skip if something is missing that a developer's machine may lack; fail if everything is required."""
    if REQUIRE_ALL:
        pytest.fail(f"{reason} (MAMLBENCH_REQUIRE_ALL=1)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        skip_or_fail("no real data: '../shared/data' beside the checkout is missing")
    return folder


@pytest.fixture(scope="session")
def latex():
    """Require pdflatex with booktabs (Debian: texlive-latex-recommended)."""
    if shutil.which("pdflatex") is None:
        skip_or_fail("no LaTeX: pdflatex is not installed")


@pytest.fixture(params=["tensorboard", "mlflow", "wandb"])
def tracker(request):
    """Name of a tracker whose extra is installed."""
    if find_spec(request.param) is None:
        skip_or_fail(f"the extra '{request.param}' is not installed")
    return request.param


@pytest.fixture(scope="session")
def chromium():
    """The command that starts a browser without a window (Debian: chromium)."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        skip_or_fail("no browser: chromium is not installed")
    return browser


if "forkserver" in multiprocessing.get_all_start_methods():
    from multiprocessing.forkserver import ForkServer

    multiprocessing.set_forkserver_preload(["mamlbench.runner.execute", "torch._dynamo"])  # what torch.optim imports

    def _ensure_running(server, ensure=ForkServer.ensure_running):
        """Start the server without the folder that it is started in on its path: the checkout would hide the wheel."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONSAFEPATH", "1")
            return ensure(server)

    ForkServer.ensure_running = _ensure_running


@pytest.fixture(scope="session")
def prepared_cache(tmp_path_factory):
    """Cache folder in which tests share prepared data sets; all workers of pytest-xdist have the same."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared"


@pytest.fixture
def settled(monkeypatch):
    """Trust the times of files that were written a moment ago, and are not changed again."""
    monkeypatch.setattr("mamlbench.data.raw_files.SETTLED_NANOSECONDS", -(10**9))


@pytest.fixture(scope="session")
def start_method():
    """Quickest way to start a process that needs torch: fork it from one that has imported torch."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"  # Windows


@pytest.fixture(autouse=True)
def preloaded_workers(request, monkeypatch, start_method):
    """Start the processes of runs quickly. A test of how they start asks for ``spawned_workers``."""
    if "spawned_workers" not in request.fixturenames:
        monkeypatch.setattr("mamlbench_plugins.launchers.processes._START_METHOD", start_method)


@pytest.fixture
def spawned_workers():
    """Start the processes of runs as users do."""


FORKED = """
import os

for path, descriptor in zip(paths, (1, 2)):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
os.chdir(folder)
os.environ.clear()
os.environ.update(environment)
exec(code, {})
"""


class Forked:
    """Python code in a process forked from one that has imported torch already; use it in ``with``.

    ``err`` is its stderr, a stream that can be read while it runs.
    """

    def __init__(self, code, streams, folder=None, **environment):
        paths = self.out, self.err_path = [streams / name for name in ("stdout", "stderr")]
        os.mkfifo(self.err_path)
        names = {
            "code": code,
            "paths": paths,
            "folder": folder or Path.cwd(),
            "environment": {**os.environ, **environment},
        }
        # exec can be pickled; the functions of this file cannot be imported in another process
        self.process = multiprocessing.get_context("forkserver").Process(target=exec, args=(FORKED, names))

    def __enter__(self):
        self.process.start()
        self.guard = threading.Timer(300, self.process.kill)
        self.guard.start()
        self.err = self.err_path.open()
        return self

    def end(self):
        """Wait for the end; give the exit code, stdout, and of stderr what was not read yet."""
        rest = self.err.read()
        self.process.join()
        return subprocess.CompletedProcess((), self.process.exitcode, self.out.read_text(), rest)

    def __exit__(self, *error):
        self.guard.cancel()
        self.process.kill()
        self.process.join()
        self.err.close()


@pytest.fixture(scope="session")
def fork(tmp_path_factory):
    """``fork(code, folder, NAME="value")``: a process as by ``python -c code``, which takes two seconds more."""
    return lambda code, folder=None, **environment: Forked(
        code, tmp_path_factory.mktemp("streams"), folder, **environment
    )


@pytest.fixture(scope="session")
def run_forked(fork):
    """``run_forked(code, folder, NAME="value")``: the same, to its end: exit code, stdout and stderr."""

    def run(code, folder=None, **environment):
        with fork(code, folder, **environment) as process:
            return process.end()

    return run


def pytest_runtest_setup(item):
    """Tests marked ``gpu`` need a CUDA device."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def toy_plugin():
    """Path of a single-file plugin with a tiny data set and misbehaving algorithms."""
    return ROOT / "tests" / "toys" / "toy_plugin.py"


@pytest.fixture
def make_algorithm():
    """Build an algorithm in float64 on a tiny network: ``make_algorithm("maml", engine, inner_lr=0.1)``."""
    from mamlbench.api import Classification, MethodContext, Model
    from mamlbench.engine import VmapEngine
    from mamlbench.plugin import load_plugins
    from mamlbench_plugins.backbones.conv4 import StridedConv4

    def make(
        name,
        engine=None,
        *,
        backbone=None,
        shape=(1, 14, 14),
        objective=None,
        pooled=None,
        iterations=10,
        shots=2,
        **options,
    ):
        import torch

        engine = engine or VmapEngine()
        plugin = load_plugins().registry.load("algorithm", name)
        built = backbone or StridedConv4(StridedConv4.Options(width=4))

        def build(outputs):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                return Model(built.build(shape, outputs).double(), engine)

        context = MethodContext(
            build=build,
            objective=objective or Classification(3),
            pooled_objective=pooled or Classification(7),
            engine=engine,
            iterations=iterations,
            shots=shots,
        )
        return plugin(context, plugin.Options(**options))

    return make


@pytest.fixture
def make_batch():
    """Random float64 episodes: ``make_batch(tasks)`` gives 3-way 2-shot 2-query tasks of 1x14x14 images."""
    import torch

    from mamlbench.api import EpisodeBatch, Examples

    def make(tasks=4, ways=3, shots=2, queries=2, shape=(1, 14, 14)):
        generator = torch.Generator().manual_seed(1)

        def examples(per_class):
            x = torch.rand(tasks, ways * per_class, *shape, generator=generator, dtype=torch.float64)
            return Examples(x, torch.arange(ways).repeat_interleave(per_class).expand(tasks, -1))

        return EpisodeBatch(examples(shots), examples(queries), torch.arange(tasks) + 12345)

    return make


@pytest.fixture
def call(capsys):
    """``call("run", "--algo", "maml")``: the command line in this process; its exit code, stdout and stderr."""

    from mamlbench.cli.main import main

    def call(*arguments):
        code = main(list(arguments))
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    return call
