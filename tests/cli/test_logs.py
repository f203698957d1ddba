"""What -v and --log-file show of a run."""

import logging
from types import SimpleNamespace

import pytest

from mamlbench.cli.logs import LogOutput
from mamlbench.cli.main import main
from mamlbench.errors import ConfigError, ExitCode
from mamlbench.worker_process import LOGGED, log_again, logs_forwarded

TINY = [
    "--ways",
    "3",
    "--queries",
    "2",
    "--test-episodes",
    "10",
    "--validation-episodes",
    "5",
    "--meta-batch-size",
    "2",
    "--iterations",
    "4",
]


@pytest.fixture
def logs():
    output = LogOutput()
    yield output
    output.close()


def test_a_run_logs_its_stages_to_a_file_and_to_stderr(tmp_path, toy_plugin, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = ["run", "--algo", "fomaml", "--dataset", "toy", "--plugin", str(toy_plugin), *TINY, "-o", "backbone.width=8"]
    assert main([*run, "-v", "--log-file", "log.txt", "--quiet"]) == ExitCode.OK
    written, shown = (tmp_path / "log.txt").read_text(), capsys.readouterr().err
    for text in (
        "fomaml on toy, seed 0: begins",
        "Engine ",
        "Checkpoint ",
        "validation after 4 iterations",
        "Its record",
    ):
        assert text in written and text in shown
    assert " INFO mamlbench.runner.stage_logs [" in written and " INFO " not in shown
    assert not logging.getLogger("mamlbench").handlers  # the next command is another one


def test_without_either_only_warnings_are_shown(logs, capsys, tmp_path):
    logs.write_to(tmp_path / "log.txt")
    logging.getLogger("mamlbench.some").info("a stage")
    logging.getLogger("mamlbench.some").warning("a warning")
    assert capsys.readouterr().err == "a warning\n"
    assert "a stage" in (tmp_path / "log.txt").read_text()


def test_a_file_that_cannot_be_written_is_one_sentence(logs, tmp_path):
    with pytest.raises(ConfigError, match=r"The log file '.*missing.*' cannot be written .*--log-file"):
        logs.write_to(tmp_path / "missing" / "log.txt")


def test_what_a_worker_logs_is_logged_by_the_process_that_launched_it(logs, capsys, monkeypatch):
    sent = []
    with logs_forwarded(lambda hook, **event: sent.append((hook, event)), SimpleNamespace()):
        logging.getLogger("mamlbench.data").info("from the cache: %s", "a.bin")
    logs.show()
    for hook, event in sent:
        assert hook == LOGGED
        log_again(event["record"])
    assert capsys.readouterr().err.endswith(" from the cache: a.bin\n")


def test_a_worker_s_warning_is_not_shown_twice(capsys):
    sent = []
    with logs_forwarded(lambda hook, **event: sent.append(event), SimpleNamespace()):
        logging.getLogger("mamlbench.data").warning("damaged")
    assert capsys.readouterr().err == "" and len(sent) == 1
    assert logging.getLogger("mamlbench").propagate
