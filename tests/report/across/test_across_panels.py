"""Figures of a comparison across cells."""

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from mamlbench.report.across import collect_scores
from mamlbench.report.across.across_export import save_across_figure
from mamlbench.report.across.across_panels import PANELS
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
    methods = {f"m{index}": index / 100 for index in range(len(STYLES) + 2)}
    scores = collect_scores(study(methods=methods, cells=across_cells[:2], seeds=1, noise=0.0))
    assert save_across_figure(name, scores, "svg").count(b"<path") > 5


def test_bands_are_of_the_colors_of_the_methods(study):
    svg = save_across_figure("profiles", collect_scores(study()), "svg").decode().lower()
    assert all(f"fill: {style.color.lower()}; fill-opacity: 0.15" in svg for style in STYLES[:4])
