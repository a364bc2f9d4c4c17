#!/usr/bin/env python
"""Command line of the server: `manage.py up`, `load`, `issue_token`, ..."""

import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fhirserver.settings")
    if sys.argv[1:2] == ["up"]:
        # What watches the other processes stays small: it runs without Django.
        from fhirserver.embedded import supervisor

        sys.exit(supervisor.main(sys.argv[2:]))

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
