"""The static files: kept for ever under their digest, and nothing else."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.pages.assets import load_assets
from api.pages.errors import PagesMisconfigured
from api.pages.headers import CONTENT_SECURITY_POLICY, IMMUTABLE
from tests.pages_fake import fake_desk, make_fake_app


def client() -> TestClient:
    """Return a client without a session."""
    return TestClient(make_fake_app(fake_desk()))


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("app.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("vendor/govuk-frontend.min.css", "text/css; charset=utf-8"),
    ],
)
def test_static_file_is_kept_for_ever(name: str, media: str) -> None:
    """A file under its digest may be stored; it gives no session."""
    answer = client().get(load_assets().url(name))

    assert 200 == answer.status_code
    assert IMMUTABLE == answer.headers["cache-control"]
    assert media == answer.headers["content-type"]
    assert CONTENT_SECURITY_POLICY == answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/app.css",
        "/static/0000000000000000/app.css",
        "/static/{digest}/../templates/base.html",
        "/static/{digest}/%2e%2e/templates/base.html",
        "/static/{digest}/vendor/manifest.json",
        "/static/{digest}//etc/passwd",
        "/static/{digest}/",
    ],
)
def test_nothing_else_is_served(path: str) -> None:
    """No other name, digest or way around leads to a file."""
    answer = client().get(path.format(digest=load_assets().digest))

    assert 404 == answer.status_code
    assert IMMUTABLE != answer.headers.get("cache-control")


def test_address_changes_with_any_file(tmp_path: Path) -> None:
    """A changed file changes the address of all of them."""
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    for name in ("govuk-frontend.min.css", "govuk-frontend.min.js"):
        (vendor / name).write_text("x", "utf-8")
    before = load_assets(tmp_path)
    (tmp_path / "app.css").write_text("y", "utf-8")

    assert before.digest != load_assets(tmp_path).digest


def test_missing_third_party_file_stops_the_start(tmp_path: Path) -> None:
    """Without the stylesheet there are no pages, and the remedy is named."""
    with pytest.raises(PagesMisconfigured, match="make assets"):
        load_assets(tmp_path)


def test_own_files_call_no_other_host() -> None:
    """Our stylesheet and script name no address outside this site."""
    files = load_assets().files
    for name in ("app.css", "app.js"):
        assert b"http" not in files[name]
        assert b"url(" not in files[name]
