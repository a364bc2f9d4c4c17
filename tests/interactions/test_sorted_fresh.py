"""What a search is sorted by is indexed before it is answered, as what it asks for is."""

import pytest

from tests.api import Api

STATUSES = ("final", "amended", "cancelled")
SORTED = {"_sort=status": ["amended", "cancelled", "final"], "_sort=-status": ["final", "cancelled", "amended"],
          "_sort=status,-date": ["amended", "cancelled", "final"]}  # fmt: skip


@pytest.mark.parametrize("sort", SORTED)
def test_what_has_just_been_written_is_in_its_place(database, sort):
    api = Api()
    for status in STATUSES:
        body = {"resourceType": "Observation", "status": status, "code": {"text": "weight"}}
        assert api.post("Observation", body).status_code == 201
    found = api.get(f"Observation?{sort}").tree["entry"]
    assert [e["resource"]["status"] for e in found] == SORTED[sort]
