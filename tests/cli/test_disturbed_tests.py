"""Robustness through the command line: wrong support labels and corrupted images, in run, evaluate, suites, Python."""

import json

import pytest

import mamlbench
from mamlbench.errors import ExitCode

TINY = (
    *("--dataset", "toy", "--ways", "5", "--queries", "2", "--test-episodes", "20", "--validation-episodes", "4"),
    *("--meta-batch-size", "2", "--iterations", "2", "--engine", "loop", "--device", "cpu", "-o", "backbone.width=4"),
)
NOISE = ("--label-noise", "0.2", "--corrupt", "noise:0.30")
WORDS = "20 % of support labels wrong, images corrupted by noise:0.3"


@pytest.fixture
def toy(project, toy_plugin):
    (project.path / "mamlbench.toml").write_text(f'plugins = ["{toy_plugin}"]\n')
    return project


def test_a_run_and_a_later_test_of_a_clean_run_agree(toy):
    clean = toy.run("run", "--algo", "protonet", *TINY, "-q", "--results-dir", "clean")
    noisy = toy.run("run", "--algo", "protonet", *TINY, *NOISE, "-q", "--results-dir", "noisy")
    assert f"20 test episodes, {WORDS})" in " ".join(noisy.out.split()) and "wrong" not in clean.out
    (path,), (of_noisy,) = ([*(toy.path / folder).glob("*.json")] for folder in ("clean", "noisy"))
    record = json.loads(of_noisy.read_text())
    assert (record["spec"]["protocol"]["label_noise"], record["spec"]["protocol"]["corrupt"]) == (0.2, "noise:0.3")
    tested = toy.run("evaluate", str(path), "--device", "cpu", *NOISE, "--json").json()
    assert tested["metrics"] == record["test"]["metrics"]
    assert (tested["protocol"]["label_noise"], tested["protocol"]["corrupt"]) == (0.2, "noise:0.3")
    assert WORDS in " ".join(toy.run("evaluate", str(path), "--device", "cpu", *NOISE).out.split())
    back = toy.run(
        "evaluate", str(of_noisy), "--device", "cpu", "--label-noise", "0", "--corrupt", "none", "--json"
    ).json()
    assert back["metrics"] == json.loads(path.read_text())["test"]["metrics"]


def test_other_conditions_are_not_compared(toy):
    toy.run("run", "--algo", "protonet", *TINY, "-q", "--results-dir", "clean")
    toy.run("run", "--algo", "protonet", *TINY, "--label-noise", "0.4", "-q", "--results-dir", "noisy")
    toy.run("run", "--algo", "protonet", *TINY, "--corrupt", "blur:1", "-q", "--results-dir", "blurred")
    for other, words in (("noisy", "label noise 0.0 and 0.4"), ("blurred", "corrupt none and blur:1")):
        result = toy.run("compare", "clean", other, "--format", "json").json()
        scores = [verdict for verdict in result["verdicts"] if verdict["metric"] == "accuracy"]
        assert scores and {verdict["kind"] for verdict in scores} == {"not comparable"}
        assert {verdict["detail"] for verdict in scores} == {words}
    shown = " ".join(toy.run("report", "clean", "noisy").out.split())
    assert shown.count("protonet") >= 2 and "Not comparable with the table" in shown


def test_suites_and_python_take_both(toy, toy_plugin, monkeypatch):
    monkeypatch.chdir(toy.path)
    (toy.path / "robust.toml").write_text(
        'algorithm = "protonet"\ndataset = "toy"\nlabel_noise = [0, 0.2]\ncorrupt = "contrast:0.50"\n'
        "ways = 5\nqueries = 2\ntest_episodes = 4\nvalidation_episodes = 2\niterations = 1\nmeta_batch_size = 2\n"
        'engine = "loop"\ndevice = "cpu"\noptions.backbone.width = 4\n'
    )
    toy.run("suite", "robust.toml")
    records = toy.records()
    assert [record.test.protocol.label_noise for record in records] == [0.0, 0.2]
    assert {record.test.protocol.corrupt for record in records} == {"contrast:0.5"}
    clean = mamlbench.evaluate(
        f"results/{records[1].name}.json", plugins=[toy_plugin], device="cpu", label_noise=0.0, corrupt="none"
    )
    assert (clean.protocol.label_noise, clean.protocol.corrupt) == (0.0, "none")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--label-noise", "1.5"), "1.5 is not in the range 0<=x<=1"),
        (("--corrupt", "noise"), "'noise': the strength of noise is a number above 0, up to 10."),
        (("--corrupt", "fog:1"), "'fog:1': a corruption is noise:STRENGTH, blur:STRENGTH, contrast:STRENGTH or none."),
        (("--dataset", "sinusoid", "--label-noise", "0.2"), "Tasks of regression have no classes that labels could"),
    ],
)
def test_what_is_impossible_is_refused_by_one_sentence(toy, arguments, sentence):
    refused = toy.run("run", "--algo", "maml", *arguments, expect=ExitCode.USAGE)
    assert sentence in " ".join(refused.err.split()) and not toy.records()


def test_values_are_no_images(toy):
    refused = toy.run(
        *("run", "--algo", "maml", "--dataset", "sinusoid", "--corrupt", "noise:0.2", "--iterations", "1", "-q"),
        expect=ExitCode.USAGE,
    )
    assert "--corrupt noise:0.2 is for images" in refused.err and not toy.records()
