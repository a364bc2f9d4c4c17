"""What one sees of a long load: a bar on a terminal, a line every ten seconds elsewhere."""

import os
import sys
import time

from tqdm import tqdm

EVERY = 10.0  # seconds between two lines


def has_room(stream):
    """Is it a terminal of a known size? Some that say they are have none, and a bar would be empty there."""
    if not stream.isatty():
        return False
    size = os.get_terminal_size(stream.fileno())
    return size.columns > 0 and size.lines > 0


class Progress:
    """Counts bytes of input against their sum, and says resources, rate and time left."""

    def __init__(self, total, stream=None):
        self.stream = stream or sys.stderr
        self.total, self.bytes, self.resources, self.refused = total, 0, 0, 0
        self.began = self.said = time.monotonic()
        self.bar = None
        if has_room(self.stream):
            tqdm.monitor_interval = 0  # no thread beside us
            layout = "{percentage:3.0f} % |{bar}| {n_fmt} of {total_fmt}, {elapsed} passed, {remaining} left{postfix}"
            self.bar = tqdm(total=total, unit="B", unit_scale=True, bar_format=layout, file=self.stream)

    def read(self, count):
        """So many more bytes of the inputs are done."""
        self.bytes += count
        if self.bar is not None:
            self.bar.update(count)
        self.say()

    def wrote(self, resources, refused=0):
        self.resources += resources
        self.refused += refused
        self.say()

    def words(self):
        seconds = time.monotonic() - self.began
        said = f"{self.resources:,} resources, {self.resources / seconds if seconds else 0:,.0f}/s"
        return said + (f", {self.refused:,} refused" if self.refused else "")

    def say(self):
        if self.bar is not None:
            self.bar.set_postfix_str(self.words(), refresh=False)
            return
        now = time.monotonic()
        if now - self.said >= EVERY:
            self.said = now
            share = self.bytes / self.total if self.total else 1
            left = (now - self.began) * (1 - share) / share if share else None
            left = "" if left is None else f", {left:,.0f} s left"
            print(f"{share:4.0%}  {self.words()}{left}", file=self.stream, flush=True)

    def close(self):
        if self.bar is not None:
            self.bar.set_postfix_str(self.words())
            self.bar.close()
