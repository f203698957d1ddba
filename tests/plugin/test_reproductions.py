"""Reproductions are read from the files of published numbers, and found by name."""

import pytest

from mamlbench.errors import ConfigError
from mamlbench.plugin.published_numbers import PublishedFile, read_published
from mamlbench.plugin.reproductions import find_reproduction, read_reproductions

TEXT = """
[[group]]
algorithm = "maml"
dataset = "omniglot"
source = "a report"
results = [
  { id = "ours/omniglot-5w1s-maml", ways = 5, shots = 1, score = 97.1 },
  { id = "ours/omniglot-5w5s-maml", ways = 5, shots = 5, score = 99.1 },
]
[[reproduction]]
margin = 1.0
reproduces = [
  { name = "ours/omniglot-5w1s", number = "ours/omniglot-5w1s-maml" },
  { name = "ours/omniglot-5w5s", number = "ours/omniglot-5w5s-maml" },
]
"""


def read(tmp_path, text):
    path = tmp_path / "numbers.toml"
    path.write_text(text)
    return read_reproductions([PublishedFile(path, "mine")])


def test_a_reproduction_comes_with_its_number(tmp_path):
    entries, problems = read(tmp_path, TEXT)
    assert not problems
    assert [(entry.name, number.score) for entry, number in entries] == [
        ("ours/omniglot-5w1s", 97.1),
        ("ours/omniglot-5w5s", 99.1),
    ]
    numbers, problems = read_published([PublishedFile(tmp_path / "numbers.toml", "mine")])
    assert len(numbers) == 2 and not problems


def test_numbers_and_reproductions_may_lie_in_two_files(tmp_path):
    numbers, reproductions = tmp_path / "numbers.toml", tmp_path / "again.toml"
    group, _, rest = TEXT.partition("[[reproduction]]")
    numbers.write_text(group)
    reproductions.write_text(f"[[reproduction]]{rest}")
    entries, problems = read_reproductions([PublishedFile(reproductions, "mine"), PublishedFile(numbers, "mine")])
    assert len(entries) == 2 and not problems


@pytest.mark.parametrize(
    ("old", "new", "problem", "left"),
    [
        ('number = "ours/omniglot-5w5s-maml"', 'number = "ours/omniglot-5w6s-maml"', "Did you mean 'ours/om", 1),
        ('name = "ours/omniglot-5w5s"', 'name = "ours/omniglot-5w1s"', "is used twice", 1),
        ("margin = 1.0", "margin = -1.0", "ours/omniglot-5w1s: margin: ", 0),
        ("reproduces =", "reproduce =", "cannot be read", 0),
        ("[[group]]", "[[group", "cannot be read", 0),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, old, new, problem, left):
    entries, problems = read(tmp_path, TEXT.replace(old, new))
    assert len(problems) == 1 and problem in problems[0] and len(entries) == left


def suggestion(tmp_path, name):
    entries, _ = read(tmp_path, TEXT.replace("margin = 1.0", 'margin = 1.0\nsystem = "someone/code"'))
    with pytest.raises(ConfigError) as raised:
        find_reproduction(name, entries)
    return str(raised.value)


def test_a_name_is_found_or_a_similar_one_suggested(tmp_path):
    entries, _ = read(tmp_path, TEXT)
    assert find_reproduction("ours/omniglot-5w5s", entries) == (entries[1], "")
    assert find_reproduction("ours/omniglot-5w5s:mean", entries) == (entries[1], "mean")
    assert find_reproduction("ours/omniglot-5w5s-maml", entries)[0] == entries[1], "the number's id is a name too"
    with pytest.raises(ConfigError, match="Did you mean 'ours/omniglot-5w5s'"):
        find_reproduction("ours/omniglot-5w55", entries)
    assert "did you mean 'someone/code'" in suggestion(tmp_path, "someone/cods").lower(), "a system is a name too"
    with pytest.raises(ConfigError, match="'mamlbench reproduce' lists"):
        find_reproduction("qqqq/zzzz", entries)


def test_a_number_with_several_reproductions_is_not_guessed(tmp_path):
    entries, _ = read(
        tmp_path, TEXT.replace('number = "ours/omniglot-5w5s-maml"', 'number = "ours/omniglot-5w1s-maml"')
    )
    with pytest.raises(ConfigError, match="several reproductions: ours/omniglot-5w1s, ours/omniglot-5w5s"):
        find_reproduction("ours/omniglot-5w1s-maml", entries)
