"""Threads that run beside a test until it is over."""

import threading


class Running:
    """`with` them: each of `threads` runs until `over` is set, which leaving sets."""

    def __init__(self):
        self.over, self.threads = threading.Event(), []

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads)
