"""The file of a study: lines that are written whole, and read again."""

import json
import os

import pytest
from toy_record import make_spec

from mamlbench.errors import ConfigError
from mamlbench.record import current_environment
from mamlbench.record.tuning_study import StudyFile, StudyHeader, TuningTrial


def header(**changes):
    space = {"rate": {"kind": "LogUniform", "low": 0.1, "high": 1.0}}
    values = {"spec": make_spec(), "space": space, "sampler": "random", "sampler_seed": 0}
    return StudyHeader(**{**values, **changes})


def trial(number, **changes):
    values = {"metric": "accuracy", "unit": "%", "higher_is_better": True, "status": "finished", "score": 0.5}
    return TuningTrial(**{"trial": number, "options": {"rate": 0.3}, **values, **changes})


@pytest.fixture
def study(tmp_path):
    file = StudyFile(tmp_path / "folder" / "study.jsonl")
    file.append(header())
    return file


def test_lines_are_read_as_they_were_written(study):
    trials = [
        trial(0, environment=current_environment(), validations={5: 0.25, 10: 0.5}, iteration=10),
        trial(2, status="diverged", score=None, reason="a loss of NaN\nat iteration 3"),
        trial(1, options={"kind": "persistent", "none": None, "values": [1, 2.5]}),
    ]
    for one in trials:
        study.append(one)
    assert study.read() == (header(), sorted(trials, key=lambda one: one.trial))
    assert len(study.path.read_bytes().splitlines()) == 4


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_line_that_a_killed_process_left_unfinished_is_left_out_and_replaced(study, cut):
    study.append(trial(0))
    whole = study.path.stat().st_size
    study.append(trial(1))
    os.truncate(study.path, whole + cut)
    assert study.read() == (header(), [trial(0)])
    study.append(trial(1, score=0.25))
    assert study.read() == (header(), [trial(0), trial(1, score=0.25)])


def test_a_study_that_has_not_begun_is_none(tmp_path):
    assert StudyFile(tmp_path / "none.jsonl").read() is None
    (tmp_path / "torn.jsonl").write_text('{"study":')
    assert StudyFile(tmp_path / "torn.jsonl").read() is None


@pytest.mark.parametrize(
    "content",
    ["[]\n", "{}\n", "no JSON\n", '{"study": 2}\n', "\xff\n", "{header}\n{header}\n", '{header}\n{"trial": -1}\n'],
)
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "study.jsonl"
    path.write_bytes(content.replace("{header}", header().model_dump_json()).encode("latin-1"))
    with pytest.raises(ConfigError, match=r"'.*study\.jsonl' is not the file of a tuning study"):
        StudyFile(path).read()


def test_a_folder_in_its_place_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        StudyFile(tmp_path).read()


def test_the_key_is_of_all_that_decides_the_trials():
    keys = [
        header(),
        header(sampler_seed=1),
        header(sampler="other"),
        header(space={"rate": {"kind": "LogUniform", "low": 0.2, "high": 1.0}}),
        header(spec=make_spec(seed=1)),
    ]
    assert len({one.key for one in keys}) == len(keys)
    again = StudyHeader.model_validate(json.loads(header().model_dump_json()))
    assert again.key == header().key and again.file_name.startswith("glyphs-5w1s-maml-")
