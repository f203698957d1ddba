"""The page in a real browser: everything drawn, nothing too wide on a phone or a desktop, no console messages."""

import html
import json
import re
import subprocess
from urllib.parse import unquote

import pytest

from mamlbench.report.across import aggregates, collect_scores
from mamlbench.report.page import render_page

WIDTHS = (390, 1280)

LOOK = """
const result = {};
function look(frame) {
  const page = frame.contentDocument, width = page.documentElement.clientWidth;
  page.querySelectorAll("details").forEach((details) => details.open = true);
  const wide = [...page.body.querySelectorAll("*")].filter((element) => !element.closest(".scroll, svg")
    && element.getBoundingClientRect().right > width + 1).map((element) => element.outerHTML.slice(0, 120));
  result[frame.id] = {
    width, wide, scrolled: page.documentElement.scrollWidth,
    figures: [...page.querySelectorAll(".figures .plot:not(.off) svg")].map((svg) => {
      const box = svg.getBoundingClientRect();
      const marks = [...svg.querySelectorAll("path, use")].filter((mark) => mark.getBoundingClientRect().width > 0);
      return {width: box.width, height: box.height, marks: marks.length, text: svg.textContent.trim().length};
    }),
    tables: [...page.querySelectorAll(".results")].map((table) => table.getBoundingClientRect().height),
    tiles: [...page.querySelectorAll(".episode:not(.off) .tile")].map((tile) => tile.getBoundingClientRect().width),
  };
}
addEventListener("load", () => {
  document.querySelectorAll("iframe").forEach(look);
  document.body.innerHTML = "<pre>found:" + encodeURIComponent(JSON.stringify(result)) + ":found</pre>";
});
"""


@pytest.fixture
def look_at(chromium, tmp_path):
    """Open pages in frames: ``look_at(("name", width, page), ...)`` returns what is drawn, and the console messages."""

    def look(*pages):
        frames = [
            f'<iframe id="{name}" style="width: {width}px; height: 900px; border: 0" srcdoc="{html.escape(page)}">'
            "</iframe>"
            for name, width, page in pages
        ]
        file = tmp_path / "frames.html"
        file.write_text(f"<!doctype html><meta charset=utf-8><body>{''.join(frames)}<script>{LOOK}</script>", "utf-8")
        done = subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--hide-scrollbars",
                "--enable-logging=stderr",
                "--virtual-time-budget=10000",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--window-size=1400,1000",
                "--dump-dom",
                file.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        (output,) = re.findall(r"found:(\S*?):found", done.stdout) or [
            pytest.fail(done.stdout[-500:] + done.stderr[-2000:])
        ]
        return json.loads(unquote(output)), [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return look


def test_the_page_is_drawn_and_fits_without_console_messages(look_at, make_run, artifact):
    runs = [
        make_run("maml"),
        make_run("reptile", score=0.7, options={"a_rather_long_name_of_an_option": 0.123456789}),
        make_run("reptile", score=0.6),
        make_run("pretrain", status="failed", reason="x" * 400),
        make_run("a-name-that-is-much-longer-than-others", score=0.8),
    ]
    page = render_page(runs, [artifact("maml-0")], columns=["all"])
    seen, console = look_at(*((str(width), width, page) for width in WIDTHS))
    assert console == []
    for width in WIDTHS:
        drawn = seen[str(width)]
        assert (drawn["width"], drawn["wide"]) == (width, []) and drawn["scrolled"] <= width
        assert len(drawn["figures"]) == 6 and len(drawn["tables"]) == 1 and len(drawn["tiles"]) == 4
        for figure in drawn["figures"]:
            assert figure["width"] > 250 and figure["height"] > 100 and figure["marks"] > 10 and figure["text"] > 20
        assert min(drawn["tables"]) > 100 and min(drawn["tiles"]) > 30


@pytest.mark.slow
def test_a_comparison_across_data_sets_is_drawn_and_fits(look_at, make_run, monkeypatch):
    for name in ("RESAMPLES", "CELL_RESAMPLES", "CURVE_RESAMPLES"):
        monkeypatch.setattr(aggregates, name, 100)
    names = ("maml", "reptile", "a-name-that-is-much-longer-than-others")
    runs = [
        make_run(name, score=0.9 - index / 10 + shots / 100, seed=seed, shots=shots)
        for index, name in enumerate(names)
        for shots in range(1, 6)
        for seed in range(3)
    ]
    page = render_page(runs, columns=["score"], across=collect_scores(runs))
    seen, console = look_at(*((str(width), width, page) for width in WIDTHS))
    assert console == []
    for width in WIDTHS:
        drawn = seen[str(width)]
        assert drawn["wide"] == [] and drawn["scrolled"] <= width
        assert len(drawn["tables"]) == 6 + 5 and min(drawn["tables"]) > 80
        for figure in drawn["figures"][:5]:
            assert figure["width"] > 250 and figure["height"] > 90 and figure["marks"] > 5 and figure["text"] > 20


def test_a_page_that_is_too_wide_or_logs_errors_is_detected(look_at):
    bad = "<body><div style='width: 900px'>wide</div><script>console.error('planted')</script>"
    seen, console = look_at(("bad", 390, bad))
    assert seen["bad"]["wide"] and seen["bad"]["scrolled"] > 390 and seen["bad"]["figures"] == []
    assert len(console) == 1 and "planted" in console[0]
