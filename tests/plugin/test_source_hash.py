"""The hash of plugins' code follows what they say, not where they lie."""

import pytest

from mamlbench.plugin import load_plugins
from mamlbench.plugin.source_hash import plugin_code


@pytest.fixture
def code(tmp_path):
    def code(text, folder="here", name="mine.py"):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return plugin_code(load_plugins([path]))

    return code


def test_an_edited_file_is_other_code(code):
    first = code("x = 1\n")
    assert len(first) == 16
    assert code("x = 1\n") == first == code("x = 1\n", "elsewhere")
    assert len({first, code("x = 2\n"), code("x = 1\n", name="other.py"), plugin_code(load_plugins())}) == 4


def test_a_listener_is_no_code_that_is_measured():
    plugins = load_plugins()
    before = plugin_code(plugins)
    plugins.manager.register(object(), name="a display")
    assert plugin_code(plugins) == before


def test_a_package_is_hashed_whole(monkeypatch, tmp_path):
    """The built-in plugins are modules of one package; a file that none of them is counts as well."""
    import mamlbench_plugins

    before = plugin_code(load_plugins())
    (tmp_path / "helper.py").write_text("helps = True\n")
    monkeypatch.setattr(mamlbench_plugins, "__path__", [*mamlbench_plugins.__path__, str(tmp_path)])
    assert plugin_code(load_plugins()) != before
