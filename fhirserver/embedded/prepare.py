"""Bring the database to this code's schema, then issue the token that `up` prints: one start of Django for both.

Prints "migrated" when the first is done; the last line is the token.
"""

import os
import sys


def main(data, client, scope):
    os.environ["DJANGO_SETTINGS_MODULE"] = "fhirserver.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", database="owner", interactive=False, verbosity=0, skip_checks=True)
    from records.indexing import upgrade

    upgrade.renew()
    print("migrated", flush=True)
    call_command("issue_token", data=data, client=client, scope=scope)


if __name__ == "__main__":
    main(*sys.argv[1:])
