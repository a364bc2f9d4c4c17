"""The embedded PostgreSQL: who may reach it, what survives, what dies with what. Faults F04, F05."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psycopg
import pytest

from fhirserver.embedded import Folder, FolderBusy, FolderError, Postgres, metrics_folder
from fhirserver.embedded.binaries import account
from fhirserver.embedded.folder import APP, OWNER, SOCKET, SUPERUSER
from fhirserver.embedded.postgres import postmaster_pid

CHECKOUT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.xdist_group("embedded")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def gone(pid, within):
    """Has the process ended within so many seconds? A zombie nobody waits for has."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A parent that no other account may enter, like /root."""
    parent = tmp_path_factory.mktemp("closed")
    parent.chmod(0o700)
    return parent


@pytest.fixture(scope="module")
def postgres(closed):
    server = Postgres(closed / "data", fsync=False)
    with server.folder.lock("tests"):
        server.start()
        yield server
        server.stop(10)


def ask(postgres, role, statement, *values):
    with psycopg.connect(postgres.url(role)) as connection:
        return connection.execute(statement, values).fetchone()


def test_two_roles_and_neither_is_above_the_rows(postgres):
    statement = "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    for role in (OWNER, APP):
        assert ask(postgres, role, statement) == (False, False, False, False)
    owned = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert ask(postgres, APP, owned) == (OWNER,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(postgres, APP, "CREATE TABLE mine (i int)")


def test_a_password_is_asked_of_everybody(postgres):
    for role in (SUPERUSER, OWNER, APP):
        for password in ("", "wrong"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(host=str(postgres.folder.socket_folder()), user=role, password=password)


def test_utf8_with_the_builtin_locale_and_checksums(postgres):
    statement = """SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale, current_setting('data_checksums')
                   FROM pg_database WHERE datname = current_database()"""
    assert ask(postgres, APP, statement) == ("UTF8", "b", "C.UTF-8", "on")
    assert ask(postgres, APP, "SELECT lower('ÉLOÏSE')") == ("éloïse",)


def test_reached_by_a_private_socket_only(postgres, closed):
    assert ask(postgres, SUPERUSER, "SELECT current_setting('listen_addresses')") == ("",)
    folder = postgres.folder
    private = (folder.path, folder.postgres, folder.sockets, folder.data, folder.secrets, folder.run, folder.log)
    assert [mode(path) for path in private] == [0o700] * 7
    assert mode(folder.sockets / SOCKET) == 0o700
    assert {mode(path) for path in folder.secrets.iterdir()} == {0o600}
    assert mode(closed) == 0o700, "a parent of the data folder was opened"


def test_a_system_account_of_its_own_under_root(postgres):
    owner = postgres.folder.data.stat().st_uid
    assert owner == os.geteuid() if os.geteuid() else owner != 0
    status = Path(f"/proc/{postgres.process.pid}/status").read_text()
    assert f"Uid:\t{owner}\t{owner}\t{owner}\t{owner}" in status


def test_a_second_holder_is_refused_by_name(postgres):
    with pytest.raises(FolderBusy, match=f"tests, process {os.getpid()}"), postgres.folder.lock("other"):
        pass


def test_what_was_acknowledged_survives_kill_9_of_the_postmaster(postgres):
    with psycopg.connect(postgres.url(OWNER), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (i int)")
        for number in range(50):
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
        os.kill(postgres.process.pid, signal.SIGKILL)
    postgres.process.wait(5)
    postgres.start()
    assert ask(postgres, OWNER, "SELECT count(*), max(i) FROM kept") == (50, 49)


def test_a_pid_file_that_names_a_stranger_does_not_stop_it(postgres):
    """In a container the same small process ids come back after a crash."""
    postgres.stop(10)
    stranger = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent("""
            import os, sys, time
            if int(sys.argv[1]): os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
            print(flush=True); time.sleep(60)"""), str(os.geteuid() == 0 and postgres.folder.data.stat().st_uid)],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    stranger.stdout.readline()
    (postgres.folder.data / "postmaster.pid").write_text(f"{stranger.pid}\n/proc/self/cwd\n0\n5432\n../run\n")
    try:
        postgres.start()
        assert ask(postgres, APP, "SELECT 1") == (1,)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_interrupted_first_start_is_repeated(closed):
    server = Postgres(closed / "interrupted", fsync=False)
    with server.folder.lock("tests"):
        half = server.folder.postgres / "data.new"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        if owner := account(server.folder.data):
            for path in (server.folder.postgres, half, half / "PG_VERSION"):
                os.chown(path, owner.uid, owner.gid)
        with server:
            assert ask(server, APP, "SELECT 1") == (1,)
        # The database was made and the state not yet written: the second step runs again, harmlessly.
        server.folder.note(bootstrapped=None)
        with server:
            assert ask(server, APP, "SELECT 1") == (1,)


def test_a_path_longer_than_a_socket_may_have(closed):
    server = Postgres(closed / ("long" * 30), fsync=False)
    with server.folder.lock("tests"):
        with server:
            link = server.folder.socket_folder()
            assert len(str(link / SOCKET)) < 107
            assert mode(link.parent) == 0o700
            assert ask(server, APP, "SELECT 1") == (1,)
        assert not link.parent.exists(), "the short link was left behind"


def test_lost_secrets_are_named(closed):
    folder = Folder.at(closed / "interrupted")
    lost = folder.secrets / f"{APP}.password"
    lost.rename(folder.secrets / "elsewhere")
    with pytest.raises(FolderError, match="restore"):
        folder.url(APP)


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from fhirserver.embedded import Postgres
server = Postgres(sys.argv[2], fsync=False)
with server.folder.lock("parent"):
    server.start()
    print(server.process.pid, flush=True)
    time.sleep(60)
"""


def test_it_dies_with_its_parent_and_the_next_start_waits_for_it(closed):
    """kill -9 of the supervisor: PostgreSQL shuts down in order, and the next start finds a whole database."""
    path = closed / "orphan"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(CHECKOUT), str(path)], stdout=subprocess.PIPE)
    postmaster = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    server = Postgres(path, fsync=False)
    with server.folder.lock("tests", wait=1), server:
        assert gone(postmaster, within=0.1)
        assert postmaster_pid(server.folder.data) == server.process.pid
        assert ask(server, APP, "SELECT 1") == (1,)


def test_state_is_whole_json_after_every_change(closed):
    folder = Folder.at(closed / "interrupted")
    with folder.lock("tests"):
        folder.note(one=1)
        assert json.loads((folder.path / "state.json").read_text())["holder"] == "tests"
    assert folder.holder is None
    assert folder.state["one"] == 1


def test_counters_are_in_memory_and_in_the_folder_where_the_name_is_taken(tmp_path, monkeypatch):
    folder = Folder.at(tmp_path / "data")
    folder.run.mkdir(parents=True)
    monkeypatch.setattr(metrics_folder, "SHARED_MEMORY", tmp_path / "memory")
    assert metrics_folder.emptied(folder) == folder.run / "metrics", "there is no such memory"
    (tmp_path / "memory").mkdir()
    found = metrics_folder.emptied(folder)
    assert found.parent == tmp_path / "memory" and found.stat().st_mode & 0o777 == 0o700
    (found / "old.db").touch()
    assert not list(metrics_folder.emptied(folder).iterdir())
    found.rmdir()
    found.symlink_to(tmp_path)
    assert metrics_folder.emptied(folder) == folder.run / "metrics", "the name leads elsewhere"
