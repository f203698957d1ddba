"""A network with torch's dropout and frozen layers, through the real command line."""

import json

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.record import read_record

PLUGIN = '''
import mamlbench
from mamlbench.api import Backbone
from torch import nn


class Own(Backbone):
    """A frozen convolution, one that is trained, and torch's dropout."""

    def features(self, input_shape):
        frozen = nn.Conv2d(input_shape[0], 4, 3, stride=2).requires_grad_(False)
        layers = (nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        return nn.Sequential(frozen, *layers, nn.Dropout(0.5)), 16


@mamlbench.hookimpl
def mamlbench_register_backbones(register):
    register("own", Own, summary="frozen, with dropout")
'''


def test_evaluations_are_equal_and_frozen_layers_are_not_learned(tmp_path, monkeypatch, capsys, prepared_cache):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAMLBENCH_CACHE", str(prepared_cache))
    (tmp_path / "own.py").write_text(PLUGIN)
    arguments = ["--algo", "protonet", "--backbone", "own", "--plugin", "own.py", "--iterations", "3", "-q"]
    arguments += ["--meta-batch-size", "4", "--validation-episodes", "4", "--test-episodes", "20", "--device", "cpu"]
    assert main(["run", *arguments]) == ExitCode.OK
    (path,) = (tmp_path / "results").glob("*.json")
    record = read_record(path)
    assert record.parameters == 4 * 4 * 9 + 4, "the frozen convolution does not count"
    scores = list(record.test.modes["transductive"].episode_scores)
    assert len(set(scores)) > 2, "not all constant"
    for _ in range(2):
        capsys.readouterr()
        assert main(["evaluate", str(path), "--plugin", "own.py", "--json", "--device", "cpu"]) == ExitCode.OK
        (metric,) = json.loads(capsys.readouterr().out)["metrics"].values()
        assert metric["modes"]["transductive"]["episode_scores"] == scores
