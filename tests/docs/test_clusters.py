"""The examples for Kubernetes and Slurm arrays, as far as they can be checked without either."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from mamlbench.errors import ExitCode

FOLDER = Path(__file__).parents[2] / "docs" / "clusters"
SUITE = """
algorithm = "maml"
dataset = "glyphs"
iterations = 2
seeds = 2
"""


@pytest.fixture
def job():
    return yaml.safe_load((FOLDER / "kubernetes-job.yaml").read_text())


def test_the_kubernetes_job_hangs_together(job):
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert set(spec) == {"parallelism", "completions", "backoffLimit", "podFailurePolicy", "template"}
    assert pod["restartPolicy"] == "Never", "a podFailurePolicy is allowed with it alone"
    (container,) = pod["containers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
    paths = [part for part in container["args"] if part.startswith("/")]
    assert paths and all(path.startswith(f"{mounted['shared']}/") for path in paths)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", job["metadata"]["name"])


def test_its_exit_codes_are_those_of_the_command(job):
    ignored, fatal = job["spec"]["podFailurePolicy"]["rules"]
    assert ignored["onPodConditions"] == [{"type": "DisruptionTarget"}]
    assert fatal["onExitCodes"]["values"] == [ExitCode.USAGE, ExitCode.RUN_FAILED]


def test_its_command_plans_the_suite(job, project):
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["mamlbench"]
    (project.path / "study.toml").write_text(SUITE)
    arguments = [part.replace("/shared", str(project.path)) for part in container["args"]]
    assert "2 cells (2 to do)" in project.run(*arguments, "--dry-run").err


def run_script(folder, code, job_id="7"):
    """Run the script with stand-ins for srun, which exits with ``code``, and for scontrol."""
    commands = folder / "bin"
    commands.mkdir()
    for name, end in (("srun", code), ("scontrol", 0)):
        (commands / name).write_text(f'#!/bin/sh\necho {name} "$@"\nexit {end}\n')
        (commands / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": job_id, "SLURM_ARRAY_JOB_ID": "6", "SLURM_ARRAY_TASK_ID": "3"}
    environment = {"PATH": f"{commands}:{os.environ['PATH']}", **(slurm if job_id else {})}
    script = ["bash", str(FOLDER / "slurm-array.sh"), "study.toml", "/shared/results"]
    return subprocess.run(script, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("code", "again"), [(0, False), (int(ExitCode.INTERRUPTED), True), (6, False)])
def test_the_slurm_script_queues_again_what_was_interrupted(tmp_path, code, again):
    ended = run_script(tmp_path, code)
    assert ended.returncode == code and ended.stderr == ""
    lines = ended.stdout.splitlines()
    assert lines[0] == "srun mamlbench suite study.toml --join --results-dir /shared/results"
    assert lines[1:] == (["scontrol requeue 6_3"] if again else [])


def test_outside_a_job_the_slurm_script_queues_nothing(tmp_path):
    assert run_script(tmp_path, 2, job_id="").stdout.count("\n") == 1
