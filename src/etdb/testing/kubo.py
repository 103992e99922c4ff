"""A real Kubo on loopback that talks to nobody.

It is built from a small Go module that pins it, once, and kept. A `Kubo` has a
repository of its own; `running` is its daemon for the length of a block.

    kubo = Kubo.create(build_kubo(module, cache), tmp_path / "kubo" / "repo")
    with kubo.running():
        kubo.run("pin", "add", cid)
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etdb.durable import lock
from etdb.errors import UnavailableError

PROGRAM = "github.com/ipfs/kubo/cmd/ipfs"
BUILD_WAIT_S = 1200.0
_ALONE: Mapping[str, Any] = {
    "Bootstrap": [],
    "AutoConf": {"Enabled": False},
    "AutoTLS": {"Enabled": False},
    "AutoNAT": {"ServiceMode": "disabled"},
    "DNS": {"Resolvers": {}},
    "Discovery": {"MDNS": {"Enabled": False}},
    "Ipns": {"DelegatedPublishers": []},
    "Provide": {"Enabled": False},
    "Routing": {"Type": "none", "DelegatedRouters": []},
    "Addresses": {
        "Swarm": ["/ip4/127.0.0.1/tcp/0"],
        "API": "/ip4/127.0.0.1/tcp/0",
        "Gateway": "/ip4/127.0.0.1/tcp/0",
    },
    "Swarm": {
        "DisableNatPortMap": True,
        "RelayClient": {"Enabled": False},
        "EnableHolePunching": False,
        "Transports": {"Network": {"Relay": False}},
    },
}


def build_kubo(module: Path, cache: Path) -> Path:
    """The program, from the Go module that pins it; built where it is not yet.

    Raises UnavailableError where Go is missing, too old, or fails.
    """
    files = [module / name for name in ("go.mod", "go.sum", "tools.go")]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    folder = cache / "kubo"
    program, done = folder / "ipfs", folder / "built"
    folder.mkdir(parents=True, exist_ok=True)
    with lock(cache / "kubo.lock", "building Kubo", wait_s=BUILD_WAIT_S):
        if not done.exists() or done.read_text("utf-8") != wanted:
            # In the module's folder an older Go fetches the one it names.
            _go(module, "version")
            _go(module, "build", "-trimpath", "-o", str(program), PROGRAM)
            done.write_text(wanted, "utf-8")
    return program


def _go(module: Path, *words: str) -> None:
    environment = os.environ | {
        "GOTOOLCHAIN": "auto",
        "GOFLAGS": "-mod=readonly",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    try:
        done = subprocess.run(  # noqa: S603 - words of our own
            ["go", *words],  # noqa: S607 - wherever it is installed
            cwd=module,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as exc:
        msg = "go is missing: install Go 1.26, or 1.21 and later that fetches it"
        raise UnavailableError(msg) from exc
    if done.returncode != 0:
        msg = f"go {words[0]} could not make Kubo: {done.stderr[-800:]}"
        raise UnavailableError(msg)


@dataclass(frozen=True)
class Kubo:
    """One repository, and the program that keeps it."""

    program: Path
    repo: Path

    @classmethod
    def create(
        cls,
        program: Path,
        repo: Path,
        *,
        profile: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> Kubo:
        """Make a repository that knows of nobody; `settings` go over that."""
        repo.mkdir(parents=True)
        kubo = cls(program, repo)
        kubo.run("init", "--empty-repo", *(["--profile", profile] if profile else []))
        kubo.configure(_ALONE)
        kubo.configure(settings or {})
        return kubo

    @property
    def api_url(self) -> str:
        """Where the daemon takes commands."""
        words = (self.repo / "api").read_text("utf-8").strip().split("/")
        return f"http://{words[2]}:{words[4]}"

    @property
    def gateway_url(self) -> str:
        """Where the daemon serves content."""
        return (self.repo / "gateway").read_text("utf-8").strip()

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change settings; a daemon must be started anew to see them."""
        path = self.repo / "config"
        config = _merged(json.loads(path.read_text("utf-8")), settings)
        path.write_text(json.dumps(config), "utf-8")

    def run(self, *words: object) -> str:
        """What one command prints. AssertionError, with its words, if it fails."""
        done = subprocess.run(  # noqa: S603 - words of the test's own
            [str(self.program), *map(str, words)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Its daemon; when the block ends it is stopped."""
        errors = self.repo / "daemon.log"
        with (
            errors.open("wb") as log,
            subprocess.Popen(  # noqa: S603 - the program that was built here
                [str(self.program), "daemon"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            assert process.stdout is not None
            try:
                is_ready = any("Daemon is ready" in line for line in process.stdout)
                assert is_ready, errors.read_text("utf-8")
                # A pipe that nobody reads would stop it once it is full.
                rest = threading.Thread(target=process.stdout.read)
                rest.start()
                yield
            finally:
                process.terminate()
            rest.join()

    @property
    def _environment(self) -> dict[str, str]:
        return os.environ | {"IPFS_PATH": str(self.repo), "IPFS_TELEMETRY": "off"}


def _merged(config: Any, changes: Any) -> Any:
    if not isinstance(config, dict) or not isinstance(changes, Mapping):
        return changes
    merged = {key: _merged(config.get(key), value) for key, value in changes.items()}
    return config | merged
