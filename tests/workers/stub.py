"""A child that needs a twentieth of a second to start: it says who it is to everyone who connects, and counts them.

The standard library alone, so that `python -S` can run it. A file named `broken` beside it lets it fail at the start.
"""

import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path


class Stub:
    def __init__(self, role: dict[str, object]) -> None:
        self.role, self.served, self.waiting = role, 0, b""
        self.control = socket.socket(fileno=role["control"])
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.control, selectors.EVENT_READ, self.hear)
        self.accepted: set[int] = set()

    def say(self, **document: object) -> None:
        self.control.sendall(json.dumps(document).encode() + b"\n")

    def run(self) -> None:
        self.say(ready=True, banner="it stands" if self.role["first"] else "", alive=True)
        while True:
            for key, _ in self.selector.select(timeout=0.2):
                key.data()
            self.say(alive=True)

    def hear(self) -> None:
        piece = self.control.recv(1 << 16)
        if not piece:
            os._exit(3)  # the supervisor has gone
        self.waiting += piece
        *lines, self.waiting = self.waiting.split(b"\n")
        for line in lines:
            self.do(json.loads(line))

    def do(self, wish: dict[str, object]) -> None:
        if wish["do"] == "accept":
            self.accept({fd for place in wish["places"] for fd in self.role["listening"][place]})
        elif wish["do"] == "retire":
            leave()
        elif wish["do"] == "figures":
            samples = [["stub_connections_total", {}, self.served]]
            self.say(figures=[["stub_connections", "counter", "All.", samples]])
        elif wish["do"] == "answer":
            Path(self.role["folder"], "answer").write_text(json.dumps(wish["figures"]))

    def accept(self, wanted: set[int]) -> None:
        for fd in self.accepted - wanted:
            self.selector.unregister(fd)
        for fd in wanted - self.accepted:
            self.selector.register(fd, selectors.EVENT_READ, lambda fd=fd: self.greet(fd))
        self.accepted = wanted

    def greet(self, fd: int) -> None:
        try:
            connection, _ = socket.socket(fileno=os.dup(fd)).accept()
        except BlockingIOError:
            return
        self.served += 1
        connection.sendall(json.dumps({"life": self.role["life"], "pid": os.getpid()}).encode())
        connection.close()
        if self.role["kind"] == "worker" and self.served == 1:
            self.say(all_figures=True)


def leave(*_: object) -> None:
    os._exit(0)


if __name__ == "__main__":
    mine = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, leave)
    if Path(mine["folder"], "broken").exists():
        sys.exit(2)
    Stub(mine).run()
