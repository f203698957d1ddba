"""The workflows and the action: valid for GitHub, safe, and calling nothing that the command line does not have."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from mamlbench.cli.main import cli
from mamlbench.cli.session import Session

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

# Stands in for `mamlbench` (and for python and pip) when the action's steps are run: it notes how it was called.
STAND_IN = """#!{python} -IS
import json, os, sys
from pathlib import Path
call = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(call) + "\\n")
def write(folder):
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{{\\n "status": "' + os.environ["STATUS_OF_HEAD"] + '"\\n}}')
if "suite" in call:
    write(Path(call[-1]))
    sys.exit(int(os.environ["SUITE_ENDS"]))
if "compare" in call:
    if "--rerun-dir" in call:
        write(Path(call[call.index("--rerun-dir") + 1]) / "head")
    print(f"table of {{call[call.index('--format') + 1]}}")
    sys.exit(int(os.environ["VERDICT"]))
if call[0] == "gh" and "--paginate" in call:
    sys.stdout.write(os.environ["COMMENTS"])
    sys.exit(int(os.environ["GH_ENDS"]))
"""


@pytest.mark.parametrize(
    ("schema", "files"), [("github-workflows", WORKFLOWS), ("github-actions", [ROOT / "action.yml"])]
)
def test_workflows_are_valid(schema, files):
    command = [sys.executable, "-P", "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def scripts():
    jobs = [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()]
    steps = [*ACTION["runs"]["steps"], *(step for job in jobs for step in job["steps"])]
    return [step["run"] for step in steps if "run" in step]


def test_no_expression_is_pasted_into_a_script():
    """An input could otherwise say any command: scripts get what they need from the environment."""
    assert len(scripts()) >= 6
    assert not [script for script in scripts() if "${{" in script]


def test_ci_runs_the_command_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = [script for script in scripts() if script.endswith("bin/tox")]
    assert command in readme


def test_every_input_given_by_a_workflow_is_one_of_the_action():
    used = re.findall(r"inputs\.([\w-]+)", json.dumps(ACTION))
    assert set(used) == set(ACTION["inputs"])
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            used = [name for step in job["steps"] if step.get("uses") == "./" for name in step["with"]]
            assert set(used) <= set(ACTION["inputs"])


EVENT = {
    "github.action_path": "/actions/mamlbench",
    "github.repository": "someone/theirs",
    "github.event.pull_request.number": "7",
    "github.token": "a token",
}


def filled(text, values):
    """A text of the action with its expressions replaced."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: values.get(match[1], ""), text)


def applies(step, values, failed):
    """Whether a step runs: the conditions of the action are clauses joined by ``&&``."""
    clauses = step.get("if", "success()").split(" && ")
    if failed and "always()" not in clauses:
        return False
    tests = [clause.split(" ") for clause in clauses if "()" not in clause]
    return all((values.get(name, "") == text.strip("'")) is (operator == "==") for name, operator, text in tests)


@pytest.fixture
def act(tmp_path):
    """Run the action's steps with stand-ins for the programs: ``act(verdict, **inputs)`` gives status and calls."""
    for folder in ("bin", "temp/mamlbench-venv/bin", "work"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("mamlbench", "pip", "python", "gh"):
            stand_in = tmp_path / folder / name
            stand_in.write_text(STAND_IN.format(python=sys.executable))
            stand_in.chmod(0o755)

    def act(verdict=0, event="push", stand_in=(), **inputs):
        temp, outputs = tmp_path / "temp", tmp_path / "outputs"
        values = {f"inputs.{name}": entry.get("default", "") for name, entry in ACTION["inputs"].items()}
        values |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        values |= {**EVENT, "github.event_name": event}
        status = 0
        for step in ACTION["runs"]["steps"]:
            if "run" not in step or not applies(step, values, status):
                continue
            outputs.write_text("")
            environment = {
                "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
                "RUNNER_TEMP": str(temp),
                "VERDICT": str(verdict),
                "SUITE_ENDS": "0",
                "STATUS_OF_HEAD": "finished",
                "COMMENTS": "",
                "GH_ENDS": "0",
                "GITHUB_OUTPUT": str(outputs),
                "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
                "GITHUB_WORKSPACE": str(tmp_path / "work"),
                "CALLS": str(tmp_path / "calls"),
                **dict(stand_in),
            }
            variables = {name: filled(text, values) for name, text in step.get("env", {}).items()}
            if "ACTION" in variables:
                variables["ACTION"] = str(ROOT)
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]  # as GitHub runs it
            done = subprocess.run(
                command,
                cwd=tmp_path / "work",
                env={**environment, **variables},
                capture_output=True,
                text=True,
                check=False,
            )
            status = status or done.returncode
            assert not done.stderr, done.stderr
            written = re.findall(r"(\w+)=(.*)", outputs.read_text())
            values |= {f"steps.{step['id']}.outputs.{name}": value for name, value in written if "id" in step}
        calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
        (tmp_path / "calls").unlink()
        act.others = [call for call in calls if call[0] != "mamlbench"]
        return status, [call[1:] for call in calls if call[0] == "mamlbench"]

    return act


needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")


@needs_bash
@pytest.mark.parametrize("verdict", [0, 1, 5])
def test_the_action_ends_with_the_verdict_after_all_results_are_uploaded(act, tmp_path, verdict):
    status, calls = act(verdict, fail="accuracy:-1pp\ndevice_seconds:+10%\n")
    assert status == verdict
    assert [call[0] for call in calls] == ["suite", "compare", "compare", "report"]
    assert calls[0][1] == "results/reference.toml"
    assert calls[1][1:3] == ["results/reference", str(tmp_path / "temp" / "mamlbench" / "head")]
    assert [call[call.index("--fail") + 1 :][:3] for call in calls[1:3]] == 2 * [
        ["accuracy:-1pp", "--fail", "device_seconds:+10%"]
    ]
    assert (tmp_path / "summary").read_text() == "table of md\n"
    assert (tmp_path / "temp" / "mamlbench" / "benchmark.json").read_text() == "table of benchmark\n"


@needs_bash
@pytest.mark.parametrize(("verdict", "expected"), [(0, 0), (1, 1), (4, 1), (5, 0)])
def test_only_an_undecided_gate_can_be_a_warning(act, verdict, expected):
    assert act(verdict, undecided="warn")[0] == expected


@needs_bash
def test_the_action_runs_head_once_in_turns_with_the_base_revision(act, tmp_path):
    status, calls = act(verdict=5, base_revision="abc123", suite="mine.toml", fail="milliseconds:+10%", repeats="7")
    assert status == 5
    assert [call[0] for call in calls] == ["compare", "compare", "report"], "no run but those of the first comparison"
    folder = tmp_path / "temp" / "mamlbench"
    assert calls[0][1:] == [
        "abc123",
        "mine.toml",
        "--rerun-base",
        "--repeats",
        "7",
        "--rerun-dir",
        str(folder),
        "--fail",
        "milliseconds:+10%",
        "--format",
        "md",
    ]
    assert calls[1][1:3] == [str(folder / side) for side in ("base", "head")]
    assert "--rerun-base" not in calls[1], "it is a second look at the same runs"


@needs_bash
def test_mamlbench_comes_from_the_action_and_the_callers_packages_beside_it(act):
    act(install="--editable=.\n\n./plugins/mine[extra]\n")
    venv, install = (call for call in act.others if call[0] in ("python", "pip"))
    assert venv[1:3] == ["-m", "venv"]
    assert install == ["pip", "install", f"--editable={ROOT}", "--editable=.", "./plugins/mine[extra]"]
    steps = {step.get("uses", "").partition("@")[0]: step for step in ACTION["runs"]["steps"]}
    assert steps["actions/cache"]["with"]["path"] == "${{ steps.cache.outputs.folder }}"
    (installing,) = [step for step in ACTION["runs"]["steps"] if step.get("name") == "Install"]
    assert installing["env"]["ACTION"] == "${{ github.action_path }}"
    assert installing["env"]["PIP_CACHE_DIR"] == "${{ steps.cache.outputs.folder }}"


@needs_bash
@pytest.mark.parametrize(
    ("inputs", "stand_in"),
    [({}, {"SUITE_ENDS": "6"}), ({"base_revision": "abc123"}, {"STATUS_OF_HEAD": "failed"})],
    ids=["the suite's exit code", "a record"],
)
@pytest.mark.parametrize(("verdict", "expected"), [(0, 6), (1, 1), (5, 6)])
def test_a_cell_that_failed_is_compared_and_reported_and_fails_the_job(act, inputs, stand_in, verdict, expected):
    status, calls = act(verdict, stand_in=stand_in, undecided="warn", **inputs)
    assert status == expected
    assert [call[0] for call in calls][-3:] == ["compare", "compare", "report"]


@needs_bash
def test_a_suite_that_cannot_be_read_ends_the_job_at_once(act):
    status, calls = act(stand_in={"SUITE_ENDS": "4"})
    assert status == 4 and [call[0] for call in calls] == ["suite"]


MARK = "<!-- mamlbench: mamlbench -->"


@needs_bash
@pytest.mark.parametrize(
    ("comments", "method", "path"),
    [
        (f"11\tLooks good\n12\t{MARK}\n13\t{MARK} more\n14\t{MARK}\n", "PATCH", "issues/comments/12"),
        ("11\tLooks good\n", "POST", "issues/7/comments"),
        ("", "POST", "issues/7/comments"),
    ],
)
def test_a_pull_request_has_one_comment(act, tmp_path, comments, method, path):
    status, _ = act(1, event="pull_request", comment="true", stand_in={"COMMENTS": comments})
    assert status == 1
    look, post = (call for call in act.others if call[0] == "gh")
    assert look[1:4] == ["api", "--paginate", "repos/someone/theirs/issues/7/comments"]
    assert post[post.index("--method") + 1 :][:2] == [method, f"repos/someone/theirs/{path}"]
    text = (tmp_path / "temp" / "mamlbench" / "comment.md").read_text()
    assert text.splitlines()[:2] == [MARK, "table of md"]
    assert post[-1] == f"body=@{tmp_path / 'temp' / 'mamlbench' / 'comment.md'}"


@needs_bash
def test_a_comment_is_asked_for_and_no_reason_to_fail(act):
    for event, comment in (("pull_request", "false"), ("push", "true")):
        act(event=event, comment=comment)
        assert not [call for call in act.others if call[0] == "gh"]
    status, _ = act(event="pull_request", comment="true", stand_in={"GH_ENDS": "1"})
    assert status == 0 and len([call for call in act.others if call[0] == "gh"]) == 1


@needs_bash
@pytest.mark.parametrize("command", ["suite", "compare", "report"])
def test_the_command_line_has_what_the_action_uses(act, command):
    """Parsed by the commands themselves, without running them."""
    fail = "accuracy:-1pp\ndevice_seconds:+10%\npeak_memory:+5%"
    calls = [call for inputs in ({}, {"base_revision": "abc123"}) for call in act(fail=fail, **inputs)[1]]
    used = [call[1:] for call in calls if call[0] == command]
    assert used
    group = cli.get_command(click.Context(cli, obj=Session()), command)
    for arguments in used:
        group.make_context(command, list(arguments), obj=Session())  # raises if there is no such option or choice


def test_only_reference_records_and_suites_are_committed(tmp_path):
    """What git keeps of results/, by this repository's own rules."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    shutil.copy(ROOT / ".gitignore", tmp_path)
    tuning = [
        "results/equal-tuning/a.json",
        "results/equal-tuning/tuning/a.jsonl",
        "results/equal-tuning/tuning/a.toml",
    ]
    tracked = ["results/README.md", *tuning, "results/reference.toml", "results/reference/a.json"]
    left = [
        "results/a.json",
        "results/tuning/a.jsonl",
        "results/equal-tuning/tuning/b/checkpoint-1.json",
        "results/a/model.json",
        "results/reference/a/model.json",
        "results/reference/a.tmp",
    ]
    for name in tracked + left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    done = subprocess.run(
        [*git, "ls-files", "--others", "--exclude-standard", "results"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == tracked
