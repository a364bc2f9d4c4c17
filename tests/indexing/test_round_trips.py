"""What a search knows of stored parameters costs it no round trip of its own."""

from records.database.session import Session
from records.search import stored
from tests.api import Api, indexed


def test_the_look_at_the_registry_travels_with_another_statement(database, monkeypatch):
    api = Api()
    api.put("Patient/p", {"resourceType": "Patient", "id": "p", "gender": "female"})
    indexed()
    api.get("Patient?gender=female")
    trips, sound = [], Session.run

    def counted(session, statements):
        trips.append([text for text, *_ in statements])
        return sound(session, statements)

    monkeypatch.setattr(Session, "run", counted)
    assert api.get("Patient?gender=female").status_code == 200
    [with_it] = [texts for texts in trips if stored.VERSION[0] in texts]
    assert len(with_it) > 1 and any("pending" in text for text in with_it)
