"""Preset files: what is written is read again, and mistakes are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import ConfigError
from mamlbench.run_spec import Preset, Tuned
from mamlbench.run_spec.preset_file import preset_file_text, read_preset_file, split_preset_name

values = (
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
    | st.none()
)
options = st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), values, max_size=5)


@given(options, options, st.text(max_size=8), st.integers(1, 10**9))
def test_presets_survive_a_file(tmp_path_factory, chosen, backbone, source, count):
    backbone = {name: value for name, value in backbone.items() if value is not None}
    preset = Preset(
        name="tuned-20",
        dataset="omniglot",
        ways=5,
        source=source,
        iterations=count,
        meta_batch_size=4,
        options=chosen,
        backbone_options=backbone,
        tuned=Tuned(trials=20, trial=3, score=0.5),
    )
    path = tmp_path_factory.mktemp("presets") / "presets.toml"
    path.write_text(preset_file_text([("mine", preset), ("other", preset)], "a\ncomment"), encoding="utf-8")
    assert read_preset_file(path, "mine") == [preset] == read_preset_file(path, "other")


@pytest.mark.parametrize(
    ("text", "file", "name"),
    [
        ("quick", None, "quick"),
        ("a/b.toml", "a/b.toml", ""),
        ("a/b.toml:default", "a/b.toml", "default"),
        ("C:/x.toml:tuned-20", "C:/x.toml", "tuned-20"),
        ("odd:name", None, "odd:name"),
    ],
)
def test_a_preset_is_a_name_or_a_file(text, file, name):
    split = split_preset_name(text)
    assert (split.file and split.file.as_posix(), split.name) == (file, name)


PRESET = '[[preset]]\nalgorithm = "maml"\nname = "mine"\niterations = 3\nmeta_batch_size = 2\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name = 3", "is no preset file"),
        ("preset = 3", "is no preset file"),
        (PRESET + "x = 1", "preset 1 has no setting 'x'"),
        (PRESET.replace("iterations", "iteratoins"), "Did you mean 'iterations'?"),
        (PRESET.replace("3", '"many"'), "iterations"),
        (PRESET, "has no preset for algorithm 'reptile', only for: maml"),
        ("[[preset", "cannot be read"),
        ("x = " + 50 * "[" + 50 * "]", "nested too deeply"),
        ("x = " + 100_000 * "[", "nested too deeply"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path, content, message):
    path = tmp_path / "presets.toml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_preset_file(path, "reptile")
    assert message in str(caught.value) and "presets.toml" in str(caught.value)


def test_a_file_that_is_missing_or_too_long_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="No such file"):
        read_preset_file(tmp_path / "none.toml", "maml")
    monkeypatch.setattr("mamlbench.run_spec.preset_file.MAX_PRESET_BYTES", 10)
    (tmp_path / "long.toml").write_text(PRESET)
    with pytest.raises(ConfigError, match="more than 10 bytes"):
        read_preset_file(tmp_path / "long.toml", "maml")
