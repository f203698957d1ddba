"""The page in a real browser: drawn, nothing too wide on a phone or a desk, nothing in the console."""

import html
import json
import re
import subprocess
from urllib.parse import unquote

import pytest

from mamlbench.report.page import render_page

WIDTHS = (390, 1280)

LOOK = """
const found = {};
function look(frame) {
  const page = frame.contentDocument, width = page.documentElement.clientWidth;
  page.querySelectorAll("details").forEach((each) => each.open = true);
  const wide = [...page.body.querySelectorAll("*")].filter((each) => !each.closest(".scroll, svg")
    && each.getBoundingClientRect().right > width + 1).map((each) => each.outerHTML.slice(0, 120));
  found[frame.id] = {
    width, wide, scrolled: page.documentElement.scrollWidth,
    figures: [...page.querySelectorAll(".figures svg")].map((each) => {
      const box = each.getBoundingClientRect();
      const marks = [...each.querySelectorAll("path, use")].filter((mark) => mark.getBoundingClientRect().width > 0);
      return {width: box.width, height: box.height, marks: marks.length, text: each.textContent.trim().length};
    }),
    tables: [...page.querySelectorAll(".results")].map((each) => each.getBoundingClientRect().height),
    tiles: [...page.querySelectorAll(".tile")].map((each) => each.getBoundingClientRect().width),
  };
}
addEventListener("load", () => {
  document.querySelectorAll("iframe").forEach(look);
  document.body.innerHTML = "<pre>found:" + encodeURIComponent(JSON.stringify(found)) + ":found</pre>";
});
"""


@pytest.fixture
def look_at(chromium, tmp_path):
    """``look_at(("name", width, page), ...)`` opens pages in frames and gives what is seen, and the console."""

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
        (found,) = re.findall(r"found:(\S*?):found", done.stdout) or [
            pytest.fail(done.stdout[-500:] + done.stderr[-2000:])
        ]
        return json.loads(unquote(found)), [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return look


def test_the_page_is_drawn_fits_and_is_quiet(look_at, make_run, artifact):
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
        found = seen[str(width)]
        assert (found["width"], found["wide"]) == (width, []) and found["scrolled"] <= width
        assert len(found["figures"]) == 8 and len(found["tables"]) == 1 and len(found["tiles"]) == 8
        for figure in found["figures"]:
            assert figure["width"] > 250 and figure["height"] > 100 and figure["marks"] > 10 and figure["text"] > 20
        assert min(found["tables"]) > 100 and min(found["tiles"]) > 30


def test_a_page_that_is_too_wide_or_complains_is_noticed(look_at):
    bad = "<body><div style='width: 900px'>wide</div><script>console.error('planted')</script>"
    seen, console = look_at(("bad", 390, bad))
    assert seen["bad"]["wide"] and seen["bad"]["scrolled"] > 390 and seen["bad"]["figures"] == []
    assert len(console) == 1 and "planted" in console[0]
