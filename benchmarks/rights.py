"""What rights cost a search: who may see thousands of patients, who may see five, and a client that sees all.

    python -m benchmarks rights --data DIR --many 5000

DIR is one that `scale` made. Two doctors are made in it, with a consent of so many patients each; each search is the
product's own, within the access of that actor, for a page of 50.
"""

import os
import time

SHAPES = {
    "Observations, newest 50": "Observation?_count=50",
    "a code, newest 50": "Observation?code=http://loinc.org|29463-7&_count=50",
    "Conditions, newest 50": "Condition?_count=50",
    "Patients by the start of a name": "Patient?name=ma&_count=50",
    "Observations of a month": "Observation?date=2024-03&_count=50",
}
FEW = 5


def command(commands):
    """The command's arguments."""
    parser = commands.add_parser("rights", help="what rights cost searches on a large population")
    parser.add_argument("--data", required=True, help="data folder that `scale` made")
    parser.add_argument("--many", type=int, default=5000, help="patients whom one of the two doctors may see")
    parser.add_argument("--samples", type=int, default=200)
    return parser


def measure(options):
    """shape -> who -> milliseconds at p50 and p95, rows; as plain data."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fhirserver.settings")
    os.environ.setdefault("FHIRSERVER_STATEMENT_TIMEOUT", "600000")  # what takes long is to be seen, not cut short
    import django

    django.setup()
    from accessctl import scopes
    from accessctl.actor import Actor
    from fhirserver.embedded import Folder, Postgres, environment
    from fhirserver.embedded.reach import connected
    from records.database import as_system

    folder = Folder.at(options.data)
    with folder.lock("rights"), Postgres(folder), connected(environment(folder.path)):
        from django.core.management import call_command

        call_command("migrate", database="owner", verbosity=0, interactive=False)
        with as_system():
            actors = {f"sees {count}": doctor(count) for count in (options.many, FEW)}
        actors["client, sees all"] = Actor("benchmark", None, scopes.parse("system/*.rs"), None, None, None)
        return {name: {who: timed(query, actor, options.samples) for who, actor in actors.items()}
                for name, query in SHAPES.items()}  # fmt: skip


def doctor(count):
    """A doctor to whom so many patients, in no order, consent; made once."""
    from django.contrib.auth import get_user_model

    from accessctl.explain import actor_of
    from accessctl.people import Person
    from accessctl.rights import ConsentRule
    from records.database import execute
    from records.definitions.structures import type_number
    from records.keys import identity

    login, me = f"benchmark-{count}", f"benchmark-{count}"
    if not ConsentRule.objects.filter(grantee=identity("Practitioner", me)).exists():
        user, _ = get_user_model().objects.get_or_create(username=login)
        Person.objects.filter(user=user).delete()
        Person.objects.create(user=user, kind="professional", profession="10", practitioner=me)
        found = execute(
            "SELECT pk, identity FROM resource WHERE type = %s AND NOT deleted ORDER BY identity LIMIT %s",
            (type_number("Patient"), count),
        )
        ConsentRule.objects.bulk_create(
            ConsentRule(consent=-pk, patient=patient, depth=0, permit=True, among=0,
                        grantee=identity("Practitioner", me))
            for pk, patient in found
        )  # fmt: skip
    return actor_of(login, "user/*.rs")


def timed(query, actor, samples):
    """The search again and again."""
    from urllib.parse import parse_qsl

    from accessctl import wall
    from accessctl.access import access_for
    from records.database import asked_by
    from records.search import results
    from records.search.parse import parse

    from .figures import percentile

    type, _, text = query.partition("?")
    times, rows = [], 0
    for _ in range(samples):
        began = time.perf_counter()
        with asked_by(wall.asked_by(actor)):
            rows = len(results.run(parse(type, parse_qsl(text), strict=True), access_for(actor)).rows)
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return {"p50_ms": round(percentile(times, 50), 2), "p95_ms": round(percentile(times, 95), 2), "rows": rows}
