"""Figures of a comparison across cells."""

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from mamlbench.errors import ConfigError
from mamlbench.report.across import collect_scores
from mamlbench.report.across.across_export import save_across_figure
from mamlbench.report.across.across_panels import PANELS
from mamlbench.report.across.rank_diagram import _levels
from mamlbench.report.figures.style import STYLES


@pytest.mark.parametrize("name", PANELS)
def test_every_figure_is_a_file_with_the_methods_in_it(study, name):
    scores = collect_scores(study())
    svg = save_across_figure(name, scores, "svg").decode()
    ElementTree.fromstring(svg)
    assert all(str(method) in svg for method in scores.methods) and "8 cells of 4 data sets" in svg
    assert svg == save_across_figure(name, scores, "svg").decode()  # the same records give the same bytes
    with Image.open(io.BytesIO(save_across_figure(name, scores, "png"))) as image:
        assert min(image.size) > 300 and len(image.convert("RGB").getcolors(2**24)) > 50
    assert save_across_figure(name, scores, "pdf").startswith(b"%PDF-")


@pytest.mark.parametrize("name", PANELS)
def test_more_methods_than_styles_and_a_single_seed_can_be_drawn(study, across_cells, name):
    number = 6 if name == "bayes" else len(STYLES) + 2  # bayes has a lane for each pair
    methods = {f"m{index}": index / 100 for index in range(number)}
    scores = collect_scores(study(methods=methods, cells=across_cells[:5], seeds=1, noise=0.0))
    assert save_across_figure(name, scores, "svg").count(b"<path") > 5


def test_bands_are_of_the_colors_of_the_methods(study):
    svg = save_across_figure("profiles", collect_scores(study()), "svg").decode().lower()
    assert all(f"fill: {style.color.lower()}; fill-opacity: 0.15" in svg for style in STYLES[:4])


def test_few_cells_have_ranks_without_bars_and_no_posterior(study, across_cells):
    few, many = (collect_scores(study(cells=across_cells[:count])) for count in (4, 8))
    assert b"critical difference" not in save_across_figure("ranks", few, "svg")
    assert b"Nemenyi's critical difference 1.66" in save_across_figure("ranks", many, "svg")
    with pytest.raises(ConfigError, match=r"5 or more cells of one metric, and accuracy has 4\."):
        save_across_figure("bayes", few, "svg")


def test_a_diagram_that_cannot_separate_methods_says_so(study, across_cells):
    diagrams = [
        save_across_figure("ranks", collect_scores(study(cells=across_cells[:count])), "svg") for count in (7, 8)
    ]
    assert [b"too few cells for" in svg for svg in diagrams] == [True, False]


def test_bars_that_touch_are_on_different_levels():
    assert _levels([(1.0, 2.0, (0, 1)), (2.5, 3.0, (2, 3)), (1.5, 2.5, (1, 2))]) == [[(0, 1), (2, 3)], [(1, 2)]]
