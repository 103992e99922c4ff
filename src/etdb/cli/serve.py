"""`etdb serve`: pages, API and files over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from etdb.cli.options import NodeOption, open_node
from etdb.cli.terminal import say


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = None,
    node: NodeOption = None,
) -> None:
    """Serve this node's pages, API and files until Ctrl-C.

    It listens on 127.0.0.1:8000 unless told otherwise. With a certificate
    (serve.certificate and serve.key_file, see etdb config) it speaks https.

    \b
    Examples:
        etdb serve --node ~/etdb
        etdb serve --host 0.0.0.0 --port 80
    """
    flags = {"serve.host": host, "serve.port": port}
    with open_node(node, flags) as opened:
        opened.serve(
            lambda url: say(f"Serving {opened.folder} at {url} (Ctrl-C stops)")
        )
