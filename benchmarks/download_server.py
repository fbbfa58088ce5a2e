"""What ``downloads.py`` downloads, and the nginx that serves it: TLS 1.3 on loopback, one worker, keep-alive."""

from __future__ import annotations

import hashlib
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from download_clients import cores_seconds

from krosai_calls.sandbox.frames import FRAME_BYTES, ready_made

FRAME_SECONDS = 0.024
START_SECONDS = 10.0
# Debian puts it where only the administrator's PATH leads.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

CONFIG = """
daemon off;
user {user};
worker_processes 1;
worker_rlimit_nofile 4096;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    etag on;
    keepalive_timeout 300s;
    keepalive_requests 1000000;
    types {{ audio/mpeg mp3; }}
    client_body_temp_path {folder}/tmp-body;
    proxy_temp_path {folder}/tmp-proxy;
    fastcgi_temp_path {folder}/tmp-fastcgi;
    uwsgi_temp_path {folder}/tmp-uwsgi;
    scgi_temp_path {folder}/tmp-scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_protocols TLSv1.3;
        root {folder}/www;
    }}
}}
"""


@dataclass(frozen=True)
class Size:
    """Recordings of one length.

    Attributes:
        count: How many there are.
        frames: MP3 frames in each.
    """

    count: int
    frames: int

    @property
    def file_bytes(self) -> int:
        """The length of each."""
        return self.frames * FRAME_BYTES

    @property
    def all_bytes(self) -> int:
        """The length of all."""
        return self.count * self.file_bytes

    @property
    def seconds(self) -> float:
        """How long each plays."""
        return self.frames * FRAME_SECONDS

    def part(self, share: float) -> Size:
        """Fewer of them."""
        return Size(max(1, round(self.count * share)), self.frames)


# The service's three minutes first. 64 KB are as many whole frames as fit.
SIZES = {"2.16MB": Size(300, 7500), "64KB": Size(2000, 2**16 // FRAME_BYTES), "100MB": Size(8, 347_222)}


@dataclass(frozen=True)
class Server:
    """The nginx that runs.

    Attributes:
        url: Where it is, without a slash at the end.
        certificate: The file of what to trust.
        workers: Its processes that answer.
    """

    url: str
    certificate: Path
    workers: tuple[int, ...]

    def cpu_seconds(self) -> float | None:
        """Seconds of CPU that it has used so far; None where the system does not tell."""
        used = [cores_seconds(pid) for pid in self.workers]
        known = [seconds[0] for seconds in used if seconds is not None]
        return sum(known) if len(known) == len(used) else None


def make_recordings(folder: Path, size: Size) -> dict[str, str]:
    """Make valid MP3 files, no two of them equal, so that swapped bodies show.

    Args:
        folder: Where to; it is made.
        size: How many, and how long.

    Returns:
        The SHA-256 of each by its name.
    """
    sounds = list(ready_made().values())
    tape = memoryview(b"".join(random.choices(sounds, k=size.frames + size.count)))
    folder.mkdir()
    digests = {}
    for number in range(size.count):
        # Each begins a frame later on the same tape of random frames.
        data = tape[number * FRAME_BYTES :][: size.file_bytes]
        name = f"call_{number:05}.mp3"
        (folder / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    return digests


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """An nginx that serves what is in the folder ``www`` of a folder, for as long as the block lasts."""
    assert NGINX is not None
    certificate = _make_certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, user=_user()))
    log = folder / "error.log"
    command = [NGINX, "-p", str(folder), "-c", str(config), "-e", str(log)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as nginx:
        try:
            _wait_for(nginx, port, log)
            children = Path(f"/proc/{nginx.pid}/task/{nginx.pid}/children").read_text().split()
            yield Server(f"https://127.0.0.1:{port}", certificate, tuple(map(int, children)))
        finally:
            nginx.terminate()


def _make_certificate(folder: Path) -> Path:
    import trustme

    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(folder / "certificate.pem", append=number > 0)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return folder / "authority.pem"


def _user() -> str:
    """The user's own name: an administrator's nginx would otherwise become one that may not read the files."""
    return pwd.getpwuid(os.geteuid()).pw_name


def _wait_for(nginx: subprocess.Popen[bytes], port: int, log: Path) -> None:
    latest = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if nginx.poll() is not None or time.monotonic() > latest:
                sys.exit(f"nginx does not answer:\n{log.read_text() if log.exists() else 'it says nothing'}")
            time.sleep(0.02)
