"""A daemon that only repeats what it was given, so that it costs next to nothing.

    python -m bench.canned_daemon FILE

FILE holds a line for each block from height 0: hash, raw hex. Prints the port.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, blocks: list[tuple[str, str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.hashes = [f'"{block_hash}"' for block_hash, _ in blocks]
        self.raws = {block_hash: f'"{raw}"' for block_hash, raw in blocks}

    def result(self, method: str, params: list[Any]) -> str:
        match method:
            case "getblockhash":
                return self.hashes[int(params[0])]
            case "getblock":
                return self.raws[str(params[0])]
            case "getblockcount":
                return str(len(self.hashes) - 1)
            case "getbestblockhash":
                return self.hashes[-1]
        raise ValueError(method)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Answer one call or a batch."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        calls = request if isinstance(request, list) else [request]
        answers = [
            f'{{"result":{self.server.result(call["method"], call["params"])},'
            f'"error":null,"id":{call["id"]}}}'
            for call in calls
        ]
        text = f"[{','.join(answers)}]" if isinstance(request, list) else answers[0]
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def main() -> None:
    """Serve until killed."""
    lines = Path(sys.argv[1]).read_text("ascii").splitlines()
    pairs = [line.split() for line in lines]
    server = _Server([(block_hash, raw) for block_hash, raw in pairs])
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
