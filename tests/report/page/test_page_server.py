"""The server of a page: loopback only, read only, up to date; and the page in a browser."""

import http.client
import socket
import threading

import pytest

from mamlbench.errors import ConfigError
from mamlbench.record import ResultStore
from mamlbench.record.claims import ClaimWatcher
from mamlbench.report.page import live_page, render_page
from mamlbench.report.page.live_page import LivePage
from mamlbench.report.page.page_server import PageServer


def render(loaded, running, version):
    return render_page(loaded.records, loaded.files, problems=loaded.problems, running=running, live=version)


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Serve the folder ``tmp_path / "results"``: ``serve(render)`` returns the server."""
    monkeypatch.setattr(live_page, "LOOK_SECONDS", 0)
    threads = []

    def start(render):
        server = PageServer(LivePage([tmp_path / "results"], render), 0)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        threads.append((server, thread))
        return server

    yield start
    for server, thread in threads:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(server, path="/version", method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    response = connection.getresponse()
    content = response.read().decode()
    connection.close()
    return response, content


def test_the_page_changes_with_the_records_and_with_runs_in_progress(serve, tmp_path, make_run):
    server, store = serve(render), ResultStore(tmp_path / "results")
    _, version = ask(server)
    assert "There is no record yet." in ask(server, "/")[1]  # not even the folder
    (tmp_path / "results" / "next").mkdir(parents=True)
    with ClaimWatcher().take(tmp_path / "results" / "next"):
        _, running = ask(server)
        assert running != version and ">next<" in ask(server, "/")[1]
    store.write("one", make_run("maml", status="failed", reason="disk full"))
    _, recorded = ask(server)
    page = ask(server, "/")[1]
    assert recorded not in {version, running} and f'data-version="{recorded}"' in page and "disk full" in page
    assert (ask(server)[1], ">next<" in page) == (recorded, False)


def test_a_file_that_has_not_changed_is_not_read_again(serve, tmp_path, make_run, monkeypatch):
    store = ResultStore(tmp_path / "results")
    store.folder.mkdir()
    store.write("one", make_run(status="failed"))
    reads = []
    read = live_page.read_records
    monkeypatch.setattr(live_page, "read_records", lambda paths: reads.append(paths) or read(paths))
    server = serve(lambda loaded, running, version: f"{len(loaded.records)} records")
    assert ask(server, "/")[1] == "1 records"
    store.write("two", make_run(status="failed", seed=1))
    assert ask(server, "/")[1] == "2 records" and [path.stem for (path,) in reads] == ["one", "two"]
    (store.folder / "one.json").unlink()
    assert ask(server, "/")[1] == "1 records" and len(reads) == 2


def test_only_requests_to_this_machine_are_answered(serve):
    server = serve(lambda *_: "page")
    port = server.server_port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert ask(server, "/", host=host)[0].status == 200
    for host in ("", "127.0.0.1", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", f"127.0.0.1:{port + 1}"):
        response, content = ask(server, "/", host=host)
        assert response.status == 403 and "page" not in content
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_the_server_is_read_only(serve, method):
    response, _ = ask(serve(lambda *_: "page"), "/", method)
    assert response.status == 405 and response.headers["Allow"] == "GET, HEAD"


def test_answers_are_not_stored_and_other_paths_do_not_exist(serve):
    server = serve(lambda *_: "page")
    response, content = ask(server, "/?a=b")
    assert content == "page" and response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store" and response.headers["X-Content-Type-Options"] == "nosniff"
    assert ask(server, "/", "HEAD")[1] == ""
    for path in ("/../../etc/passwd", "/results/one.json", "/version/"):
        assert ask(server, path)[0].status == 404


def test_an_error_is_an_answer_and_the_next_request_succeeds(serve):
    errors = [ConfigError("There is no column 'x'."), ValueError("a plugin's mistake")]

    def failing(*_):
        if errors:
            raise errors.pop(0)
        return "page"

    server = serve(failing)
    response, content = ask(server, "/")
    assert (response.status, content) == (500, "There is no column 'x'.\n")
    assert ask(server, "/")[1] == "ValueError: a plugin's mistake\n" and ask(server, "/")[1] == "page"


def test_a_port_that_is_taken_is_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"Port {port} of 127.0.0.1 cannot be used .* another with --port, or"):
            PageServer(LivePage([], render), port)


@pytest.mark.slow
def test_the_page_in_a_browser_updates_and_keeps_the_view(serve, open_page, tmp_path, make_record):
    store = ResultStore(tmp_path / "results")
    store.folder.mkdir()
    store.write("one", make_record("maml"))
    server = serve(render)
    tab = open_page(server.url, anchor="#sort.table-1-results=algorithm")
    assert tab.locator("tr[data-key]").count() == 1
    store.write("two", make_record("reptile", seed=1))
    tab.locator("tr[data-key]").nth(1).wait_for()
    assert tab.evaluate("location.hash") == "#sort.table-1-results=algorithm"
    assert tab.locator("th[aria-sort=ascending]").count() == 1
