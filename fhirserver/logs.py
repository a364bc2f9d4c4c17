"""Log lines: one JSON object each, with the request's id and without any value of a resource."""

import contextvars
import datetime
import json
import logging
import re

request_id = contextvars.ContextVar("request_id", default=None)

# What a LogRecord has by itself; all else came through `extra=` and is written as fields.
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request", "response"}

# What PostgreSQL says of an error beyond its first line names the values of the row.
VALUES = re.compile(r"\n(?:DETAIL|CONTEXT):.*?(?=\n\nThe above exception|\n\nDuring handling|\Z)", re.DOTALL)

# What an exception quotes may be a value too: KeyError: 'Aubert'. Of these it is a part of the installation.
QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*\1""")
OF_THE_INSTALLATION = re.compile(
    r"(?:\w+\.)*(?:OSError|FileNotFoundError|PermissionError|ConnectionError|ConnectionRefusedError|ImportError"
    r"|ModuleNotFoundError|AttributeError|NameError|TemplateSyntaxError|TemplateDoesNotExist|ImproperlyConfigured)\b"
)


class Faults:
    """Of Django's own request lines only those of an exception: an answer of 503 is an answer, logged as such."""

    def filter(self, record):
        return bool(record.exc_info)


class JSONLines(logging.Formatter):
    """`log.info("served", extra={"status": 200})` -> {"time": ..., "event": "served", "status": 200}."""

    def format(self, record):
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            "process": record.process,
        }
        if identifier := request_id.get():
            line["request"] = identifier
        line |= {name: value for name, value in vars(record).items() if name not in OWN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)

    def formatException(self, ei):
        lines = VALUES.sub("", super().formatException(ei)).split("\n")
        return "\n".join(map(without_values, lines))


def without_values(line):
    """A line of a traceback; those of frames are indented, and hold code."""
    if line.startswith(" ") or OF_THE_INSTALLATION.match(line):
        return line
    return QUOTED.sub(r"\1...\1", line)
