"""`python -m server queue`: what runs and waits, as the running gateway says it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from server.cli.main import main
from server.cli.queue import by_flow, by_model
from server.config.settings import SETTINGS

KEY = "an administrator's key, long enough"


def request(person: str, model: str, state: str, wait: float = 0.0) -> dict[str, Any]:
    return {"person": f"usr_{person}", "name": person, "model": model, "state": state, "expected_seconds": wait}


LIVE = [
    request("ada", "m1", "running"),
    request("ada", "m1", "queued", 2.0),
    request("bob", "m1", "queued", 8.04),
    request("bob", "m0", "running"),
]


def test_each_model_and_each_person_has_a_line_with_the_range_of_the_waits() -> None:
    assert by_model(LIVE) == [("m0", 1, 0, None, 1), ("m1", 1, 2, "2.0 s – 8.0 s", 2)]
    assert by_flow(LIVE) == [
        ("m0", "bob", 1, 0, None),
        ("m1", "ada", 1, 1, "2.0 s"),
        ("m1", "bob", 0, 1, "8.0 s"),
    ]


ANSWERS = {
    "/api/admin/queue": {"data": LIVE},
    "/api/admin/keys/k1": {
        **{"upstream": "openai", "id": "k1", "hint": "…dded", "state": "revoked", "owner": None, "check": ""},
        **{"why": ["The provider does not accept it."], "next": ["A test is due now."], "left": ["Today $0.00."]},
    },
}


class Gateway(BaseHTTPRequestHandler):
    """Answers as a gateway does to the administrator alone."""

    def do_GET(self) -> None:
        let_in = self.headers["Authorization"] == f"Bearer {KEY}"
        self.send_response((200 if self.path in ANSWERS else 404) if let_in else 401)
        self.end_headers()
        self.wfile.write(json.dumps(ANSWERS.get(self.path) if let_in else {}).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def gateway() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield str(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_running_gateway_is_asked_with_a_credential_that_is_no_argument(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with gateway() as port:
        there = ["--host", "127.0.0.1", "--port", port, "queue"]
        assert main([*there, "--json"], lambda: f"{KEY}\n") == 0
        assert json.loads(capsys.readouterr().out) == LIVE
        monkeypatch.setenv("ADMIN_KEY", KEY)
        assert main(there, lambda: "") == 0
        assert "m1     ada" in capsys.readouterr().out
        monkeypatch.setenv("ADMIN_KEY", "another key, long enough as well")
        assert main(there, lambda: "") == 1
        assert "wants ADMIN_KEY" in capsys.readouterr().err


def test_a_key_is_shown_with_the_sentences_of_its_card(capsys: pytest.CaptureFixture[str]) -> None:
    with gateway() as port:
        there = ["--host", "127.0.0.1", "--port", port, "key", "show"]
        assert main([*there, "k1"], lambda: KEY) == 0
        assert capsys.readouterr().out.splitlines() == [
            *("openai  k1  …dded  revoked", "The provider does not accept it.", "A test is due now."),
            *("Today $0.00.", "Owner: not said."),
        ]
        assert main([*there, "k2"], lambda: KEY) == 1
        assert "knows nothing of this name" in capsys.readouterr().err


def test_a_gateway_that_does_not_run_is_named_with_the_options_that_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "127.0.0.1", "--port", "9", "queue"], lambda: KEY) == 1
    assert "no gateway answers at 127.0.0.1 port 9: --host and --port" in capsys.readouterr().err
