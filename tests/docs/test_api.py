"""docs/api.json lists the public API; if it changes, the changelog must name the change."""

import importlib.util
import json
from pathlib import Path

import click
import pytest

import mamlbench.api
from mamlbench.cli.commands import env
from mamlbench.plugin import hookspecs as hooks

ROOT = Path(__file__).parents[2]
HINT = "name it in CHANGELOG.md, in the section that is not released, then run python docs/make_api.py"


@pytest.fixture(scope="module")
def make_api():
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs" / "make_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def actual(make_api):
    """The public API as imported."""
    return make_api.public_api()


@pytest.fixture(scope="module")
def known():
    return json.loads((ROOT / "docs" / "api.json").read_text(encoding="utf-8"))["api"]


def test_the_public_api_is_that_of_the_snapshot(make_api, known, actual):
    changes = make_api.differences(known, actual)
    assert not changes, f"the public API has changed: {HINT}\n" + "\n".join(changes)


def test_the_snapshot_holds_all_that_is_public(known):
    for name in (
        "mamlbench.run",
        "mamlbench.api.ImageSplit.to",
        "mamlbench.api.Algorithm.vectorized",
        "mamlbench.testing.ensure",
        "mamlbench.testing.pytest.Project.run",
        "hook mamlbench_evaluated",
        "mamlbench run --engine",
        "mamlbench data verify name",
        "algorithm maml: inner_lr",
        "dataset omniglot",
        "exit code 5",
        "mamlbench.record.RunRecord.status",
        "mamlbench.run_spec.RunRequest.iterations",
        "check of algorithm: gradient order is correct",
    ):
        assert name in known
    assert {f"mamlbench.api.{name}" for name in mamlbench.api.__all__} <= set(known)
    assert "unannotated" not in " ".join(line for name, line in known.items() if name.startswith("mamlbench.api."))


def other_argument(patch):
    changed = lambda items, title, count: items  # noqa: E731
    changed.__module__ = "mamlbench.data.image_decoding"
    patch.setattr(mamlbench.api, "with_progress", changed)
    return "changed: mamlbench.api.with_progress", "with_progress"


def other_method(patch):
    def to(self, device: int) -> int: ...

    patch.setattr(mamlbench.api.ImageSplit, "to", to)
    return "changed: mamlbench.api.ImageSplit.to", "ImageSplit"


def name_gone(patch):
    patch.setattr(mamlbench.api, "__all__", [name for name in mamlbench.api.__all__ if name != "hash64"])
    return "gone: mamlbench.api.hash64", "hash64"


def new_hook(patch):
    def mamlbench_tea(cups: int) -> None: ...

    patch.setattr(hooks, "mamlbench_tea", mamlbench_tea, raising=False)
    return "new: hook mamlbench_tea (cups: int) -> None", "mamlbench_tea"


def new_option(patch):
    patch.setattr(env.command, "params", [*env.command.params, click.Option(["--color"], default="red")])
    return "new: mamlbench env --color option text = 'red'", "--color"


def other_default(patch):
    from mamlbench_plugins.algorithms.maml import MAML

    class Options(MAML.Options):
        inner_lr: float = 0.5

    patch.setattr(MAML, "Options", Options)
    return "changed: algorithm maml: inner_lr", "inner_lr"


@pytest.mark.parametrize("change", [other_argument, other_method, name_gone, new_hook, new_option, other_default])
def test_a_change_is_noticed_and_refused_until_the_changelog_names_it(make_api, actual, monkeypatch, change):
    line, word = change(monkeypatch)
    api = make_api.public_api()
    assert line in "\n".join(make_api.differences(actual, api))
    before = make_api.snapshot(actual, "- What there was.")
    assert "no new entry" in make_api.refusals(before, api, "- What there was.")[0]
    assert "does not name" in make_api.refusals(before, api, f"- What there was.\n- {word} has changed.")[0]
    assert make_api.refusals(before, api, f"- What there was.\n- `{word}` has changed.") == []
    assert make_api.refusals(make_api.snapshot(api, ""), api, "- Anything.") == []


def test_the_script_refuses_and_writes(make_api, known, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(make_api, "SNAPSHOT", tmp_path / "api.json")
    monkeypatch.setattr(make_api, "CHANGELOG", tmp_path / "CHANGELOG.md")
    monkeypatch.setattr(make_api, "public_api", lambda: {**known, "hook mamlbench_tea": "(cups: int) -> None"})
    log = "# Changelog\n\n## Unreleased\n\n- Cups.\n{}\n## 0.0.1\n\n- Before `mamlbench_tea`.\n"
    make_api.CHANGELOG.write_text(log.format(""))
    make_api.SNAPSHOT.write_text(json.dumps(make_api.snapshot(known, make_api.unreleased())))
    with pytest.raises(SystemExit, match="1"):
        make_api.main()
    assert "no new entry" in capsys.readouterr().err
    assert json.loads(make_api.SNAPSHOT.read_text())["api"] == known
    make_api.CHANGELOG.write_text(log.format("- Hook `mamlbench_tea`.\n"))
    make_api.main()
    assert "hook mamlbench_tea" in json.loads(make_api.SNAPSHOT.read_text())["api"]


@pytest.mark.parametrize("heading", ["## Unreleased", "## 0.1.0 (unreleased)"])
def test_before_the_first_release_no_change_needs_an_entry(make_api, known, monkeypatch, tmp_path, heading):
    monkeypatch.setattr(make_api, "SNAPSHOT", tmp_path / "api.json")
    monkeypatch.setattr(make_api, "CHANGELOG", tmp_path / "CHANGELOG.md")
    monkeypatch.setattr(make_api, "public_api", lambda: {**known, "hook mamlbench_tea": "(cups: int) -> None"})
    make_api.CHANGELOG.write_text(f"# Changelog\n\n{heading}\n\n- Cups.\n")
    assert make_api.unreleased().endswith("- Cups.\n")
    make_api.SNAPSHOT.write_text(json.dumps(make_api.snapshot(known, make_api.unreleased())))
    make_api.main()
    assert "hook mamlbench_tea" in json.loads(make_api.SNAPSHOT.read_text())["api"]
