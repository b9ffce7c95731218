"""What can go wrong between a client and a real node."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, List, Optional
from urllib.parse import urlsplit


class Proxy:
    """Passes requests on, or does to them what ``faults`` says; ``sdk/README.md`` tells what each of them means."""

    def __init__(self, target: Callable[[], str]) -> None:
        self.target = target
        self.faults: List[str] = []
        """What happens to the next requests, one each."""
        self.requests = 0
        """How many requests came."""
        self._lock = threading.Lock()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def next_fault(self) -> Optional[str]:
        with self._lock:
            self.requests += 1
            return self.faults.pop(0) if self.faults else None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: Proxy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        fault = self.owner.next_fault()
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        # Each request has a connection of its own, so that a fault meets no other.
        self.close_connection = True
        try:
            self._answer(fault, body)
        except OSError:
            # The client has had enough, which is what some faults are for.
            pass

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answer(self, fault: Optional[str], body: bytes) -> None:
        if fault in (None, "lose", "cut"):
            self._forward(fault, body)
        elif fault == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "stall":
            self._until_client_leaves()
        elif fault == "drip":
            self._send(200, "application/json", None)
            while True:
                self.wfile.write(b" ")
                time.sleep(0.05)
        elif fault == "busy":
            self._send(503, "application/json", b'{"error":"busy"}', ("retry-after", "0"))
        elif fault == "garbage":
            self._send(200, "text/html", b"<html>hello</html>")
        elif fault == "stranger":
            self._send(404, "text/html", b"<html>not here</html>")
        elif fault == "redirect":
            self._send(302, "text/html", b"", ("location", f"{self.owner.target()}/api/v1/tasks"))
        else:
            raise AssertionError(f"the table says {fault}, which means nothing")

    def _send(self, status: int, kind: str, body: Optional[bytes], *headers: "tuple[str, str]") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("connection", "close")
        for name, value in headers:
            self.send_header(name, value)
        if body is not None:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def _until_client_leaves(self) -> None:
        while self.connection.recv(1024):
            pass

    def _forward(self, fault: Optional[str], body: bytes) -> None:
        target = urlsplit(self.owner.target())
        onward = http.client.HTTPConnection(target.hostname or "", target.port)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        onward.request(self.command, self.path, body or None, headers)
        answer = onward.getresponse()
        if fault == "lose":
            answer.read1(1)
            self.connection.shutdown(socket.SHUT_RDWR)
            onward.close()
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date"):
                self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        text = b""
        while piece := answer.read1(65536):
            text += piece
            if fault != "cut":
                self.wfile.write(piece)
                self.wfile.flush()
                continue
            # The first event passes whole, the next one up to the middle of its data.
            second = text.find(b"data:", text.find(b"data:") + 1)
            if 0 <= second and second + 12 <= len(text):
                self.wfile.write(text[: second + 12])
                break
        onward.close()
