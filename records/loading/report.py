"""What a load refused, one JSON object a line; the file is made with the first refusal, for its owner's eyes alone."""

import os

from ..formats.json import dump


class Report:
    def __init__(self, path):
        self.path, self.count, self.file = path, 0, None

    def add(self, refusal):
        if self.file is None:
            self.file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self.file.write(dump(refusal.told()) + b"\n")
        self.file.flush()
        self.count += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.file is not None:
            self.file.close()
