"""Code, documentation and file names use plain words in US spelling: a list of those that must not come back.

A word is looked for in prose and inside identifiers alike: ``was_told`` and ``WasTold`` hold "told".
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PRIVATE = {
    "said": "written, stated, declared; or name what was said",
    "told|tells?": "passes, reports, emits, names; for telling apart: distinguishes",
    "at hand": "available",
    "surroundings": "environment",
    "hangs? on|hung on|hanging on": "depends on",
    "anew": "again",
    "strangers?": "another package's, a user's",
    "mend|mends|mended|mending": "fix, repair",
    "luggage": "extra state",
    "pay|pays|paid": "is worth its cost, is faster",
    "rooms": "packages",
    "who computes": "name the engine or the kernels",
    "nobody has written": "not implemented",
    "plugged": "registered by a plugin",
}
"""Patterns of words and phrases that a newcomer stops at, and what to write instead."""

BRITISH = {
    r"analys(?:e|ed|ing)": "analyze",
    r"(?:character|custom|equal|factor|final|general|initial|local|material|maxim|memor|minim|modern|normal|optim|organ|"
    r"parallel|penal|quant|random|real|recogn|regular|serial|special|standard|summar|token|util|vector|visual)is"
    r"(?:e|ed|er|ers|es|ing|ation|ations)": "-ize, -ization",
    "(?:un)?(?:label|model)l(?:ed|ing)": "labeled, modeled",
    "artefacts?": "artifact",
    r"(?:be|mis)?haviours?\w*": "behavior",
    "catalogues?": "catalog",
    "(?:re)?centre[ds]?": "center",
    r"(?:\w*colou?|fav|hon|neighb)our\w*|colour\w*|discolour\w*": "color, favor, honor, neighbor",
    "defence": "defense",
    "fulfil": "fulfill",
    r"grey\w*": "gray",
    "judgements?": "judgment",
    "learnt|misspelt|spelt": "learned, misspelled, spelled",
    "licences?": "license",
    "programmes?": "program",
}
"""British spellings, and how Python's libraries spell it."""

NAMES = {"each", "found", "given", "kept", "wanted"}
"""Not names of variables or arguments: a variable says what it holds."""

BANNED = {
    re.compile(rf"\b(?:{pattern})\b".replace(" ", r"\s+")): instead for pattern, instead in (PRIVATE | BRITISH).items()
}
ANY = re.compile("|".join(pattern.pattern for pattern in BANNED))

FOLDERS = ("mamlbench", "plugins", "tests", "benchmarks", "docs", ".github", ".ci")
OTHERS = ("*.md", "*.toml", "*.yml", "*.ini", "*.cff", ".gitignore", "results/*.md", "results/*.toml")
KINDS = {".py", ".md", ".toml", ".yml", ".yaml", ".txt", ".c", ".h", ".html", ".css", ".ini", ".cff", ".ipynb", ""}
BUILT = {"__pycache__", "build", "dist", ".mypy_cache", ".ruff_cache"}

EXEMPT = {
    "tests/test_words.py": "the list itself",
    "mamlbench/record/schema_1.py": "the names that records of version 1 have",
    "tests/record/data": "records of version 1",
    "tests/record/test_old_records.py": "the names that records of version 1 have",
    "plugins/mamlbench_plugins/published": "titles of papers, quoted",
    "LICENSE": "the text of the license",
}
ALLOWED = (".tell()", '"unlabelled"')  # a file's position; the British name of a folder, accepted as input


def files():
    """Every text file of the project, by its path from the root; what a run or a build wrote is left out."""
    in_folders = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    others = [path for pattern in OTHERS for path in ROOT.glob(pattern)]
    for path in (*in_folders, *others):
        relative = path.relative_to(ROOT)
        if path.is_file() and path.suffix in KINDS and not BUILT & set(relative.parts):
            yield relative.as_posix()


def is_in(name, places):
    """Whether a file is one of some files, or lies in one of some folders."""
    return any(name == place or name.startswith(f"{place}/") for place in places)


FILES = sorted(name for name in files() if not is_in(name, EXEMPT))


@cache
def plain(text):
    """Text in which identifiers fall apart into words: ``at_hand`` and ``AtHand`` become "at hand"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", text).lower()


def matches(text):
    """Each banned word in a text, with what to write instead."""
    words = plain(text)
    for allowed in ALLOWED:
        words = words.replace(allowed, "")
    if ANY.search(words):
        for pattern, instead in BANNED.items():
            for match in pattern.finditer(words):
                yield match.group(), instead


def test_the_files_are_found():
    assert {"README.md", "mamlbench/api/__init__.py", "tests/conftest.py", "docs/tutorial.md", "tox.ini"} <= set(FILES)
    assert not set(EXEMPT) & set(FILES)
    assert all((ROOT / name).exists() for name in EXEMPT)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def was_told(x): ...", ["told"]),
        ("class AtHand:", ["at hand"]),
        ("it hangs\n on the seed", ["hangs\n on"]),
        ("normalisation of Colours, labelled_batch", ["normalisation", "labelled", "colours"]),
        ("recommended, amended, intellect, saidst, `file.tell()`, normalized, color, license, program", []),
    ],
)
def test_a_word_is_found_in_prose_and_in_identifiers(text, words):
    assert [word for word, _ in matches(text)] == words


@pytest.mark.parametrize("name", FILES)
def test_no_banned_word(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    report = [f"{name}: '{word}': {instead}" for word, instead in matches(text)]
    if report:  # by line, where a phrase is not broken over two lines
        lines = enumerate(text.splitlines(), start=1)
        report = [
            f"{name}:{number}: '{w}': {instead}" for number, line in lines for w, instead in matches(line)
        ] or report
    report += [f"{name}: its name holds '{word}': {instead}" for word, instead in matches(name)]
    assert not report, "\n".join(report)


def variable_names(tree):
    """Names that a module binds: assignments, loops, arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".py")])
def test_a_variable_says_what_it_holds(name):
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    report = [f"{name}:{line}: {variable}" for variable, line in variable_names(tree) if variable in NAMES]
    assert not report, "\n".join(report)
