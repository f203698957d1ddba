"""Records whose numbers contradict each other are refused in one sentence; those of real runs are read."""

import json
from pathlib import Path

import pytest

from mamlbench.record import ResultStore, UnreadableRecordError, read_record
from mamlbench.record.consistency import contradiction

ROOT = Path(__file__).parents[2]
GOOD = next(iter(sorted((ROOT / "results" / "reference").glob("*.json"))))
MODE = ("test", "metrics", "accuracy", "modes", "inductive")


@pytest.fixture
def written(tmp_path):
    """Write the record of a real run in which the value at ``path`` is another one, or what a function makes of it."""

    def write(path, value):
        document = json.loads(read_record(GOOD).model_dump_json())
        node = document
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value(node.get(path[-1])) if callable(value) else value
        file = tmp_path / "run.json"
        file.write_text(json.dumps(document))
        return file

    return write


@pytest.mark.parametrize("path", ResultStore(ROOT / "results").paths(), ids=lambda path: path.stem)
def test_records_of_real_runs_are_consistent(path):
    assert contradiction(read_record(path)) == ""


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((*MODE, "episode_scores"), lambda scores: [1.5, *scores[1:]], "a share of 1.5, which is not between 0 and 1"),
        ((*MODE, "episode_scores"), lambda scores: [-0.5, *scores[1:]], "a share of -0.5"),
        ((*MODE, "episode_scores"), lambda scores: ["NaN", *scores[1:]], "a score that is not finite"),
        ((*MODE, "episode_scores"), lambda scores: ["Infinity", *scores[1:]], "a score that is not finite"),
        ((*MODE, "episode_scores"), lambda scores: scores[1:], "episodes, and the protocol 300"),
        (
            (*MODE, "episode_scores"),
            lambda scores: [*scores, 1.0],
            "301 episodes were scored, and the classes are",
        ),
        ((*MODE, "episode_scores"), lambda scores: [0.0] * len(scores), "the mean of 'episode_scores' is 0.0"),
        ((*MODE, "untrained_episode_scores"), lambda scores: scores[1:], "episodes, and the protocol 300"),
        ((*MODE, "score", "mean"), "NaN", "the interval of 'score'"),
        ((*MODE, "score", "high"), "Infinity", "the interval of 'score'"),
        ((*MODE, "score", "low"), 0.9999, "the interval of 'score' is 0.9999 to"),
        ((*MODE, "gain", "high"), -1.0, "the interval of 'gain'"),
        ((*MODE, "untrained"), {"mean": 1.2, "low": 1.1, "high": 1.3}, "a share of 1.2 is not between 0 and 1"),
        ((*MODE, "gain"), {"mean": 0.01, "low": 0.0, "high": 0.02}, "the gain is 0.01, and the scores give 0."),
        (("test", "metrics", "accuracy", "score_after_step"), lambda scores: scores[1:], "numbers of steps"),
        (("test", "constant_predictions"), {"inductive": 301}, "301 episodes with constant predictions, of 300"),
        (("test", "untrained_diverged"), -1, "-1 episodes with predictions that are not finite"),
        (("test", "protocol", "test_episodes"), 500, "300 episodes, and the protocol 500"),
        (("test", "seen"), {"answer": "not seen", "classes": 2}, "test data were not seen, and 2 classes of them"),
        (("test", "seen"), {"answer": "seen"}, "test data were seen, and 0 classes of them"),
        (("test", "classes"), {"ways": 5, "packed": "AAAAAAAAAAAAAA=="}, "300 episodes were scored, and the classes"),
        (("measurement", "iterations"), 10**6, "1,000,000 iterations were done, of "),
        (("measurement", "wall_seconds"), -1.0, "a time or number of examples is negative or not finite"),
        (("measurement", "segments", "train", "device"), "Infinity", "a time or number of examples"),
        (("measurement", "examples_seen"), -5, "a time or number of examples"),
        (("selected_iteration",), 10**6, "iteration 1,000,000 was selected"),
        (("skipped",), {"updates": [7, 2], "validations": []}, "a skipped update is out of order or range"),
        (("skipped",), {"updates": [], "validations": [10**7]}, "a skipped validation is out of order or range"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_a_contradiction_is_named(written, path, value, message):
    file = written(path, value)
    with pytest.raises(UnreadableRecordError) as refused:
        read_record(file)
    assert f"'{file}' contradicts itself: " in str(refused.value) and message in str(refused.value)
    assert str(refused.value).count("\n") == 0


def test_report_names_the_file_and_shows_the_others(written, call, tmp_path):
    written((*MODE, "score", "mean"), 2.0)
    (tmp_path / "good.json").write_text(GOOD.read_text())
    code, out, err = call("report", str(tmp_path))
    assert "run.json' contradicts itself: accuracy, inductive: the interval of 'score'" in err
    assert "accuracy" in out and code == 0


def test_rounded_scores_and_ends_beyond_one_are_no_contradiction(written):
    assert read_record(written((*MODE, "score", "high"), 1.01)).test is not None
    assert read_record(written((*MODE, "episode_scores"), lambda scores: [s + 1e-6 for s in scores])).test is not None
