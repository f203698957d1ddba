"""What a terminal shows before a command has written anything."""

import io

import pytest

from mamlbench.cli.first_word import ERASE, SECONDS, FirstWord, first_word
from mamlbench.cli.standard_streams import GuardedStream


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def wait():
    """Calls what waits, when the test says that the time has passed: ``wait.over()``."""

    class Wait:
        def __call__(self, seconds, function):
            assert seconds <= 1
            self.seconds, self.over = seconds, function

    return Wait()


def test_something_is_shown_within_a_second_and_removed_by_the_first_text(wait):
    terminal = Terminal()
    word = FirstWord(terminal, wait)
    wait.over()
    assert terminal.getvalue().startswith("Loading") and SECONDS < 1
    GuardedStream(terminal, word.end).write("table\n")
    assert terminal.getvalue().endswith(f"...{ERASE}table\n")
    word.end()
    assert terminal.getvalue().count(ERASE) == 1


def test_a_command_that_has_written_something_is_left_alone(wait):
    terminal = Terminal()
    word = FirstWord(terminal, wait)
    GuardedStream(terminal, word.end).write("table\n")
    wait.over()
    assert terminal.getvalue() == "table\n"


def test_bytes_that_are_written_past_the_guard_remove_it_too(wait):
    terminal = Terminal()
    terminal.buffer = io.BytesIO()
    word = FirstWord(terminal, wait)
    wait.over()
    GuardedStream(terminal, word.end).buffer.write(b"svg")
    assert terminal.getvalue().endswith(ERASE)


@pytest.mark.parametrize(("stream", "arguments"), [(io.StringIO(), []), (Terminal(), ["run", "--quiet"])])
def test_nothing_is_shown_in_a_file_or_if_it_is_to_be_quiet(stream, arguments):
    first_word(arguments, stream)()
    assert stream.getvalue() == ""


def test_a_terminal_that_is_closed_is_not_written_to_again(wait):
    terminal = Terminal()
    word = FirstWord(terminal, wait)
    terminal.close()
    wait.over()
    tries = []
    terminal.write = tries.append
    word.end()
    assert terminal.closed and not tries
