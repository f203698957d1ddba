"""mamlbench.toml and the environment variables."""

from pathlib import Path

import pytest

from mamlbench.errors import ConfigError
from mamlbench.user_config import UserConfig, cache_folder, data_folders, find_user_config, folders, plugin_files


def test_without_a_file_everything_is_empty(tmp_path):
    assert find_user_config(tmp_path) == UserConfig()


def test_the_nearest_file_above_is_read_and_its_paths_start_there(tmp_path):
    (tmp_path / "mamlbench.toml").write_text('data_dir = "data"\nresults_dir = "/elsewhere"\nplugins = ["mine.py"]\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    config = find_user_config(below)
    assert config == UserConfig(tmp_path / "data", Path("/elsewhere"), (tmp_path / "mine.py",))


@pytest.mark.parametrize(
    "text, message",
    [
        ('datadir = "x"', "has no key 'datadir'. Did you mean 'data_dir'?"),
        ('data_dir = 3\nplugin = ["x"]', "has no key 'plugin'. Did you mean 'plugins'?"),
        ('data_dir = 3\nplugin = ["x"]', "key 'data_dir': "),
        ("data_dir = ", "cannot be read: Invalid value (at end of document)"),
        ("plugins = [1]", "key 'plugins.0'"),
        ("x = " + "[" * 5000, "cannot be read: lists and tables are nested too deeply"),
        ("#" * 70_000, "cannot be read: it has more than 65,536 bytes"),
    ],
)
def test_every_mistake_in_the_file_is_reported(tmp_path, text, message):
    (tmp_path / "mamlbench.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        find_user_config(tmp_path)
    assert message in str(caught.value) and str(tmp_path / "mamlbench.toml") in str(caught.value)


def test_data_folders_come_from_flag_then_variable_then_file(monkeypatch):
    config = UserConfig(data_dir=Path("/from/file"))
    monkeypatch.delenv("MAMLBENCH_DATA", raising=False)
    assert data_folders(None, config) == (("data_dir in mamlbench.toml", Path("/from/file")),)
    monkeypatch.setenv("MAMLBENCH_DATA", "/from/variable")
    assert data_folders(Path("/from/flag"), config) == (
        ("--data-dir", Path("/from/flag")),
        ("MAMLBENCH_DATA", Path("/from/variable")),
        ("data_dir in mamlbench.toml", Path("/from/file")),
    )
    assert data_folders(None, UserConfig()) == (("MAMLBENCH_DATA", Path("/from/variable")),)


def test_the_cache_is_named_by_the_variable_or_the_platform(monkeypatch):
    monkeypatch.setenv("MAMLBENCH_CACHE", "~/cached")
    assert cache_folder() == Path.home() / "cached"
    monkeypatch.delenv("MAMLBENCH_CACHE")
    assert cache_folder().name == "mamlbench"


def test_the_results_folder_comes_from_flag_then_file(monkeypatch):
    monkeypatch.delenv("MAMLBENCH_DATA", raising=False)
    assert folders(UserConfig()).results == Path("results")
    assert folders(UserConfig(results_dir=Path("/p"))).results == Path("/p")
    assert folders(UserConfig(results_dir=Path("/p")), results_dir=Path("/f")).results == Path("/f")


def test_a_plugin_named_twice_is_loaded_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = UserConfig(plugins=(tmp_path / "a.py",))
    assert plugin_files(config, [Path("a.py"), Path("b.py")]) == (tmp_path / "a.py", tmp_path / "b.py")
