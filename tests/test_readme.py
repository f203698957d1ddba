"""What the README shows is what happens."""

import re
from pathlib import Path

from mamlbench.cli.main import COMMANDS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_it_can_be_read_to_its_end():
    """Under 1,000 words, and a picture and the first command before the first half of them."""
    assert len(README.split()) < 1000
    beginning = " ".join(README.split()[:300])
    assert "![" in beginning
    assert "mamlbench run --algo maml" in beginning


def test_every_folder_it_names_is_there():
    folders = re.findall(r"`((?:mamlbench|plugins|docs)/[\w/]*)`", README)
    assert len(folders) > 10
    assert not [folder for folder in folders if not (Path(__file__).parents[1] / folder).is_dir()]
    ships = README.partition("| `plugins/mamlbench_plugins/` | what ships: ")[2].partition(" |")[0]
    plugins = (Path(__file__).parents[1] / "plugins" / "mamlbench_plugins").glob("*/__init__.py")
    assert {path.parent.name for path in plugins} == set(re.findall(r"`(\w+)`", ships))


def test_the_python_example_runs(tmp_path, prepared_cache, run_forked):
    (code,) = [block for block in blocks("python") if "mamlbench.run(" in block]
    fewer = code.replace("test_episodes=100", "test_episodes=20, validation_episodes=20")
    assert fewer != code
    done = run_forked(fewer, tmp_path, MAMLBENCH_CACHE=str(prepared_cache))
    assert done.returncode == 0, done.stderr
    assert 0.2 < float(done.stdout.splitlines()[0]) <= 1 and "fomaml" in done.stdout


def test_the_plugin_runs(project, toy_plugin):
    (code,) = [block for block in blocks("python") if block.startswith("# ")]
    (name,) = re.findall(r"^# (\w+)\.py\n", code)
    project.write(**{name: code})
    (command,) = [line for block in blocks("sh") for line in block.splitlines() if f"--plugin {name}.py" in line]
    tiny = "--dataset toy --ways 3 --test-episodes 20 --validation-episodes 10 --iterations 5 --meta-batch-size 4"
    arguments = [*command.split()[1:], "--plugin", str(toy_plugin), *tiny.split(), "-o", "backbone.width=8"]
    out = project.run(*arguments).out
    assert f"{name}-maml" in out and "3-way 1-shot" in out


def test_every_command_shown_exists():
    shown = set(re.findall(r"\bmamlbench ([a-z]+)\b", "\n".join(blocks("sh"))))
    assert shown <= set(COMMANDS) and {"run", "evaluate", "report", "info"} <= shown


def test_the_installation_is_what_ci_does():
    script = (Path(__file__).parents[1] / ".ci" / "run").read_text()
    for part in ("-m venv .venv-tox", ".venv-tox/bin/pip install tox", ".venv-tox/bin/tox"):
        assert part in README and part in script
