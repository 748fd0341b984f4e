"""httpbin as a process of its own: prints its port in one line, then serves until it is terminated."""

import sys

from httpbin import app
from support.addresses import HOST
from werkzeug.serving import WSGIRequestHandler, make_server


class Handler(WSGIRequestHandler):
    """Speaks HTTP/1.1, so that chunked bodies and kept connections are real."""

    protocol_version = "HTTP/1.1"


def main() -> None:
    server = make_server(HOST, 0, app, threaded=True, request_handler=Handler)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
