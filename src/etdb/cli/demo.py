"""`etdb demo`: a whole sample lab, made, published and served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etdb.cli.publication import Publication
from etdb.cli.terminal import TerminalProgress, say
from etdb.demo.lab import build_lab
from etdb.node import Node

LAB = "etdb demo lab (synthetic)"
BANNER = "Demo: every dataset on this site is synthetic, simulated by etdb itself."


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the lab and its node.")
    ] = Path(".demo"),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port.")] = 8000,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve the demo once it is made.")
    ] = True,
) -> None:
    """Simulate a lab, publish its datasets and serve them.

    Twelve bacteria are simulated, seen through a tilt series with noise and a
    missing wedge, and reconstructed. Stopped at any moment, the same command
    goes on where it was.

    \b
    Example:
        etdb demo .demo
    """
    node_folder = folder / "node"
    if not node_folder.exists():
        chosen = {"lab.name": LAB, "lab.license": "CC0-1.0", "serve.banner": BANNER}
        Node.create(
            node_folder, chosen=chosen, is_test=True, progress=TerminalProgress()
        )
    datasets = build_lab(folder / "lab", TerminalProgress())
    flags: dict[str, str | int | bool | None] = {
        "serve.host": host,
        "serve.port": port,
    }
    with Node.open(node_folder, environ={}, flags=flags) as node:
        with node.publishing():
            run = Publication(node, shows_plans=False)
            run.resume()
            run.publish(datasets, {}, assume_yes=True)
        if serve:
            node.serve(lambda url: say(f"The demo lab is at {url} (Ctrl-C stops it)"))
