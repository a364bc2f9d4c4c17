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
