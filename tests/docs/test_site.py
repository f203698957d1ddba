"""The documentation site: built without a warning, complete, and no wider than the screen it is read on."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

import mamlbench
import mamlbench.api

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md"))
WIDTHS = (390, 1280)
pytestmark = pytest.mark.acceptance

LOOK = """
addEventListener("load", () => {
  const sizes = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument;
    return [frame.id, page.documentElement.clientWidth, page.documentElement.scrollWidth, page.body.innerText.length];
  });
  document.body.innerHTML = "<pre>found:" + encodeURIComponent(JSON.stringify(sizes)) + ":found</pre>";
});
"""


def build(source, target):
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", target / "doctrees", source, target / "site"]
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site as built from the pages there are."""
    folder = tmp_path_factory.mktemp("site")
    done = build(DOCS, folder)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_every_page_is_there(site):
    assert {"index", "tutorial", "explanation", "reference", "python", "how-to/dataset"} <= set(PAGES)
    assert not [page for page in PAGES if not (site / f"{page}.html").is_file()]


def test_every_public_class_and_function_is_in_the_python_reference(site):
    page = "".join(file.read_text(encoding="utf-8") for file in sorted((site / "api").glob("*.html")))
    named = {f"mamlbench.{name}" for name in ("run", "evaluate", "adapt", "load_records")} | {
        f"mamlbench.api.{name}"
        for name in mamlbench.api.__all__
        if callable(getattr(mamlbench.api, name))
        and getattr(getattr(mamlbench.api, name), "__module__", "").startswith("mamlbench")
    }
    assert len(named) > 50
    assert not [name for name in sorted(named) if f'id="{name}"' not in page]
    assert page.count('class="viewcode-link"') > len(named)


@pytest.mark.parametrize(
    "line", ["[nowhere](nowhere.md)", "```{eval-rst}\n.. autofunction:: mamlbench.api.nothing\n```"]
)
def test_a_warning_fails_the_build(tmp_path, line):
    shutil.copytree(DOCS / "_static", tmp_path / "docs" / "_static")
    shutil.copy(DOCS / "conf.py", tmp_path / "docs")
    (tmp_path / "docs" / "index.md").write_text("# A page\n")
    assert build(tmp_path / "docs", tmp_path).returncode == 0
    (tmp_path / "docs" / "index.md").write_text(f"# A page\n\n{line}\n")
    done = build(tmp_path / "docs", tmp_path)
    assert done.returncode != 0 and "WARNING" in done.stderr


def test_no_page_is_wider_than_a_phone_or_a_desk(site, chromium, tmp_path):
    frames = [
        f'<iframe id="{page}" style="width: {width}px; height: 900px; border: 0" src="{(site / page).as_uri()}.html">'
        "</iframe>"
        for page in PAGES
        for width in WIDTHS
    ]
    file = site / "frames-of-the-test.html"
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
            "--allow-file-access-from-files",
            "--virtual-time-budget=20000",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1400,1000",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    (sizes,) = re.findall(r"found:(\S*?):found", done.stdout) or [pytest.fail(done.stdout[-500:] + done.stderr[-2000:])]
    seen = json.loads(unquote(sizes))
    assert len(seen) == len(PAGES) * len(WIDTHS)
    assert not [page for page, client, scroll, _ in seen if scroll > client]
    assert not [page for page, client, _, length in seen if client not in WIDTHS or length < 100]
