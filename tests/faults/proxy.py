"""A TCP proxy that can be slow, silent, or cut: between the server and its database, or its broker."""

import contextlib
import socket
import threading
import time


class Proxy:
    """Forwards 127.0.0.1:port to a port or to a Unix socket (a path)."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.delay = 0.0  # seconds that each answer is kept back
        self.flowing = threading.Event()  # cleared: nothing goes through, and nothing is closed
        self.flowing.set()
        self.open = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:  # closed
                return
            try:
                far = self.connect()
            except OSError:
                near.close()
                continue
            self.open += [near, far]
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, True), daemon=True).start()

    def connect(self):
        if isinstance(self.upstream, int):
            return socket.create_connection(("127.0.0.1", self.upstream))
        far = socket.socket(socket.AF_UNIX)
        far.connect(self.upstream)
        return far

    def pump(self, source, target, answers):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.flowing.wait()
                if answers and self.delay:
                    time.sleep(self.delay)
                    self.flowing.wait()
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Close every connection."""
        gone, self.open = self.open, []
        for each in gone:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self):
        self.listener.close()
        self.flowing.set()
        self.cut()
