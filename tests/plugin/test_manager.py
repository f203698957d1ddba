import subprocess
import sys
import textwrap
from importlib import metadata
from types import ModuleType, SimpleNamespace

import pytest

from mamlbench.errors import ConfigError
from mamlbench.plugin import KINDS, PROJECT, hookimpl, load_plugins

BUILTINS = [
    (f"builtin-{kind}s", f"mamlbench_plugins.{kind}s") for kind in ("algorithm", "backbone", "dataset", "sampler")
]


def module(**functions):
    plugin = ModuleType("other_plugin")
    for name, function in functions.items():
        setattr(plugin, name, hookimpl(function))
    return plugin


def registering(kind, *names, target="some.module:Class"):
    def hook(register):
        for name in names:
            register(name, target, summary=f"about {name}")

    return {f"mamlbench_register_{kind}s": hook}


@pytest.fixture
def install(monkeypatch):
    """Simulate installed plugins: name -> the module, or an exception that importing it raises."""

    def install(**plugins):
        def load(value):
            if isinstance(value, BaseException):
                raise value
            return value

        points = [
            SimpleNamespace(
                name=name,
                value=name,
                dist=SimpleNamespace(name=f"{name}-dist", version="1.2"),
                load=lambda value=value: load(value),
            )
            for name, value in plugins.items()
        ]
        monkeypatch.setattr(metadata, "entry_points", lambda *, group: points if group == PROJECT else [])
        loaded = load_plugins()
        return loaded, {report.name: report for report in loaded.reports}

    return install


GOOD = module(**registering("algorithm", "good"))


def test_the_builtin_plugins_are_loaded_by_their_entry_points():
    loaded = load_plugins()
    reports = {report.name: report for report in loaded.reports}
    for name, _ in BUILTINS:
        assert reports[name].error == ""
        assert reports[name].origin == "mamlbench"
        assert reports[name].version
        assert reports[name].provides
    assert "maml" in loaded.registry.names("algorithm")
    assert loaded.registry.entry("launcher", "processes").origin == "mamlbench"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_registered_by_an_entry_point(install, kind):
    loaded, reports = install(outside=module(**registering(kind, "new")))
    assert reports["outside"].provides == [f"{kind} new"] and reports["outside"].error == ""
    assert loaded.registry.entry(kind, "new").origin == "outside-dist"


def test_a_working_plugin_is_reported_with_what_it_provides(install):
    loaded, reports = install(good=GOOD)
    assert vars(reports["good"]) == {
        "name": "good",
        "origin": "good-dist",
        "version": "1.2",
        "error": "",
        "provides": ["algorithm good"],
    }
    assert loaded.registry.entry("algorithm", "good").summary == "about good"
    assert loaded.registry.entry("algorithm", "good").origin == "good-dist"


def raising(error):
    def hook(register):
        register("half-way", "some.module:Class")
        raise error

    return hook


def wrong_arguments(register, extra):
    pass


BROKEN = {
    "import fails": (ImportError("no module named 'cuda_magic'"), "ImportError: no module named 'cuda_magic'"),
    "import exits": (SystemExit(1), "SystemExit: 1"),
    "no message": (ValueError(), "ValueError"),
    "hook raises": (module(mamlbench_register_samplers=raising(KeyError("x"))), "KeyError: 'x'"),
    "hook misspelled": (
        module(**registering("dataset", "orphan"), mamlbench_register_algoritms=lambda register: None),
        "ValueError: unknown hook 'mamlbench_register_algoritms'. Did you mean 'mamlbench_register_algorithms'?",
    ),
    "hook with unknown argument": (module(mamlbench_register_datasets=wrong_arguments), "extra"),
    "name taken": (
        module(**registering("algorithm", "fresh-name", "good"), **registering("dataset", "orphan")),
        "algorithm 'good' is already registered by good-dist",
    ),
    "name twice": (module(**registering("algorithm", "twin", "twin")), "algorithm 'twin' is already registered"),
    "name that is no text": (
        module(**registering("algorithm", 7)),
        "the name 7, registered for algorithms, is no text",
    ),
    "empty name": (module(**registering("algorithm", " ")), "the name ' ', registered for algorithms, is no text"),
    "bad target": (module(**registering("algorithm", "x", target="Class")), "is not 'module:Class'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_leaves_only_a_report_with_its_error(install, case):
    plugin, error = BROKEN[case]
    after = module(**registering("sampler", "after"))
    loaded, reports = install(good=GOOD, broken=plugin, after=after)
    assert error in reports["broken"].error
    assert reports["broken"].provides == []
    assert reports["good"].error == reports["after"].error == ""
    assert [(entry.kind, entry.name) for entry in loaded.registry.entries()] == [
        ("algorithm", "good"),
        ("sampler", "after"),
    ]
    assert set(loaded.manager.get_plugins()) == {GOOD, after}
    loaded.manager.check_pending()


def test_an_interrupt_is_not_reported_as_a_broken_plugin(install):
    with pytest.raises(KeyboardInterrupt):
        install(broken=KeyboardInterrupt())


def test_a_second_entry_point_to_the_same_module_leaves_the_first_in_place(install):
    calls = []

    def listener(step):
        calls.append(step)

    shared = module(**registering("algorithm", "shared"), mamlbench_progress=listener)
    loaded, reports = install(first=shared, second=shared)
    assert reports["first"].error == ""
    assert reports["second"].error
    assert loaded.registry.names("algorithm") == ["shared"]
    assert list(loaded.notify("mamlbench_progress", spec=None, step=3, metrics={})) == []
    assert calls == [3]


def test_implementations_get_the_arguments_they_name_and_one_that_raises_stops_no_other(install):
    calls = []

    def all_arguments(spec, step, metrics):
        calls.append(("all", spec, step, metrics))

    def few_arguments(step):
        calls.append(("few", step))

    def broken():
        raise RuntimeError("disk full")

    loaded, _ = install(
        all=module(mamlbench_progress=all_arguments),
        bad=module(mamlbench_progress=broken),
        few=module(mamlbench_progress=few_arguments),
        other_hook=module(mamlbench_run_started=broken),
    )
    errors = list(loaded.notify("mamlbench_progress", spec="the spec", step=7, metrics={"loss": 0.5}))
    (error,) = errors
    assert error.startswith("bad-dist:bad: mamlbench_progress: RuntimeError: disk full (")
    assert error.endswith('raise RuntimeError("disk full"))'), "the source line is named"
    assert calls == [("few", 7), ("all", "the spec", 7, {"loss": 0.5})], (
        "the last registered is called first, as in pluggy"
    )


LOCAL = """
    import mamlbench
    from mamlbench.api import TaskSampler

    class Local(TaskSampler):
        pass

    @mamlbench.hookimpl
    def mamlbench_register_samplers(register):
        register("{name}", Local, summary="from a file")
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def test_a_local_file_is_a_plugin(install, tmp_path):
    install()
    path = write(tmp_path / "mine.py", LOCAL.format(name="local"))
    loaded = load_plugins([path])
    (report,) = loaded.reports
    assert (report.name, report.origin, report.error) == ("mine", str(path), "")
    assert report.provides == ["sampler local"]
    assert loaded.registry.load("sampler", "local").__name__ == "Local"
    assert loaded.files == (path,)


def test_two_local_files_with_the_same_name_are_two_modules(install, tmp_path):
    install()
    paths = [write(tmp_path / folder / "plugin.py", LOCAL.format(name=folder)) for folder in ("a", "b")]
    registry = load_plugins(paths).registry
    classes = [registry.load("sampler", name) for name in ("a", "b")]
    assert registry.names("sampler") == ["a", "b"]
    assert classes[0] is not classes[1]
    assert classes[0].__module__ in sys.modules


def test_a_local_file_is_found_from_its_relative_path(install, tmp_path, monkeypatch):
    install()
    path = write(tmp_path / "mine.py", LOCAL.format(name="local"))
    monkeypatch.chdir(tmp_path)
    assert load_plugins([path.relative_to(tmp_path)]).files == (path,)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import os\ndef (", r"SyntaxError: invalid syntax \(.*mine.py, line 2: def \("),
        ("raise RuntimeError('nothing works')", r"RuntimeError: nothing works \(.*mine.py, line 1: raise Runtime"),
        ("import sys; sys.exit(3)", r"SystemExit: 3 \(.*mine.py, line 1: import sys"),
        (LOCAL.format(name="good"), "sampler 'good' is already registered by good-dist"),
        (LOCAL.format(name="x").replace("_samplers", "_sampler"), "Did you mean 'mamlbench_register_samplers'"),
        (None, "There is no plugin file"),
    ],
    ids=["syntax", "raises", "exits", "taken", "misspelled", "missing"],
)
def test_a_broken_local_file_is_a_configuration_error(install, tmp_path, text, problem):
    install(good=module(**registering("sampler", "good")))
    path = tmp_path / "mine.py"
    if text is not None:
        write(path, text)
    before = set(sys.modules)
    with pytest.raises(ConfigError, match=problem) as caught:
        load_plugins([path])
    assert str(path) in str(caught.value)
    if problem.startswith(("Runtime", "System", "Syntax")):
        assert not [name for name in set(sys.modules) - before if "mine" in name]


def test_installed_plugins_are_found_by_the_metadata_of_their_distributions(tmp_path):
    """Real metadata: two distributions on the path, one of them broken, in a separate process."""
    write(tmp_path / "outside.py", LOCAL.format(name="outside"))
    write(tmp_path / "broken.py", "raise OSError('libmagic.so not found')")
    for name in ("outside", "broken"):
        info = tmp_path / f"{name}_dist-0.3.dist-info"
        write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: 0.3\n")
        write(info / "entry_points.txt", f"[mamlbench]\n{name} = {name}\n")
    code = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from mamlbench.plugin import load_plugins
        loaded = load_plugins()
        for report in loaded.reports:
            print("|".join([report.name, report.origin, report.version, report.error, ",".join(report.provides)]))
        assert "torch" in sys.modules  # outside.py imports mamlbench.api
        assert loaded.registry.load("sampler", "outside").__name__ == "Local"
    """
    process = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert "outside|outside-dist|0.3||sampler outside" in lines
    (failure,) = [line for line in lines if line.startswith("broken|broken-dist|0.3|")]
    assert "|OSError: libmagic.so not found (" in failure
    assert failure.endswith("broken.py, line 1: raise OSError('libmagic.so not found'))|")
    ours = [point.name for point in metadata.entry_points(group=PROJECT) if point.name.startswith("builtin-")]
    assert len(ours) > 5 and sum(line.startswith("builtin-") and "||" in line for line in lines) == len(ours)
