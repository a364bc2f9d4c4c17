"""Where processes count for Prometheus: in memory, as a full disk kills who writes in a page of its files."""

import hashlib
import os
import shutil
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")


def emptied(folder):
    """An empty folder of this server's own, in memory where the machine has some for files; else in `run`."""
    name = hashlib.blake2b(bytes(folder.path), digest_size=8).hexdigest()
    for path in (SHARED_MEMORY / f"fhirserver-metrics-{os.getuid()}-{name}", folder.run / "metrics"):
        shutil.rmtree(path, ignore_errors=True)
        try:
            path.mkdir(mode=0o700)
        except OSError:  # no such memory, or a name that another account has taken
            continue
        return path
    raise FileExistsError(f"{path} cannot be emptied")
