"""What the tutorial and the how-tos show is what happens: their files are written, their commands are run."""

import multiprocessing
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mamlbench.cli.main import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "tutorial.md", DOCS / "hooks.md", *sorted((DOCS / "how-to").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

TINY = [
    "--ways",
    "3",
    "--queries",
    "2",
    "--test-episodes",
    "20",
    "--validation-episodes",
    "10",
    "--meta-batch-size",
    "4",
    "--iterations",
    "3",
    "-o",
    "backbone.width=4",
    "-q",
]
"""Added to each run; of an option given twice the last counts."""


def blocks(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def tiny(command, toy_plugin):
    """The arguments of a command, made small: three iterations on a toy data set in place of a large one."""
    arguments = shlex.split(command)[1:]
    if arguments[0] != "run":
        return arguments
    small = [*arguments, *TINY]
    if "robust-sinusoid" in arguments:  # no classes, and another network
        return [*small[:-3], "-q", "--ways", "1"]
    if "birds" not in arguments:
        small += ["--plugin", str(toy_plugin), "--dataset", "toy"]
    if "--seeds" in small:  # several seeds and algorithms, each in a process of its own, are the other command's
        small[small.index("--seeds") + 1] = "1"
        del small[small.index("maml") - 1 : small.index("maml") + 1]
    return small


def birds(folder):
    """Thirty classes of six small images: more than three in each split."""
    random = np.random.default_rng(0)
    for name in (f"species {number}" for number in range(30)):
        (folder / "data" / "birds" / name).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, 255, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "data" / "birds" / name / f"{number}.png")


@pytest.fixture
def forks_for_spawns(monkeypatch, start_method):
    """The processes of a launcher on a page are forked from one that has imported torch already."""
    context = multiprocessing.get_context(start_method)
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: context)


@pytest.mark.usefixtures("forks_for_spawns")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(project, toy_plugin, run_forked, page):
    birds(project.path)
    files, commands = [], []
    for language, text in blocks(page):
        if language == "python":
            (name,) = re.findall(r"^# (\w+\.py)$", text.splitlines()[0])
            (project.path / name).write_text(text)
            files.append(name)
        elif language == "sh":
            commands += [line for line in text.splitlines() if line.startswith("mamlbench ")]
    assert files and len(commands) >= 2
    for command in commands:
        project.run(*tiny(command, toy_plugin))
    assert all(record.status == "finished" for record in project.records())
    assert {record.spec.algorithm.name for record in project.records()} <= {
        "maml",
        "fomaml",
        "nearest-mean",
        "proximal",
    }
    for test in (name for name in files if name.startswith("test_")):
        done = run_forked(f"import pytest, sys; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {test!r}]))")
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_tutorials_method_takes_one_file_of_at_most_60_lines():
    (code,) = [text for language, text in blocks(PAGES[0]) if text.startswith("# proximal.py")]
    assert len(code.splitlines()) <= 60


def test_the_tutorials_files_lint(tmp_path):
    for page in PAGES:
        for language, text in blocks(page):
            if language == "python":
                (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "E,F,W,B",
        "--line-length",
        "120",
        tmp_path,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "page", [*PAGES, DOCS / "explanation.md", DOCS.parent / "README.md"], ids=lambda page: page.stem
)
def test_every_link_to_a_file_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_shown_exists(page):
    shown = re.findall(
        r"^mamlbench ([a-z]+)", "\n".join(text for language, text in blocks(page) if language == "sh"), re.M
    )
    assert shown and set(shown) <= set(COMMANDS)
