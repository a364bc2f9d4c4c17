"""New code that makes other rows has the old ones made anew."""

from records.database import execute
from records.indexing import jobs, upgrade
from tests.api import Api


def test_other_code_means_other_rows(database, monkeypatch):
    execute("DELETE FROM registry WHERE name = %s", (upgrade.NAME,))
    assert upgrade.renew() is None, "nothing is stored: nothing is to be made anew"
    Api().post("Patient", {"resourceType": "Patient", "name": [{"family": "Noël"}]})
    assert upgrade.renew() is None, "the same code"
    monkeypatch.setattr(upgrade, "EXTRACTION", upgrade.EXTRACTION + 1)
    job = upgrade.renew()
    assert jobs.find(job).kind == "reindex"
    assert upgrade.renew() is None, "asked for once"
    while jobs.advance():
        pass
    assert jobs.find(job).state == "done"
