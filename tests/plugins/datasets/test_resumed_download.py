"""Downloads that go on where they stopped, from a server of the test."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mamlbench.api import no_progress
from mamlbench_plugins.datasets import resumed_download
from mamlbench_plugins.datasets.resumed_download import BLOCK, download_file

CONTENT = bytes(range(256)) * 1000
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Sends CONTENT, and at most ``most`` bytes of it to each of the first ``broken`` requests."""

    ranges, broken, most, status = True, 0, 12 * BLOCK, 0

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requested = []
        self.url = f"http://127.0.0.1:{self.server_port}/file.zip"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, begin = self.server, 0
        asked = self.headers.get("Range")
        server.requested.append(asked)
        if server.status:
            self.send_error(server.status)
            return
        if asked and server.ranges:
            begin = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.send_response(200)
        content = CONTENT[begin:]
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if server.broken:
            server.broken -= 1
            content = content[: server.most]
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(resumed_download, "WAIT_SECONDS", 0)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_is_downloaded_and_its_bytes_are_counted(server, tmp_path, capsys):
    seen = []
    download_file(server.url, tmp_path / "new" / "file.zip", CHECKSUM, lambda *event: seen.append(event))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.zip"]
    assert (tmp_path / "new" / "file.zip").read_bytes() == CONTENT
    assert seen[-1] == ("file.zip", len(CONTENT), len(CONTENT))
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


@pytest.mark.parametrize("ranges", [True, False])
def test_after_a_broken_connection_only_the_rest_is_requested(server, tmp_path, ranges):
    server.broken, server.ranges = 2, ranges
    download_file(server.url, tmp_path / "file.zip", CHECKSUM, no_progress)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    assert server.requested[:2] == [None, f"bytes={12 * BLOCK}-"] and len(server.requested) == 3


@pytest.mark.parametrize("owner", ["", "of a process that was killed."])
def test_a_later_process_goes_on_with_what_has_arrived(server, tmp_path, monkeypatch, owner):
    monkeypatch.setattr(resumed_download, "owner_has_ended", lambda name: name == owner.rstrip("."))
    (tmp_path / f".file.zip.{owner}part").write_bytes(CONTENT[:1000])
    download_file(server.url, tmp_path / "file.zip", CHECKSUM, no_progress)
    assert server.requested == ["bytes=1000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["file.zip"]


def test_what_another_process_downloads_is_left_alone(server, tmp_path, monkeypatch):
    monkeypatch.setattr(resumed_download, "owner_has_ended", lambda name: False)
    (tmp_path / ".file.zip.another.part").write_bytes(CONTENT[:1000])
    download_file(server.url, tmp_path / "file.zip", CHECKSUM, no_progress)
    assert server.requested == [None] and (tmp_path / ".file.zip.another.part").exists()


def test_a_failed_download_keeps_what_has_arrived_and_the_next_goes_on(server, tmp_path):
    server.broken = resumed_download.ATTEMPTS
    server.most = BLOCK
    with pytest.raises(OSError, match=r"bytes|IncompleteRead|broken"):
        download_file(server.url, tmp_path / "file.zip", CHECKSUM, no_progress)
    assert [path.name for path in tmp_path.iterdir()] == [".file.zip.part"]
    download_file(server.url, tmp_path / "file.zip", CHECKSUM, no_progress)
    assert (
        server.requested[-1] == f"bytes={server.most * resumed_download.ATTEMPTS}-"
        and (tmp_path / "file.zip").read_bytes() == CONTENT
    )


def test_another_file_than_the_published_one_is_refused_and_not_kept(server, tmp_path):
    with pytest.raises(OSError, match="is not the published file: its checksum differs"):
        download_file(server.url, tmp_path / "file.zip", f"md5:{'0' * 32}", no_progress)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (503, resumed_download.ATTEMPTS)])
def test_only_failures_that_may_pass_are_tried_again(server, tmp_path, status, requests):
    server.status = status
    with pytest.raises(OSError, match=str(status)):
        download_file(server.url, tmp_path / "file.zip", CHECKSUM, no_progress)
    assert len(server.requested) == requests
