"""What a reader does with the page, in a real browser: by mouse and keyboard, narrow and wide, light and dark."""

import csv
import io
import json

import pytest

OTHERS = [pytest.param(width, scheme, marks=pytest.mark.slow) for width, scheme in ((390, "light"), (1280, "dark"))]
WINDOWS = pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light"), *OTHERS])
WIDTHS = pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.slow)])
SCORES = "#table-1-results"


def order(tab):
    """The rows shown, from top to bottom."""
    return [row.get_attribute("data-key") for row in tab.locator(f"{SCORES} tbody tr").all() if row.is_visible()]


def downloaded(tab, label):
    with tab.expect_download() as download:
        tab.get_by_role("button", name=label).click()
    return download.value.suggested_filename, download.value.path().read_text("utf-8")


@WINDOWS
def test_a_point_shows_its_numbers_under_the_mouse(open_page, page_of_rows, width, scheme):
    tab = open_page(page_of_rows, width, scheme)
    plot = tab.locator("#table-1-seeds .plot")
    plot.scroll_into_view_if_needed()
    data = json.loads(plot.locator("script").text_content())
    box, view_box = plot.locator("svg").bounding_box(), plot.locator("svg").get_attribute("viewBox").split()
    scale = box["width"] / float(view_box[2])
    row, x, y, *_ = data["points"][0]
    tab.mouse.move(box["x"] + scale * x + 1, box["y"] + scale * y)
    tip = tab.locator(".tip")
    assert tip.is_visible()
    text = tip.inner_text()
    assert data["keys"][row] == "maml" and "maml" in text and "run-maml-0" in text and "seed" in text
    assert "95 % interval, low" in text and "90" in text
    edges = tip.bounding_box()
    assert edges["x"] >= 0 and edges["x"] + edges["width"] <= width
    tab.keyboard.press("Escape")
    assert not tip.is_visible()


@WINDOWS
def test_points_are_read_with_the_keyboard(open_page, page_of_rows, width, scheme):
    tab = open_page(page_of_rows, width, scheme)
    plot = tab.locator("#table-1-curves .plot:not(.off)")
    plot.focus()
    spoken = tab.locator("[role=status].unseen")
    tab.keyboard.press("ArrowRight")
    first = spoken.text_content()
    assert first.startswith("maml, meta-iterations 50, validation accuracy, %")
    tab.keyboard.press("ArrowRight")
    assert "meta-iterations 100" in spoken.text_content()
    tab.keyboard.press("ArrowDown")
    assert spoken.text_content().startswith("protonet, meta-iterations 100")
    tab.keyboard.press("End")
    assert spoken.text_content().startswith("protonet, meta-iterations 500")
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#mark=protonet"
    tab.keyboard.press("Escape")
    assert not tab.locator(".tip").is_visible()


@WIDTHS
def test_a_table_is_sorted_and_filtered_by_mouse_and_keyboard(open_page, page_of_rows, width):
    tab = open_page(page_of_rows, width)
    as_rendered = order(tab)
    assert as_rendered == ["maml", "protonet", "reptile", "anil", "pretrain"]
    heading = tab.locator(f"{SCORES} th[data-column=transductive]")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending" and order(tab)[0] == "maml"
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert order(tab) == ["anil", "reptile", "protonet", "maml", "pretrain"]  # without a score: last in either order
    heading.get_by_role("button").press("Space")
    assert heading.get_attribute("aria-sort") is None and order(tab) == as_rendered
    tab.locator(f"{SCORES} input[type=search]").focus()
    tab.keyboard.type("quick -e")
    assert order(tab) == ["maml", "anil"] or order(tab) == []
    tab.locator(f"{SCORES} input[type=search]").fill("proto")
    assert order(tab) == ["protonet"]
    assert tab.locator(f"{SCORES} output").text_content() == "1 of 5 rows"


@WIDTHS
def test_a_hidden_row_leaves_every_figure_and_a_highlighted_one_stands_out(open_page, page_of_rows, width):
    tab = open_page(page_of_rows, width)
    parts = "return [...document.querySelectorAll('.plot')].flatMap((plot) => {{ const {{keys}} = JSON.parse("
    parts += "plot.querySelector('script').textContent); return [...plot.querySelectorAll('[data-row]')].filter((part)"
    parts += " => keys[part.dataset.row] === 'maml').map((part) => getComputedStyle(part).{0}); }});"
    look = lambda what: tab.evaluate("() => {" + parts.format(what) + "}")  # noqa: E731
    assert len(look("display")) > 15 and "none" not in look("display")
    tab.get_by_label("Show maml in figures").first.uncheck()
    assert set(look("display")) == {"none"}
    assert not tab.get_by_label("Show maml in figures").last.is_checked()  # in the table as in the legend
    tab.get_by_label("Show maml in figures").last.press("Space")
    assert "none" not in look("display")
    others = tab.locator(".plot:not(.off) [data-row]:not(.marked)").first
    tab.locator(".legend").get_by_role("button", name="maml").click()
    tab.mouse.move(1, 1)
    assert set(look("opacity")) == {"1"} and float(others.evaluate("(part) => getComputedStyle(part).opacity")) < 0.5
    assert tab.locator(".legend").get_by_role("button", name="maml").get_attribute("aria-pressed") == "true"


def test_one_x_axis_is_chosen_for_learning_curves(open_page, page_of_rows):
    tab = open_page(page_of_rows)
    shown = lambda: [p.get_attribute("data-axis") for p in tab.locator("[data-axis]").all() if p.is_visible()]  # noqa: E731
    assert shown() == ["iterations"]
    tab.get_by_label("x axis").select_option("wall time")
    assert shown() == ["wall time"]


@WIDTHS
def test_a_figure_is_enlarged(open_page, page_of_rows, width):
    tab = open_page(page_of_rows, width)
    svg = tab.locator("#table-1-pareto svg")
    before = svg.bounding_box()["width"]
    tab.get_by_role("button", name="Enlarge Score against cost").press("Enter")
    assert svg.bounding_box()["width"] > 1.5 * before
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.get_by_role("button", name="Enlarge Score against cost").click()
    assert svg.bounding_box()["width"] == before


def test_tables_and_figures_are_downloaded(open_page, page_of_rows):
    tab = open_page(page_of_rows, accept_downloads=True)
    title = tab.locator(f"{SCORES} .scroll").get_attribute("aria-label")
    name, text = downloaded(tab, f"Download {title} as CSV")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert name == "table-1-results.csv" and [row["name"] for row in rows] == order(tab)
    assert float(rows[0]["transductive"]) == pytest.approx(0.905) and rows[0]["dataset"] == "omniglot"
    _, text = downloaded(tab, f"Download {title} as JSON")
    assert json.loads(text)["rows"][0]["transductive"] == pytest.approx(0.905)
    _, text = downloaded(tab, "Download Training seeds as CSV")
    assert {row["run"] for row in csv.DictReader(io.StringIO(text))} >= {"run-maml-0", "run-anil-1"}
    _, text = downloaded(tab, "Download Training seeds as JSON")
    assert json.loads(text)[0]["row"] == "maml"
    tab.get_by_label("Show anil in figures").first.uncheck()
    name, text = downloaded(tab, "Download Learning as SVG")
    assert name == "table-1-curves.svg" and "var(--" not in text and ">protonet<" in text and ">anil<" not in text
    drawn = open_page("<!doctype html>" + text)
    assert drawn.locator("svg").first.bounding_box()["height"] > 300


@WIDTHS
def test_a_link_keeps_the_view(open_page, page_of_rows, width):
    tab = open_page(page_of_rows, width)
    tab.locator(f"{SCORES} th[data-column=gain] button").click()
    tab.locator(f"{SCORES} input[type=search]").fill("l")
    tab.get_by_label("Show anil in figures").first.uncheck()
    tab.get_by_label("x axis").select_option("device time")
    tab.get_by_role("button", name="Enlarge Training seeds").click()
    tab.get_by_role("button", name="Next episode").click()
    state = """() => [...document.querySelectorAll('.large, .off, .hidden-row, [aria-sort], [hidden]')]
        .map((element) => element.outerHTML.slice(0, 60))"""
    assert len(tab.evaluate(state)) > 10
    again = open_page(page_of_rows, width, anchor=tab.evaluate("location.hash"))
    assert again.evaluate(state) == tab.evaluate(state)
    assert again.locator(f"{SCORES} input[type=search]").input_value() == "l"
    again.get_by_role("button", name="Reset view").click()
    assert again.evaluate(state) == open_page(page_of_rows, width).evaluate(state)


def test_links_within_the_page_keep_the_view(open_page, page_of_rows):
    tab = open_page(page_of_rows)
    tab.get_by_role("button", name="Enlarge Training seeds").click()
    tab.locator("summary", has_text="reptile").click()
    tab.locator("details[open] a").first.click()
    tab.wait_for_url("**#large=table-1-seeds&at=environment-1")
    assert tab.locator("#table-1-seeds.large").count() == 1


def test_episodes_are_paged_through(open_page, page_of_rows):
    tab = open_page(page_of_rows)
    shown = lambda: [e.text_content() for e in tab.locator(".episode h4").all() if e.is_visible()]  # noqa: E731
    assert shown() == ["Test episode 0"]
    tab.get_by_role("button", name="Next episode").press("Enter")
    assert shown() == ["Test episode 1"]
    tab.get_by_role("button", name="Next episode").click()
    assert shown() == ["Test episode 0"]


def test_the_page_is_complete_without_its_script(open_page, page_of_rows):
    tab = open_page(page_of_rows, java_script_enabled=False)
    assert tab.locator(".plot").count() == 8 and all(plot.is_visible() for plot in tab.locator(".plot").all())
    assert all(episode.is_visible() for episode in tab.locator(".episode").all())
    assert tab.get_by_role("button").count() == 0 and tab.locator("tbody tr:visible").count() >= 5


def test_another_script_does_not_run(browser, tmp_path, page_of_rows):
    file = tmp_path / "changed.html"
    file.write_text(page_of_rows.replace("</main>", "<script>document.title = 'taken over'</script></main>"), "utf-8")
    tab = browser.new_page()
    refused = []
    tab.on("console", lambda message: refused.append(message.text))
    tab.goto(file.as_uri())
    assert tab.title() != "taken over" and "Content Security Policy" in refused[0]
    tab.close()


@WINDOWS
def test_the_page_has_no_serious_accessibility_fault(open_page, page_of_rows, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab = open_page(page_of_rows, width, scheme)
    tab.locator("details").evaluate_all("(all) => all.forEach((details) => { details.open = true; })")
    tab.get_by_label("Show anil in figures").first.uncheck()
    tab.locator(".legend").get_by_role("button", name="maml").click()
    tab.locator("#table-1-seeds .plot").press("ArrowRight")
    faults = axe.run(tab).response["violations"]
    serious = {
        fault["id"]: [node["html"][:200] for node in fault["nodes"][:3]]
        for fault in faults
        if fault["impact"] in ("serious", "critical")
    }
    assert serious == {}
