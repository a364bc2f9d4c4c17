"""The data folder: everything one server keeps, and nothing outside it.

DIR/                 0700
  lock               held (flock) by the one process that may run PostgreSQL here
  state.json         who holds it, whether it serves, whether demo people are in it, alone (a sandbox)
  secrets/           0700: passwords of the roles, secret key, demo logins; created at the first start
  postgres/          0700, owned by the account PostgreSQL runs under: data/ and run/ (the socket)
  postgres.conf      optional `name = value` lines of the owner's own, added last
  audit/             0700: what the database must not be able to change: checkpoints.log, tail/
  mail/              e-mails to patients and doctors, where no FHIRSERVER_MAIL_URL says how to send them
  run/               0700: the queue of the indexer
  log/               0700: postgres.log web.log worker.log
"""

import contextlib
import fcntl
import json
import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

DATABASE = "fhirserver"
OWNER = "fhirserver_owner"
APP = "fhirserver_app"
SUPERUSER = "postgres"
SOCKET = ".s.PGSQL.5432"
# Settings that a folder has a secret for.
KEYS = {
    "FHIRSERVER_SECRET_KEY": "secret_key",
    "FHIRSERVER_AUDIT_KEY": "audit_key",
    "FHIRSERVER_AUDIT_SIGNING_KEY": "audit_signing_key",
}
LONGEST_SOCKET_PATH = 107  # sun_path of unix(7), less its closing NUL


class FolderError(Exception):
    """The data folder cannot be used; the sentence says why and what to do."""


class FolderBusy(FolderError):
    """Another process holds the lock."""


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path

    @classmethod
    def at(cls, path):
        return cls(Path(path).expanduser().resolve())

    @property
    def postgres(self):
        return self.path / "postgres"

    @property
    def data(self):
        return self.postgres / "data"

    @property
    def sockets(self):
        return self.postgres / "run"

    @property
    def secrets(self):
        return self.path / "secrets"

    @property
    def run(self):
        return self.path / "run"

    @property
    def log(self):
        return self.path / "log"

    @property
    def empty(self):
        """What to say when nothing is here: it may be elsewhere."""
        return (
            f"{self.path} holds no data yet. Of a server that keeps them elsewhere name the folder, with --data DIR or"
            f" FHIRSERVER_DATA=DIR; a new one is made by `manage.py up --data {self.path}`."
        )

    @property
    def exists(self):
        """Has a database been made here?"""
        return self.data.is_dir()

    def create(self):
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for private in (self.secrets, self.run, self.log):
            private.mkdir(mode=0o700, exist_ok=True)

    # -- secrets ---------------------------------------------------------------------------------------------------

    def secret(self, name, create=False):
        """The secret of that name; made on the first start, never printed."""
        path = self.secrets / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            if not create:
                raise FolderError(
                    f"{path} is missing: restore the folder secrets/ that belongs to this data."
                ) from None
        except PermissionError:
            raise FolderError(f"{path} is not readable: run as the user who runs the server.") from None
        fresh = path.with_name(f"{name}.{secrets.token_hex(4)}")
        write_private(fresh, secrets.token_urlsafe(36) + "\n")
        with contextlib.suppress(FileExistsError):  # of two that make it the first one counts
            os.link(fresh, path)
        fresh.unlink()
        return path.read_text().strip()

    # -- state -----------------------------------------------------------------------------------------------------

    @property
    def state(self):
        try:
            return json.loads((self.path / "state.json").read_bytes())
        except FileNotFoundError:
            return {}

    def note(self, **changes):
        """Merge changes into state.json; None removes. Only the holder of the lock calls this."""
        state = {k: v for k, v in (self.state | changes).items() if v is not None}
        write_private(self.path / "state.json", json.dumps(state, indent=1) + "\n")

    # -- lock ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, holder, wait=0.0):
        """Hold the folder as `holder` ("up", or the name of a command); FolderBusy when another does."""
        self.create()
        deadline = time.monotonic() + wait
        with open(self.path / "lock", "a+") as file:
            os.chmod(file.fileno(), 0o600)
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    # A command holds the folder for a moment, a server for good.
                    if self.holder == "up" or time.monotonic() > deadline:
                        holder, pid = self.holder or "another process", self.state.get("pid", "unknown")
                        raise FolderBusy(f"{self.path} is in use by {holder}, process {pid}.") from None
                    time.sleep(0.05)
            self.note(holder=holder, pid=os.getpid(), serving=None, url=None)
            try:
                yield self
            finally:
                self.note(holder=None, pid=None, serving=None, url=None)

    @property
    def holder(self):
        """Who holds the lock, as far as is known: a server or a command killed with -9 leaves its name behind."""
        state = self.state
        try:
            os.kill(state["pid"], 0)
        except (KeyError, ProcessLookupError):
            return None
        except PermissionError:  # alive, another user's
            pass
        return state["holder"]

    # -- addresses -------------------------------------------------------------------------------------------------

    def socket_folder(self):
        """The folder of the socket as a client may name it: a short link to it where the path is too long."""
        if len(os.fsencode(self.sockets / SOCKET)) <= LONGEST_SOCKET_PATH:
            return self.sockets
        known = self.run / "short"
        with contextlib.suppress(OSError):
            link = Path(os.readlink(known))
            if os.path.samefile(link, self.sockets):
                return link
        link = Path(tempfile.mkdtemp(prefix="fhirserver-", dir=short_base())) / "s"
        link.symlink_to(self.sockets)
        known.unlink(missing_ok=True)
        known.symlink_to(link)
        return link

    def remove_short_link(self):
        """Take back what socket_folder made outside the folder."""
        with contextlib.suppress(FileNotFoundError):
            link = Path(os.readlink(self.run / "short"))
            link.unlink()
            link.parent.rmdir()
            (self.run / "short").unlink()

    def url(self, role, database=DATABASE):
        """postgresql:// address for one of the roles."""
        password = quote(self.secret(f"{role}.password"), safe="")
        return f"postgresql://{role}:{password}@{quote(str(self.socket_folder()), safe='')}/{database}"


def environment(path):
    """What settings need to reach this folder's server; the addresses hold whether or not it is up.

    What the environment sets itself wins: with DATABASE_URL the folder only keeps the secret key and the logs.
    """
    folder = Folder.at(path)
    if not folder.secrets.is_dir():
        raise FolderError(folder.empty)
    found = {"FHIRSERVER_DATA": str(folder.path)}
    for setting, name in KEYS.items():
        # The audit of a folder that has one holds under its own keys only.
        found[setting] = folder.secret(name, create=name == "secret_key" or not (folder.path / "audit").exists())
    if "DATABASE_URL" not in os.environ:
        found["DATABASE_URL"] = folder.url(APP)
        found["FHIRSERVER_OWNER_DATABASE_URL"] = folder.url(OWNER)
    return found | os.environ


def short_base():
    """A folder with a short path in which this user may make a private one; /run is not swept by age as /tmp is."""
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), "/run", "/tmp"):
        if candidate and len(candidate) < 60 and os.access(candidate, os.W_OK | os.X_OK):
            return candidate
    raise FolderError("There is no folder with a short path for the database's socket; use a shorter --data path.")


def write_private(path, text):
    """Replace a file whole, readable by its owner alone."""
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)
    os.replace(fresh, path)
