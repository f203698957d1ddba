"""The hash of plugins' code depends on their text, not on their folder."""

import importlib

import pytest

from mamlbench.plugin import load_plugins, source_hash
from mamlbench.plugin.source_hash import plugin_code, versions_that_count
from mamlbench.run_spec import Component, Protocol, RunSpec, Training


@pytest.fixture
def code(tmp_path):
    def code(text, folder="here", name="mine.py"):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return plugin_code(load_plugins([path]))

    return code


def test_an_edited_file_has_another_hash(code):
    first = code("x = 1\n")
    assert len(first) == 16
    assert code("x = 1\n") == first == code("x = 1\n", "elsewhere")
    assert len({first, code("x = 2\n"), code("x = 1\n", name="other.py"), plugin_code(load_plugins())}) == 4


def test_listeners_do_not_count():
    plugins = load_plugins()
    before = plugin_code(plugins)
    plugins.manager.register(object(), name="a display")
    assert plugin_code(plugins) == before


def test_every_file_of_a_package_counts(monkeypatch, tmp_path):
    """The built-in plugins are modules of one package; its other files count as well."""
    import mamlbench_plugins

    before = plugin_code(load_plugins())
    (tmp_path / "helper.py").write_text("helps = True\n")
    monkeypatch.setattr(mamlbench_plugins, "__path__", [*mamlbench_plugins.__path__, str(tmp_path)])
    assert plugin_code(load_plugins()) != before


SHOWS = """
import mamlbench

@mamlbench.hookimpl
def mamlbench_report_columns(register):
    register("cost", lambda record: 1.0)

@mamlbench.hookimpl
def mamlbench_register_launchers(register): ...

@mamlbench.hookimpl
def mamlbench_register_trackers(register): ...
"""


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ("", False),
        ("x = 1\n", False),
        ("@mamlbench.hookimpl\ndef mamlbench_register_algorithms(register): ...\n", True),
        ("@mamlbench.hookimpl\ndef mamlbench_run_started(spec): ...\n", True),
    ],
)
def test_what_only_starts_follows_or_shows_runs_does_not_count(code, more, counts):
    assert (code(SHOWS + more) != plugin_code(load_plugins())) is counts


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write and load a package of a method and a tracker: ``package(method="...")`` returns the hash of its code."""
    monkeypatch.syspath_prepend(tmp_path)
    count = 0

    def package(method="", helper="", tracker=""):
        nonlocal count
        count += 1
        folder = tmp_path / f"package{count}"
        (folder / "trackers").mkdir(parents=True)
        hook = "\n\nimport mamlbench\n\n@mamlbench.hookimpl\ndef mamlbench_register_{}s(register): ...\n"
        (folder / "__init__.py").write_text("")
        (folder / "method.py").write_text(method + hook.format("algorithm"))
        (folder / "trackers" / "__init__.py").write_text(tracker + hook.format("tracker"))
        (folder / "trackers" / "helper.py").write_text(helper)
        plugins = load_plugins()
        for name in ("method", "trackers"):
            plugins.manager.register(importlib.import_module(f"package{count}.{name}"))
        names = []
        monkeypatch.setattr(source_hash, "_hash", lambda path: names.append(path) or "")
        plugin_code(plugins)
        return sorted(path.relative_to(folder).as_posix() for path in names if path.is_relative_to(folder))

    return package


def test_trackers_of_a_package_of_methods_do_not_count_unless_the_methods_use_them(package):
    assert package() == ["__init__.py", "method.py"]
    everything = ["__init__.py", "method.py", "trackers/__init__.py", "trackers/helper.py"]
    assert package("from . import (\n    trackers,\n)") == everything
    assert package("from .trackers.helper import __doc__ as x") == everything
    assert package("# as trackers do") == ["__init__.py", "method.py"]


def test_versions_count_if_code_does():
    plugins = load_plugins()
    names = set(versions_that_count(plugins))
    assert "builtin-algorithms" in names and not {"builtin-trackers", "builtin-launchers", "builtin-published"} & names
    assert names <= {report.name for report in plugins.reports}


METHOD = """
import mamlbench
from mamlbench_plugins.algorithms.reptile import Reptile

RATE = 0.1

class Mine(Reptile):
    RATE = RATE

@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("NAME", Mine)
"""


@pytest.fixture
def spec_of():
    """``spec_of("maml", backbone="mlp")``: a run of it on glyphs."""

    def spec_of(algorithm, backbone="conv4-strided", **changed):
        names = {"algorithm": algorithm, "dataset": "glyphs", "backbone": backbone, "sampler": "fresh"}
        training = Training(iterations=1, meta_batch_size=1, ways=5, shots=1, queries=1, validate_every=1)
        components = {kind: Component(name=name) for kind, name in names.items()}
        return RunSpec(**components, preset="quick", protocol=Protocol(), training=training, **changed)

    return spec_of


@pytest.fixture
def loaded(tmp_path):
    """Load files by name and text."""

    def loaded(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        return load_plugins([tmp_path / f"{name}.py" for name in texts])

    return loaded


def test_a_method_that_a_run_does_not_use_does_not_count(loaded, spec_of):
    maml, mine = spec_of("maml"), spec_of("mine")
    alone = plugin_code(load_plugins(), maml)
    with_mine = loaded(first=METHOD.replace("NAME", "mine"))
    assert plugin_code(with_mine, maml) == alone != plugin_code(with_mine, mine)
    both = loaded(first=METHOD.replace("NAME", "mine"), second=METHOD.replace("NAME", "other"))
    assert plugin_code(both, mine) == plugin_code(with_mine, mine) != plugin_code(both), (
        "without a run everything counts"
    )
    assert versions_that_count(both, maml).keys() <= versions_that_count(both).keys()


@pytest.mark.parametrize(
    "more",
    [
        "Reptile.compute_update = Mine.compute_update",
        "print()",
        "@mamlbench.hookimpl\ndef mamlbench_run_started(spec): ...",
        "@mamlbench.hookimpl\ndef mamlbench_register_metrics(register): ...",
    ],
    ids=["changes a class", "calls something", "listens", "registers a metric"],
)
def test_a_plugin_that_may_change_other_runs_counts(loaded, spec_of, more):
    plugins = loaded(first=f"{METHOD}\n{more}\n")
    assert plugin_code(plugins, spec_of("maml")) != plugin_code(load_plugins(), spec_of("maml"))


def test_what_a_used_plugin_imports_counts(loaded, spec_of):
    first, another = METHOD.replace("NAME", "mine"), METHOD.replace("NAME", "other")
    importing = f"try:\n    import method_of_another\nexcept ImportError:\n    pass\n{first}"

    def code(**texts):
        return plugin_code(loaded(**texts), spec_of("mine"))

    assert code(first=first, method_of_another=another) == code(first=first)
    assert code(first=importing, method_of_another=another) != code(first=importing)


@pytest.mark.parametrize("changed", [{"init": "results/x", "init_sha256": "0"}, {"backbone": "frozen:x"}], ids=str)
def test_in_doubt_everything_counts(loaded, spec_of, changed):
    plugins = loaded(first=METHOD.replace("NAME", "mine"))
    assert plugin_code(plugins, spec_of("maml", **changed)) == plugin_code(plugins)
