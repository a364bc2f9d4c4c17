"""What is kept off the database, in DIR/audit, so that whoever rules the database cannot cut the audit unseen.

tail/N             numbers and MACs of the records committed in the ten seconds N, one a line, until they are sealed
checkpoints.log    each signed checkpoint, one JSON object a line

Lines are appended by one write(2) each. A lost line hides nothing that is there; a line without its record is a record
that was removed.
"""

import json
import logging
import os
import threading
import time
from pathlib import Path

from django.conf import settings

log = logging.getLogger("accessctl.audit")
SLICE = 10  # seconds of one file of the tail
SETTLED = 3  # slices after which nobody appends to a file any more


def folder():
    """DIR/audit; None where there is no data folder."""
    return Path(settings.AUDIT_FOLDER) if settings.AUDIT_FOLDER else None


class Tail:
    """The file of the tail that this process appends to."""

    def __init__(self):
        self._guard, self._fd, self._known = threading.Lock(), None, None

    def append(self, text):
        known = (os.getpid(), settings.AUDIT_FOLDER, int(time.time()) // SLICE)
        with self._guard:
            if known != self._known:
                if self._fd is not None:
                    os.close(self._fd)
                self._fd = self._known = None
                path = folder() / "tail"
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._fd = os.open(path / str(known[2]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                self._known = known
            os.write(self._fd, text)


_tail = Tail()


def note(rows):
    """These rows (number first, MAC last) are committed."""
    if not settings.AUDIT_FOLDER:
        return
    try:
        _tail.append("".join([f"{row[0]} {row[-1].hex()}\n" for row in rows]).encode())
    except OSError:  # the records are committed; what is lost is that the removal of these would be seen
        log.exception("the tail of the audit cannot be written")


def tail():
    """(file, [(number, MAC)]) of each file of the tail, oldest first."""
    where = folder() and folder() / "tail"
    if not where or not where.is_dir():
        return
    for path in sorted(where.iterdir(), key=lambda p: int(p.name)):
        found = []
        for line in path.read_text().splitlines():
            number, _, mac = line.partition(" ")
            if number.isdecimal() and len(mac) == 64:  # a last line may be torn
                found.append((int(number), bytes.fromhex(mac)))
        yield path, found


def is_settled(path):
    """Does nobody append to this file any more?"""
    return int(path.name) + SETTLED < int(time.time()) // SLICE


# -- checkpoints ---------------------------------------------------------------------------------------------------


def checkpoints(path=None, until=None):
    """(number, note) of each line of checkpoints.log, of its first `until` bytes."""
    path = path or (folder() and folder() / "checkpoints.log")
    if not path or not path.exists():
        return
    with open(path, "rb") as file:
        for line in file:
            if until is not None and file.tell() > until:
                return
            if (read := _checkpoint(line)) is not None:
                yield read


def checkpoints_size():
    """How long checkpoints.log is now."""
    path = folder() and folder() / "checkpoints.log"
    return path.stat().st_size if path and path.exists() else 0


def last_checkpoint():
    """(number, note) of the last line that is whole; None when there is none."""
    path = folder() and folder() / "checkpoints.log"
    if not path or not path.exists():
        return None
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
        read = [found for line in file if (found := _checkpoint(line)) is not None]
    return read[-1] if read else None


def append_checkpoints(found):
    """Add (number, note) lines, on the disk when this returns."""
    if not found or not folder():
        return
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder() / "checkpoints.log", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        torn = size and os.pread(fd, 1, size - 1) != b"\n"
        lines = "".join(json.dumps({"number": number, "note": text}) + "\n" for number, text in found)
        os.write(fd, (("\n" if torn else "") + lines).encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def _checkpoint(line):
    try:
        read = json.loads(line)
        return read["number"], read["note"]
    except (ValueError, KeyError, TypeError):  # torn by a power cut: the same checkpoint follows on the next line
        return None
