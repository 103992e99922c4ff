"""A node's site on the network, as its settings say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from etdb.settings import ServeSettings
from etdb.web.app import create_app
from etdb.web.certificate import load_certificate
from etdb.web.server import serve
from etdb.web.site import Site


def serve_site(
    site: Site, folder: Path, chosen: ServeSettings, on_ready: Callable[[str], object]
) -> None:
    """Serve a site until stopped; files that settings name are below `folder`.

    Raises ConfigError where the certificate cannot be used, and what
    `server.serve` raises.
    """
    certificate = load_certificate(folder, chosen.certificate, chosen.key_file)
    app = create_app(replace(site, max_streams=chosen.max_streams))
    serve(app, chosen.host, chosen.port, on_ready, certificate=certificate)
