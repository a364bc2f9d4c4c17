"""The technical log carries no value of a resource."""

import json
import logging
import sys

import psycopg
import pytest
from django.db import connection

from fhirserver.logs import JSONLines


@pytest.mark.django_db
def test_an_error_of_the_database_is_told_without_the_values_of_the_row():
    try:
        try:
            with connection.cursor() as cursor:
                raw = cursor.connection.cursor()
                raw.execute(
                    "DO $$ BEGIN RAISE unique_violation USING DETAIL = 'Key (name)=(Aubert', HINT = 'x'; END $$"
                )
        except psycopg.Error as error:
            raise ValueError("while indexing") from error
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    line = json.loads(JSONLines().format(record))
    assert "Aubert" in "".join(logging.Formatter().formatException(record.exc_info))
    assert "Aubert" not in line["traceback"] and "DETAIL" not in line["traceback"]
    assert "UniqueViolation" in line["traceback"] and "ValueError: while indexing" in line["traceback"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("Aubert"), "KeyError: '...'"),
        (ValueError("no number: 'Aubert's'"), "ValueError: no number: '...'s'"),
        (ValueError("invalid \"Aubert\" for 'Aubert'"), "ValueError: invalid \"...\" for '...'"),
        (FileNotFoundError(2, "No such file", "/srv/key"), "FileNotFoundError: [Errno 2] No such file: '/srv/key'"),
        (AttributeError("'str' object has no attribute 'get'"), "'str' object has no attribute 'get'"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_what_an_exception_quotes_stays_out_of_the_log(error, told):
    try:
        raise error
    except Exception:
        record = logging.LogRecord("a", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    line = json.loads(JSONLines().format(record))["traceback"]
    assert told in line and "raise error" in line
    assert "Aubert" not in line.splitlines()[-1]
