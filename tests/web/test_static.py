"""Static files wherever the installation lies."""

import pytest

from fhirserver.web import static


@pytest.fixture(autouse=True)
def fresh():
    for each in (static.roots, static.named):
        each.cache_clear()
    yield
    for each in (static.roots, static.named):
        each.cache_clear()


def test_an_installation_behind_a_link_has_its_files(tmp_path, monkeypatch):
    here = tmp_path / "current"
    here.symlink_to(static.HERE)
    monkeypatch.setattr(static, "HERE", here)
    assert static.named("app.css")[1] == (static.HERE / "app.css").read_bytes()


def test_nothing_beside_the_folders_is_a_static_file(tmp_path, monkeypatch):
    (tmp_path / "static").mkdir()
    (tmp_path / "secret.css").write_text("x")
    (tmp_path / "static" / "link.css").symlink_to(tmp_path / "secret.css")
    monkeypatch.setattr(static, "HERE", tmp_path / "static")
    for name in ("../secret.css", "link.css"):
        with pytest.raises(FileNotFoundError):
            static.named(name)
