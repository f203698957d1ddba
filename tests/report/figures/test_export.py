"""Figures as files."""

import io
import re
from xml.etree import ElementTree

import pytest
from PIL import Image

from mamlbench.errors import ConfigError
from mamlbench.report.figures.export import MAX_GROUPS, page_figure, save_figure
from mamlbench.report.figures.panels import FIGURES
from mamlbench.report.figures.style import STYLES
from mamlbench.report.figures.view import view_of
from mamlbench.report.table.groups import group_records

NASTY = '<script>alert("$\\frac{x$")</script>&amp;\u202e</svg>'
PANELS = [(name, panel) for name, panels in FIGURES.items() for panel in panels]


def drawn_figure(panel, view):
    return page_figure(panel.title, panel.height(view), lambda axes: panel.draw(axes, view))


@pytest.fixture
def group(make_run):
    runs = [
        make_run(name, score=score, seed=seed, speed=speed)
        for name, score, speed in (("maml", 0.93, 1), ("reptile", 0.77, 2), (NASTY, 0.5, 3))
        for seed in (0, 1)
    ]
    (group,) = group_records([*runs, make_run("pretrain", status="interrupted")])
    return group


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{name}: {panel.title}" for name, panel in PANELS])
def test_every_panel_is_an_svg_for_a_page(group, name, panel):
    svg, data = drawn_figure(panel, view_of(group))
    tree = ElementTree.fromstring(svg.replace("xlink:", ""))
    assert tree.get("role") == "img" and tree.get("viewBox") and not tree.get("width")
    drawn = [element.get("style", "") for element in tree.iter() if element.tag.endswith(("path", "use"))]
    colors = {style.color.lower() for style in STYLES[:3]} if name != "time" else {"#0072b2", "url(#"}
    assert all(any(color in style.lower() for style in drawn) for color in colors)
    assert "<script" not in svg and "<style" not in svg and ' id="axes' not in svg and "#01020" not in svg
    assert "currentColor" in svg and len(svg) < 60_000
    assert (svg, data) == drawn_figure(panel, view_of(group))  # the same records give the same bytes


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{name}: {panel.title}" for name, panel in PANELS])
def test_every_row_of_a_panel_can_be_found_in_it_with_its_points(group, name, panel):
    view = view_of(group)
    svg, data = drawn_figure(panel, view)
    tree = ElementTree.fromstring(svg.replace("xlink:", ""))
    marked = {int(element.get("data-row")) for element in tree.iter() if element.get("data-row")}
    assert {row for row, *_ in data.points} <= marked and len(marked) >= 3
    _, _, width, height = map(float, tree.get("viewBox").split())
    for row, x, y, *facts in data.points:
        assert row in range(len(view.rows)) and 0 <= x <= width and 0 <= y <= height and len(facts) == len(data.columns)


def test_points_lie_on_their_markers_and_hold_value_interval_seed_and_run(group):
    (panel,) = FIGURES["seeds"]
    svg, data = drawn_figure(panel, view_of(group))
    markers = [(float(x), float(y)) for x, y in re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)"', svg)]
    assert len(data.points) == 6  # two seeds of three rows
    for _, x, y, *_ in data.points:
        assert min(abs(x - left) + abs(y - top) for left, top in markers) < 0.2
    first = dict(zip(data.columns, data.points[0][3:], strict=True))
    assert first == {
        "test accuracy, %": pytest.approx(93),
        "95 % interval, low": pytest.approx(92),
        "95 % interval, high": pytest.approx(94),
        "seed": 0,
        "run": "maml-0",
    }


def test_a_run_without_scores_has_no_figures_of_them(make_record):
    (group,) = group_records([make_record(status="failed")])
    shown = {name for name, panel in PANELS if drawn_figure(panel, view_of(group))}
    assert shown == {"time"}
    with pytest.raises(ConfigError, match="None of these records has data for the figure 'curves'"):
        save_figure("curves", [group], "png")


@pytest.mark.parametrize("name", FIGURES)
def test_single_figures_are_images(group, name):
    with Image.open(io.BytesIO(save_figure(name, [group, group], "png"))) as image:
        assert min(image.size) > 600 and len(image.convert("RGB").getcolors(2**24)) > 50
    assert save_figure(name, [group], "pdf").startswith(b"%PDF-")


def test_too_many_tables_for_one_figure_are_an_error(group):
    with pytest.raises(ConfigError, match="Name the records of at most"):
        save_figure("time", [group] * (MAX_GROUPS + 1), "png")
