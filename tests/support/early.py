"""An upstream that does not listen: it answers a request's head at once, whatever content is still to come."""

import socketserver
import threading
from typing import cast

from support.addresses import HOST
from support.scripts import answer


class EarlyUpstream(socketserver.ThreadingTCPServer):
    """Answers with the words of the request line; closes the connection after a target that ends in `/close`.

    `heard` holds the first line of whatever it took for a request.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Exchanges)
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "EarlyUpstream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"


class _Exchanges(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        try:
            while line := self.rfile.readline():
                self._answer(line.decode("latin-1").strip())
                if "/close " in line.decode("latin-1"):
                    return
        except ConnectionError:
            pass

    def _answer(self, line: str) -> None:
        while self.rfile.readline().strip():
            pass
        cast("EarlyUpstream", self.server).heard.append(line)
        self.wfile.write(answer(line))
