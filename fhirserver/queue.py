"""A Celery transport in a folder: kombu's filesystem transport with whole messages, each once.

Two changes to kombu's own. A message appears by rename, so that no reader meets half of one (kombu's writer locks
the file, its reader does not ask). And its name is a digest of what it asks for: the wake-ups of a thousand commits
are one file, and a worker that was away for an hour finds one message, not a thousand.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from queue import Empty

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads


class Channel(filesystem.Channel):
    @property
    def folder(self):
        return Path(self.transport_options["folder"])

    @property
    def control_folder(self):
        return self._made("control")

    def _made(self, name):
        for folder in (self.folder, self.folder / name):  # `parents` would leave the upper one open
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _messages(self, queue):
        """Waiting messages, oldest first."""
        found = []
        with os.scandir(self._made("waiting")) as entries:
            for entry in entries:
                if entry.name.endswith(f".{queue}.msg"):
                    try:
                        found.append((entry.stat().st_mtime_ns, entry.path))
                    except FileNotFoundError:  # another worker took it
                        continue
        return [path for _, path in sorted(found)]

    def _put(self, queue, message, **_):
        headers = message.get("headers", {})
        wish = dumps([headers.get("task"), message.get("body"), headers.get("eta")])
        name = f"{hashlib.sha256(wish.encode()).hexdigest()[:32]}.{queue}.msg"
        target = self._made("waiting") / name
        if target.exists():
            return
        fd, fresh = tempfile.mkstemp(dir=self._made("new"))
        with open(fd, "w") as file:
            file.write(dumps(message))
        os.rename(fresh, target)

    def _get(self, queue):
        for path in self._messages(queue):
            taken = self._made("taken") / f"{os.getpid()}-{os.path.basename(path)}"
            try:
                os.rename(path, taken)
            except FileNotFoundError:  # another worker took it
                continue
            text = taken.read_text()
            taken.unlink()
            return loads(text)
        raise Empty

    def _size(self, queue):
        return len(self._messages(queue))

    def _purge(self, queue):
        waiting = self._messages(queue)
        for path in waiting:
            Path(path).unlink(missing_ok=True)
        return len(waiting)


class Transport(filesystem.Transport):
    Channel = Channel
    default_port = 0

    def drain_events(self, connection, timeout=None):
        """Come back twice a second: a worker looks only then whether it is to stop."""
        return super().drain_events(connection, timeout=timeout and min(timeout, 0.5))

    def driver_version(self):
        return "folder"
