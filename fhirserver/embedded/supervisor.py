"""`manage.py up`: PostgreSQL, migrations, demo people, web and worker; watched until a signal stops them.

SIGTERM, Ctrl-C and a closed terminal stop everything. SIGUSR1 replaces web and worker while the server serves: new
processes run the code as it is now, old ones finish what they have.

It needs no Django and stays small: manage.py comes here without loading any.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import ipaddress
import json
import os
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from . import metrics_folder
from .child import launch
from .folder import KEYS, Folder, FolderBusy, FolderError
from .postgres import Postgres, PostgresError
from .reach import DEFAULT, add_data_argument

CHECKOUT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 9.0  # of the ten that SIGTERM may take
LOG_BYTES = 64 * 1024 * 1024
TOKEN = ("demo", "system/*.cruds")  # client and scope of the token that is printed


class Stop(Exception):
    """A signal asked us to stop."""


class StartFailed(Exception):
    """Something did not start; the sentence carries its last words."""


@dataclass
class Child:
    """A process that is started again when it ends unasked."""

    name: str
    command: list
    environment: dict
    log: Path
    nice: int = 0
    process: subprocess.Popen = None
    started: float = 0.0
    renewal: int = signal.SIGTERM  # what makes it leave in good order, or replace its own processes
    leaving: bool = False
    failures: int = 0
    retry_at: float = field(default=0.0)

    def start(self):
        command = launch(sys.executable, *self.command, nice=self.nice, folder=CHECKOUT)
        with private_log(self.log) as log:
            self.process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at a terminal comes to us alone
            )
        self.started = time.monotonic()

    def watch(self):
        """Start it again when it has ended: at once the first time, later with growing pauses."""
        now = time.monotonic()
        if self.process.poll() is None:
            return
        if self.leaving:
            self.leaving = False
            self.start()
            return
        if not self.retry_at:
            self.failures = 0 if now - self.started > 60 else self.failures + 1
            pause = min(10.0, 0.2 * 2**self.failures) if self.failures else 0.0
            say(f"{self.name} ended unexpectedly ({ending(self.process.returncode)}), starting it again; {self.log}")
            kill_group(self.process)  # what it may have left
            self.retry_at = now + pause
        if now >= self.retry_at:
            self.retry_at = 0.0
            self.start()

    def renew(self):
        """Replace it by a process that starts anew."""
        if self.process and self.process.poll() is None:
            self.leaving = self.renewal == signal.SIGTERM
            self.process.send_signal(self.renewal)

    def stop(self, deadline):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.05, deadline - time.monotonic()))
        kill_group(self.process)
        self.process.wait()


class Server:
    """One running server; `run` returns when it was told to stop and everything is down."""

    def __init__(self, options):
        self.options = options
        self.folder = Folder.at(options.data)
        self.postgres = None if "DATABASE_URL" in os.environ else Postgres(self.folder, say=say)
        self.children = []
        self.metrics = None
        self.setup = []
        self.revivals, self.revive_at = 0, 0.0

    def run(self):
        self.began = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.folder.lock("up", wait=10))
            self._refuse()
            stack.enter_context(reserve_port(self.options.host, self.options.port))
            signal.signal(signal.SIGUSR1, self._renew)
            try:
                self._start()
                self._watch()
            finally:
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                    signal.signal(number, signal.SIG_IGN)  # once is enough; a finally is not to be interrupted
                self._stop()

    # -- start -----------------------------------------------------------------------------------------------------

    def _refuse(self):
        """What must not be served, is not. Settings are checked before anything is started."""
        if self.folder.exists and not self.folder.secrets.joinpath("secret_key").exists():
            raise StartFailed(f"{self.folder.secrets} is incomplete: restore the secrets that belong to this data.")
        try:
            self.settings = importlib.import_module("fhirserver.settings")
        except ValueError as error:  # names the setting and what is wrong with it
            raise StartFailed(str(error)) from None
        for name in KEYS:
            if os.environ.get(name) in ("", "unset"):
                raise StartFailed(f"{name} is set to nothing: set a key, or unset it for the folder's own.")
        for name in ("FHIRSERVER_TLS_CERT", "FHIRSERVER_TLS_KEY"):
            if (path := os.environ.get(name)) and not os.access(path, os.R_OK):
                raise StartFailed(f"{name}={path} is not readable.")
        if bool(os.environ.get("FHIRSERVER_TLS_CERT")) != bool(os.environ.get("FHIRSERVER_TLS_KEY")):
            raise StartFailed("FHIRSERVER_TLS_CERT and FHIRSERVER_TLS_KEY go together.")
        if loopback(self.options.host):
            return
        first_time = not self.folder.state.get("seeded") and not self.options.empty
        if self.folder.state.get("demo") or first_time:
            raise StartFailed(
                f"Demo people have well-known rights, so they are served to this machine only, not on "
                f"{self.options.host}: use a folder started with --empty, or a loopback address."
            )
        proxied = os.environ.get("FHIRSERVER_BASE_URL", "").startswith("https://")
        if not (os.environ.get("FHIRSERVER_TLS_CERT") or proxied or os.environ.get("FHIRSERVER_TRUSTED_PROXIES")):
            raise StartFailed(
                f"Records and tokens would travel unencrypted to {self.options.host}: set "
                "FHIRSERVER_TLS_CERT and _KEY, or FHIRSERVER_BASE_URL to the https address of a proxy, or "
                "FHIRSERVER_TRUSTED_PROXIES."
            )

    def _start(self):
        if self.postgres:
            with step("PostgreSQL"):
                self.postgres.start()
        else:
            self.folder.secret("secret_key", create=True)
        with step("Migrations"):
            preparing = self._begin("-m", "fhirserver.embedded.prepare", self.folder.path, *TOKEN)
            if preparing.stdout.readline() != "migrated\n":
                self._end(preparing, "Migrating")
        self.folder.note(serving=True)  # commands may come in now; the first is the one that issues our token
        token = self._end(preparing, "Issuing a token").splitlines()[-1]
        self._seed()
        self.metrics = metrics_folder.emptied(self.folder)
        self.children = [self._web(), self._worker()]
        with step(f"Web ({self.options.workers} processes) and worker"):
            for child in self.children:
                child.start()
            self._wait_until_ready()
        self.folder.note(url=self.url)
        self._welcome(token)

    def _seed(self):
        """The demo population, once, unless the server is to start empty."""
        if self.folder.state.get("seeded"):
            return
        if not self.options.empty:
            with step("Demo people"):
                writing = self._begin("manage.py", "demo", "--data", self.folder.path)
                for line in writing.stdout:
                    say(line.rstrip())
                self._end(writing, "Writing the demo people")
        self.folder.note(seeded=True, demo=True if not self.options.empty else None)

    @property
    def url(self):
        scheme = "https" if os.environ.get("FHIRSERVER_TLS_CERT") else "http"
        host = self.options.host
        if host in ("0.0.0.0", "::"):
            host = "127.0.0.1"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.options.port}"

    @property
    def environment(self):
        """What every child gets; passwords stay in the folder."""
        given = dict(os.environ, FHIRSERVER_DATA=str(self.folder.path), PYTHONUNBUFFERED="1")
        given["DJANGO_SETTINGS_MODULE"] = "fhirserver.settings"
        if self.metrics:
            given["PROMETHEUS_MULTIPROC_DIR"] = str(self.metrics)
        given["FHIRSERVER_WEB_WORKERS"] = str(self.options.workers)
        if self.folder.state.get("demo"):
            given.setdefault("FHIRSERVER_ENVIRONMENT", "demo")
        if not loopback(self.options.host) and not (
            given.get("FHIRSERVER_ALLOWED_HOSTS") or given.get("FHIRSERVER_BASE_URL")
        ):
            say("warning: any host name is answered to; set FHIRSERVER_ALLOWED_HOSTS or FHIRSERVER_BASE_URL")
            given["FHIRSERVER_ALLOWED_HOSTS"] = "*"
        return given

    def _begin(self, *arguments):
        """Start a program of ours that comes to an end."""
        log = private_log(self.folder.log / "setup.log")
        process = subprocess.Popen(
            launch(sys.executable, *arguments, folder=CHECKOUT),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        log.close()
        self.setup.append(process)
        return process

    def _end(self, process, name):
        """What it printed, or StartFailed with its last words."""
        output, _ = process.communicate()
        self.setup.remove(process)
        if process.returncode:
            raise StartFailed(f"{name} failed: {last_words(self.folder.log / 'setup.log')}")
        return output

    def _web(self):
        # A request that waits holds a thread, and a few more tell the rest at once that there is no room.
        threads, waiting = self.settings.FHIRSERVER_WEB_THREADS, self.settings.FHIRSERVER_WAITING
        command = [
            *("-m", "granian", "fhirserver.wsgi:application", "--interface", "wsgi", "--http", "1", "--no-ws"),
            *("--host", self.options.host, "--port", str(self.options.port), "--workers", str(self.options.workers)),
            *("--blocking-threads", str(threads + waiting + 32), "--blocking-threads-idle-timeout", "60"),
            *("--backlog", "1024", "--backpressure", "1024"),
            # Renewed one by one: the old process goes when the new one serves, with what it has in hand finished.
            *("--respawn-failed-workers", "--respawn-interval", "6", "--workers-kill-timeout", "60"),
            *("--log-level", "warning"),
        ]
        if certificate := os.environ.get("FHIRSERVER_TLS_CERT"):
            key = os.environ["FHIRSERVER_TLS_KEY"]
            command += ["--ssl-certificate", certificate, "--ssl-keyfile", key, "--ssl-protocol-min", "tls1.2"]
        return Child("web", command, self.environment, self.folder.log / "web.log", renewal=signal.SIGHUP)

    def _worker(self):
        command = [
            *("-m", "celery", "--quiet", "-A", "fhirserver.celery:app", "worker", "--queues", "records"),
            *("--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
        ]
        # Answers come before indexing when both want the processor.
        return Child("worker", command, self.environment, self.folder.log / "worker.log", nice=10)

    def _wait_until_ready(self):
        web = self.children[0]
        context = ssl._create_unverified_context()  # our own certificate names the public host
        deadline = time.monotonic() + 60
        answer = "no answer"
        while time.monotonic() < deadline:
            if web.process.poll() is not None:
                raise StartFailed(f"the web server ended at its start: {last_words(web.log)}")
            try:
                with urllib.request.urlopen(f"{self.url}/ready", timeout=5, context=context) as response:
                    if response.status == 200:
                        return
            except (OSError, urllib.error.URLError) as error:
                answer = str(error)
            time.sleep(0.05)
        raise StartFailed(f"{self.url}/ready did not become true within 60 s ({answer}): {last_words(web.log)}")

    def _welcome(self, token):
        base = os.environ.get("FHIRSERVER_BASE_URL") or f"{self.url}/fhir"
        lines = [
            f"Ready after {time.monotonic() - self.began:.1f} s.",
            f"  pages     {base.removesuffix('/fhir')}/",
            f"  FHIR      {base}",
            f"  health    {self.url}/health  {self.url}/ready  {self.url}/metrics",
            f"  data      {self.folder.path}",
            *(f"  login     {login}  {password}" for login, password in self._logins()),
            f"  token     {token}",
            f"  try       curl -H 'Authorization: Bearer {token}' '{base}/Patient?_count=2'",
            *self._elsewhere(),
            "Ctrl-C stops everything.",
        ]
        for line in lines:
            say(line)

    def _elsewhere(self):
        """What commands beside this server need to find it, when it does not keep its data where they look."""
        if self.folder.path == DEFAULT.resolve():
            return ()
        return (f"  commands  export FHIRSERVER_DATA={shlex.quote(str(self.folder.path))}",)

    def _logins(self):
        """Demo logins and their generated passwords, from secrets/demo.json."""
        try:
            return json.loads((self.folder.secrets / "demo.json").read_bytes()).items()
        except FileNotFoundError:
            return ()

    # -- watch -----------------------------------------------------------------------------------------------------

    def _watch(self):
        next_look = 0.0
        while True:
            time.sleep(0.2)
            if self.postgres and not self.postgres.running and time.monotonic() >= self.revive_at:
                self._revive()
            for child in self.children:
                child.watch()
            if time.monotonic() > next_look:
                next_look = time.monotonic() + 30
                for log in self.folder.log.glob("*.log"):
                    cut(log)

    def _revive(self):
        """PostgreSQL again, as often as it takes: it may be killed while it recovers, or its disk be full."""
        say(f"PostgreSQL ended unexpectedly ({ending(self.postgres.process.returncode)}), starting it again")
        try:
            self.postgres.start()
            self.revivals = 0
        except PostgresError as error:
            self.revivals += 1
            self.revive_at = time.monotonic() + min(10.0, 0.2 * 2**self.revivals)
            say(str(error))

    def _renew(self, *_):
        say("Replacing web and worker ...")
        for child in self.children:
            child.renew()

    # -- stop ------------------------------------------------------------------------------------------------------

    def _stop(self):
        began = time.monotonic()
        for process in self.setup:
            kill_group(process)
            process.wait()
        running = [child for child in self.children if child.process]
        for child in running:
            with contextlib.suppress(ProcessLookupError):
                child.process.terminate()
        if running:
            say("Stopping ...")
        # Write out what is dirty while the web finishes its requests: then PostgreSQL's own stop is short.
        checkpoint = self.postgres.checkpoint() if self.postgres and self.postgres.running else None
        for child in running:
            child.stop(began + 5)
        if self.postgres:
            self.postgres.stop(timeout=max(1.0, began + STOP_SECONDS - time.monotonic()))
        if checkpoint:
            checkpoint.close()
        if self.metrics:
            shutil.rmtree(self.metrics, ignore_errors=True)
        if running:
            say(f"Stopped after {time.monotonic() - began:.1f} s.")


# -- small pieces --------------------------------------------------------------------------------------------------


def say(line):
    with contextlib.suppress(BrokenPipeError):  # a reader such as `head` that has left
        print(line, flush=True)


@contextlib.contextmanager
def step(name):
    """A line for each long step, with its time."""
    say(f"{name} ...")
    began = time.monotonic()
    yield
    say(f"{name}: {time.monotonic() - began:.1f} s")


def loopback(host):
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def reserve_port(host, port):
    """Refuse a port that another server has.

    Web servers share a port gladly (SO_REUSEPORT): a second one would take every other request. So look first
    without sharing, then hold the port with sharing, for our own web processes only.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = time.monotonic() + 5  # processes of a killed supervisor leave within moments
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise StartFailed(f"Port {port} on {host} cannot be used: {error.strerror}.") from None
        time.sleep(0.1)
    with socket.socket(family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
        yield


def private_log(path):
    """A log file opened for appending, readable by its owner alone."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)


def cut(log):
    """Keep a log that has grown large as one older copy. Its writers append, so they go on at the new start."""
    if log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.chmod(log.with_suffix(".log.1"), 0o600)
        os.truncate(log, 0)


def last_words(log):
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return " / ".join(lines[-8:])[-2000:]


def ending(code):
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def add_arguments(parser):
    parser.add_argument("--port", type=int, default=8000, help="port of the web server (default 8000)")
    parser.add_argument("--host", default="127.0.0.1", help="address of the web server (default 127.0.0.1)")
    parser.add_argument(
        "--workers",
        type=int,
        default=int(os.environ.get("FHIRSERVER_WEB_WORKERS") or 2),
        help="web processes (default FHIRSERVER_WEB_WORKERS, else 2)",
    )
    parser.add_argument("--empty", action="store_true", help="no demo people in a new data folder")
    add_data_argument(parser)


def stop(*_):
    raise Stop


def main(arguments):
    parser = argparse.ArgumentParser(prog="manage.py up")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    say(f"fhirserver {version()}")
    try:
        Server(options).run()
    except Stop:
        return 0
    except (FolderBusy, FolderError, PostgresError, StartFailed, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def version():
    try:
        return importlib.metadata.version("fhirserver")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        import tomllib

        return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
