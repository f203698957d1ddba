"""The hash of plugins' code depends on their text, not on their folder."""

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
