"""Records, tables and figures as notebooks show them."""

from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mamlbench
from mamlbench.errors import ConfigError
from mamlbench.record import CurvePoint, ResultStore

CURVE = [CurvePoint(iteration=i, wall_seconds=i, device_seconds=i, validation={"accuracy": i / 10}) for i in (1, 2, 3)]


ALLOWED = {"p", "b", "table", "thead", "tbody", "tr", "th", "td", "div", "small"}
"""Tags of a record without a curve."""


class Tags(HTMLParser):
    """Reads HTML: that every tag is closed, and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.all, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.all.append(tag)
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.all.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def folder(make_record, tmp_path):
    """Two methods with curves, in a folder."""
    for name in ("maml", "reptile"):
        record = make_record(name, episodes=[0.8, 1.0], name=f"{name}-0").model_copy(update={"curve": CURVE})
        ResultStore(tmp_path).write(f"{name}-0", record)
    return tmp_path


def test_a_record_is_one_line_of_text_and_a_table_with_its_curve_in_html(folder):
    record = mamlbench.report(folder / "maml-0.json").records[0]
    assert repr(record) == (
        "<RunRecord maml-0: maml on omniglot 5-way 1-shot, seed 0, finished, accuracy 90.0 ± 1.0 % (transductive)>"
    )
    page = Tags(record._repr_html_())
    assert page.all.count("table") == page.all.count("img") == 1 and "maml" in page.text and "90.0 ± 1.0" in page.text


def test_a_record_without_a_test_or_a_curve_can_be_shown(make_record):
    record = make_record(status="interrupted", reason="at iteration 3", name="one")
    assert repr(record) == "<RunRecord one: maml on omniglot 5-way 1-shot, seed 0, interrupted>"
    page = Tags(record._repr_html_())
    assert "interrupted: at iteration 3" in page.text and "img" not in page.all


def test_a_regression_has_its_own_unit(make_record):
    assert "mean squared error 0.930 ± 0.010 (transductive)" in repr(make_record(regression=True))


def test_tables_are_text_and_html_and_take_the_command_s_columns(folder):
    report = mamlbench.report(folder)
    text, page = repr(report.table()), Tags(report.table()._repr_html_())
    for name in ("maml", "reptile", "transductive", "gain"):
        assert name in text and name in page.text
    assert "maml" in Tags(report._repr_html_()).text
    assert "examples seen" in repr(report.table("score", "examples"))
    with pytest.raises(ConfigError, match="Did you mean 'examples'"):
        report.table("exampels")


def test_figures_are_shown_and_saved(folder, tmp_path):
    figure = mamlbench.report(folder).figure("curves")
    assert figure._repr_png_().startswith(b"\x89PNG")
    figure.save(tmp_path / "curves.pdf")
    assert (tmp_path / "curves.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ConfigError, match=r"png, pdf or svg, not 'curves\.gif'"):
        figure.save(tmp_path / "curves.gif")
    with pytest.raises(ConfigError, match=r"no figure 'curve'\. Did you mean 'curves'"):
        mamlbench.report(folder).figure("curve")


def test_the_rows_that_are_left_of_a_data_frame_choose_the_records(folder):
    frame = mamlbench.load_records(folder)
    chosen = mamlbench.report(frame[frame["algorithm"] == "reptile"])
    assert [record.spec.algorithm.name for record in chosen.records] == ["reptile"]
    assert "mamlbench_files" in frame.attrs and frame.to_json()  # attributes do not hinder writing it
    with pytest.raises(ConfigError, match=r"read it by mamlbench\.load_records from files"):
        mamlbench.report(mamlbench.load_records(*chosen.records))


def test_records_and_several_paths_are_taken_too(folder):
    (record, *_) = mamlbench.report(folder).records
    assert len(mamlbench.report([record, folder / "reptile-0.json"]).records) == 2
    with pytest.raises(ConfigError, match="does not exist"):
        mamlbench.report(folder / "missing")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(name=st.text(min_size=1, max_size=20), reason=st.text(max_size=40))
def test_no_text_of_a_record_becomes_markup(make_record, name, reason):
    record = make_record(status="failed", reason=reason, name=name, options={"inner_lr": f"<b>{name}"})
    assert set(Tags(record._repr_html_()).all) <= {
        *["p", "b", "table", "thead", "tbody", "tr", "th", "td", "div", "small"]
    }
