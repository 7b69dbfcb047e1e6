"""`python -m server notify`: a test is sent from the command line, and the list says how it went."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from server.cli.main import main
from server.config.notify_parsers import webhook_secret

SECRET = "whsec_" + base64.b64encode(bytes(24)).decode()


class Receiver(BaseHTTPRequestHandler):
    """Takes the first message, and no other."""

    status = 204

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(type(self).status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        type(self).status = 503

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store and a receiver of webhooks."""
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("STORE_URL", f"sqlite:///{tmp_path}/fairgate.db")
        monkeypatch.setenv("NOTIFY_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
        monkeypatch.setenv("NOTIFY_WEBHOOK_SECRET", SECRET)
        yield
        server.shutdown()
        thread.join()


def test_a_test_is_sent_and_listed_and_one_that_fails_says_so(hook: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["user", "create", "ada"]) == 0
    assert main(["user", "change", "ada", "--no-mails"]) == 0
    capsys.readouterr()
    assert main(["user", "list", "--json"]) == 0
    assert {each["name"]: each["mails"] for each in json.loads(capsys.readouterr().out)}["ada"] is False
    assert main(["notify", "test"]) == 0
    assert "sent" in capsys.readouterr().out
    assert main(["notify", "test"]) == 1
    found = capsys.readouterr()
    assert "status 503" not in found.out  # in words, for people
    assert "(503)" in found.out
    assert "a message was not sent" in found.err
    assert main(["notify", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert sorted((each["state"], each["failure"]) for each in listed) == [("sent", ""), ("waiting", "status 503")]


def test_a_secret_is_one_that_the_setting_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notify", "new-secret"]) == 0
    made = capsys.readouterr().out.strip()
    assert webhook_secret(made) is not None
    assert main(["notify", "new-secret"]) == 0
    assert capsys.readouterr().out.strip() != made
