"""Starts servers to measure, each on an empty data folder and a free port, and stops them."""

import contextlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from .connection import Target

ROOT = Path(__file__).resolve().parent.parent
SEKMET = "sekmet-fhir==0.1.1"
START = 180  # seconds a server may take to answer its first request
STOP = 15


class NotStarted(RuntimeError):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def started(alone=False):
    """The targets: this server and, unless alone, sekmet; stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        targets = [stack.enter_context(ours(Path(folder) / "ours"))]
        if not alone:
            targets.append(stack.enter_context(sekmet(Path(folder) / "sekmet")))
        yield tuple(targets)


@contextlib.contextmanager
def ours(folder, name="ours", program=("manage.py", "up")):
    """This server with tokens and validation on, as `manage.py up` starts it."""
    port = free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    command = [sys.executable, *program, "--port", str(port), "--data", str(folder), "--empty"]
    with running(command, ROOT, folder.with_suffix(".log"), base) as process:
        issue = [sys.executable, "manage.py", "issue_token", "--data", str(folder)]
        issue += ["--client", "benchmark", "--scope", "system/*.cruds"]
        said = subprocess.run(issue, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        yield Target(name, base, said.split()[-1], process.pid)


@contextlib.contextmanager
def sekmet(folder):
    """sekmet with a bearer token and strict validation, its traffic log off as it advises for heavy loads."""
    python = ROOT / "build" / "sekmet" / "bin" / "python"
    command = python.with_name("sekmet")
    if not command.exists():
        uv = Path(sys.executable).with_name("uv")
        if uv.exists():
            subprocess.run([uv, "venv", "-q", "--clear", python.parent.parent], check=True)
            subprocess.run([uv, "pip", "install", "-q", "--python", python, SEKMET], check=True)
        else:
            subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", SEKMET], check=True)
    port, token = free_port(), secrets.token_hex(16)
    base = f"http://127.0.0.1:{port}/fhir"
    folder.mkdir()
    settings = folder / "settings.yaml"
    settings.write_text(
        f"base_url: {base}\nhost: 127.0.0.1\nport: {port}\ndata_dir: {folder}/data\nlog_inbound: false\n"
        f"server_auth:\n  types: [bearer]\n  tokens: ['{token}']\nvalidation:\n  inbound: strict\n"
    )
    command = [str(command), "serve", "--config", str(settings), "--host", "127.0.0.1", "--port", str(port)]
    with running(command, folder, folder.with_suffix(".log"), base) as process:
        yield Target("sekmet", base, token, process.pid)


@contextlib.contextmanager
def running(command, folder, log, base):
    """The process, once its metadata answers; SIGTERM at the end, SIGKILL when that is not heard."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START
        while not answers(base):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"{' '.join(command)} did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()


def answers(base):
    """Does the server answer metadata yet?"""
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
    try:
        connection.request("GET", f"{parts.path}/metadata?_summary=true", headers={"Accept": "application/fhir+json"})
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()
