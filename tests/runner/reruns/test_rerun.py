"""Alternating runs with the code of two revisions."""

import subprocess
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mamlbench
from mamlbench.errors import ConfigError
from mamlbench.plugin import load_plugins
from mamlbench.runner.reruns.git_revision import _folders, checked_out
from mamlbench.runner.reruns.rerun import CellSpecs, order_turns

sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(st.lists(sizes, min_size=1, max_size=4), st.integers(1, 6))
def test_every_cell_is_run_often_enough_with_both_sides_side_by_side(cells, repeats):
    matched = [
        CellSpecs([f"{index} base {seed}" for seed in range(left)], [f"{index} head {seed}" for seed in range(right)])
        for index, (left, right) in enumerate(cells)
    ]
    ordered = order_turns(matched, repeats)
    for one, other in zip(ordered[::2], ordered[1::2], strict=True):
        assert {one.side, other.side} == {"BASE", "HEAD"} and one.spec.split()[0] == other.spec.split()[0]
    for index, (left, right) in enumerate(cells):
        of_cell = [turn for turn in ordered if turn.spec.startswith(f"{index} ")]
        assert len(of_cell) == 2 * max(repeats, left, right)
        assert {turn.spec for turn in of_cell} == {*matched[index].base, *matched[index].head}
        firsts = [turn.side for turn in of_cell[::2]]
        assert all(before != after for before, after in pairwise(firsts)), "the sides alternate in being the first"


def git(folder, *arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository with a plugin, and one more commit that changed it."""
    git(tmp_path, "init", "-q", "-b", "trunk")
    for text in ("# first\n", "# second\n"):
        (tmp_path / "mine.py").write_text(text)
        git(tmp_path, "add", "mine.py")
        git(tmp_path, "commit", "-q", "-m", text)
    return tmp_path


def test_a_plugin_of_the_repository_is_taken_from_the_revision(repository):
    plugins = load_plugins([repository / "mine.py"])
    with checked_out("trunk~1", plugins, repository) as (base, head):
        (file,) = base.files
        assert file.read_text() == "# first\n" and head.files == (repository / "mine.py",)
        assert (base.folders, head.folders) == ((), ()), "the harness is not of this repository"
        assert "tree" in git(repository, "worktree", "list")
    assert not file.exists() and "tree" not in git(repository, "worktree", "list")


def test_the_work_tree_is_removed_if_an_exception_is_raised(repository):
    with pytest.raises(KeyboardInterrupt), checked_out("trunk", load_plugins([repository / "mine.py"]), repository):
        raise KeyboardInterrupt
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_the_harness_itself_is_taken_from_the_revision(repository, monkeypatch):
    """As in a checkout of this repository: a package in a subfolder, imported from there."""
    package = repository / "src" / "mamlbench"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(repository, "add", "src")
    git(repository, "commit", "-q", "-m", "package")
    monkeypatch.setattr(mamlbench, "__file__", str(package / "__init__.py"))
    with checked_out("trunk", load_plugins(), repository) as (base, head):
        assert head.folders == (repository / "src",)
        (folder,) = base.folders
        assert (folder / "mamlbench" / "__init__.py").is_file() and folder != repository / "src"
    nothing = pytest.raises(ConfigError, match="No loaded code comes from the repository")
    with nothing, checked_out("trunk~1", load_plugins(), repository):  # there was no such folder
        pass


def test_folders_of_installed_packages_are_those_on_the_path():
    plugins = load_plugins()
    packages = {"mamlbench"} | {module.__name__.partition(".")[0] for module in plugins.manager.get_plugins()}
    folders = _folders(plugins)
    assert all(any((folder / package).is_dir() for folder in folders) for package in packages)
    assert all(any((folder / package).is_dir() for package in packages) for folder in folders)


@pytest.mark.parametrize(
    ("revision", "message"),
    [("trunk~9", "'trunk~9' is no revision"), ("--all", "is no revision"), ("trunk", "No loaded code")],
)
def test_revisions_that_cannot_be_rerun_are_explained(repository, revision, message):
    with pytest.raises(ConfigError, match=message), checked_out(revision, load_plugins(), repository):
        pass


def test_a_plugin_that_the_revision_lacks_is_named(repository):
    (repository / "new.py").write_text("")
    missing = pytest.raises(ConfigError, match=r"'trunk' has no plugin 'new.py'")
    with missing, checked_out("trunk", load_plugins([repository / "new.py"]), repository):
        pass


def test_outside_a_repository_the_message_is_that_of_git(tmp_path):
    with pytest.raises(ConfigError, match="git: not a git repository"), checked_out("x", load_plugins(), tmp_path):
        pass
