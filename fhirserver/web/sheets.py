"""Tables for spreadsheets in which no cell is a formula."""

import csv

from django.http import HttpResponse

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def sheet(name, columns, rows):
    """A download of rows, with a line of headings."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    table = csv.writer(response)
    table.writerow(columns)
    table.writerows([harmless(str(cell)) for cell in row] for row in rows)
    return response


def harmless(text):
    """A spreadsheet takes what begins so for a formula; behind an apostrophe it is text."""
    return f"'{text}" if text.startswith(FORMULA) else text
