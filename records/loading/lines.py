"""NDJSON cut into chunks, in memory that does not grow with the file. (http://ndjson.org; FHIR Bulk Data)"""

from typing import NamedTuple

CHUNK_LINES = 250
CHUNK_BYTES = 4 << 20
LONGEST = 50 << 20  # bytes of a line
BLOCK = 1 << 20


class Line(NamedTuple):
    """One line: its number, and the bytes from its start to the start of the next that says something."""

    number: int
    start: int
    until: int
    data: bytes | None  # None: longer than LONGEST


def chunks(content, done=()):
    """Lists of Lines; `done` are (start, until) of what is loaded already, ascending, and is passed over."""
    chunk, size = [], 0
    for line in lines(content, done):
        if chunk and (
            line.start != chunk[-1].until or len(chunk) >= CHUNK_LINES or size + len(line.data or b"") > CHUNK_BYTES
        ):
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line.data or b"")
    if chunk:
        yield chunk


def lines(content, done=()):
    """Every Line with something on it that is not done."""
    skip, number, at, previous = list(reversed(done)), 1, 0, None
    while True:
        while skip and at >= skip[-1][0]:
            until = skip.pop()[1]
            if until > at:
                if previous:
                    yield previous
                    previous = None
                number += passed(content, until - at)
                at = until
        data = content.readline(LONGEST + 1)
        if not data:
            break
        length = len(data)
        if length > LONGEST and not data.endswith(b"\n"):
            length, data = length + rest_of_line(content), None
        if data is not None and not data.strip():
            previous = previous and previous._replace(until=at + length)  # an empty line belongs to the one before
        else:
            if previous:
                yield previous
            previous = Line(number, at, at + length, data)
        number, at = number + 1, at + length
    if previous:
        yield previous


def rest_of_line(content):
    """Read to the end of the line; how many bytes that was."""
    length = 0
    while data := content.readline(BLOCK):
        length += len(data)
        if data.endswith(b"\n"):
            break
    return length


def passed(content, length):
    """Read over so many bytes; how many lines end in them."""
    ended = 0
    while length:
        data = content.read(min(BLOCK, length))
        if not data:
            break
        ended += data.count(b"\n")
        length -= len(data)
    return ended
