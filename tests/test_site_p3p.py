"""What is declared is served as P3P, and read back by our strict reader."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.demo.world import declarations
from api.portal import portal_declaration
from consent import (
    POLICIES_PATH,
    REFERENCE_PATH,
    Access,
    Controller,
    Cookie,
    Declaration,
    P3PReading,
    Tuple,
    compact_of,
    drift,
    load_yaml,
    p3p_header,
    pipl_vocabulary,
    policy_name,
    read_compact,
    read_p3p,
    site_policies,
    site_references,
    write_p3p,
)
from consent.vocabulary import LegalBasis
from tests.worlds import (
    DECLARATION,
    PURPOSE,
    SERVICE,
    World,
    build_world,
    publish,
)

OFFICE = Controller(id="t", name="Test Town", contact="privacy@t.example")
PORTAL = portal_declaration(OFFICE)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An instance with its pages on."""
    with build_world(tmp_path_factory.mktemp("site") / "home") as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[TestClient]:
    """A browser at it."""
    with TestClient(create_app(world.platform)) as made:
        yield made


def strictly(text: bytes) -> P3PReading:
    """Read a file as a stranger would who forgives nothing."""
    return read_p3p(text, where="served.xml", strict=True)


def relation(declared: Declaration) -> frozenset[Tuple]:
    """What P3P has words for: neither a basis nor a number of days."""
    return frozenset(
        replace(row, basis=LegalBasis.CONSENT, retention_days=None)
        for row in declared.tuples()
    )


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
def test_policies_mean_what_was_declared(language: str) -> None:
    """Every declaration of the demonstration, and the pages' own."""
    declared = [*declarations(), PORTAL]
    document = site_policies(declared[:-1], portal=PORTAL, language=language)
    read = strictly(write_p3p(document))
    assert read.document.language == language
    wanted = {policy_name(one): relation(one) for one in declared[:-1]}
    wanted["portal"] = relation(PORTAL)
    assert wanted == {
        policy.name: relation(one)
        for policy, one in zip(
            read.document.policies, read.declarations, strict=True
        )
    }
    assert {Access.ALL} == {each.access for each in read.document.policies}


def test_every_reference_names_a_policy_that_is_there() -> None:
    """Purposes by their page, everything else by the portal, cookies too."""
    declared = list(declarations())
    file = strictly(write_p3p(site_references(declared))).document.references
    policies = strictly(
        write_p3p(site_policies(declared, portal=PORTAL))
    ).document
    assert file is not None
    for one in declared:
        about = file.about(f"/me/consents/{one.service}/{one.purpose}")
        assert about == f"{POLICIES_PATH}#{policy_name(one)}"
        assert policies.policy(policy_name(one)) is not None
    for uri in ("/", "/me/uses?before=7", "/help", "/me/consents"):
        assert file.about(uri) == f"{POLICIES_PATH}#portal"
    assert file.about_cookie(Cookie(name="session")) == (
        f"{POLICIES_PATH}#portal"
    )
    assert policies.policy("portal") is not None


def test_names_that_need_escapes_are_covered() -> None:
    """A service's id is quoted in the pattern as it is in the address."""
    odd = load_yaml(
        DECLARATION.replace("moving-house", "moving_house.v2").encode(),
        where="odd.yaml",
    )
    file = strictly(write_p3p(site_references([odd]))).document.references
    assert file is not None
    assert file.about(f"/me/consents/moving_house.v2/{PURPOSE}") == (
        f"{POLICIES_PATH}#moving_house.v2.{PURPOSE}"
    )


def test_the_header_is_the_portals_policy() -> None:
    """The compact form drifts in nothing from the full one."""
    reading = read_compact(f"P3P: {p3p_header(PORTAL)}", where="header")
    assert reading.valid
    # Two tokens are legal: cookies and answers are kept differently long.
    assert ["several-retentions"] == [f.code for f in reading.findings]
    assert REFERENCE_PATH == reading.policyref
    (policy,) = strictly(
        write_p3p(site_policies([], portal=PORTAL))
    ).document.policies
    assert not drift(compact_of(policy), reading.policy)
    assert "ALL CUR OUR STP LEG INT STA" == reading.policy.text()


def test_it_is_served(client: TestClient, world: World) -> None:
    """Reference file, policies and header agree with each other."""
    served = client.get(REFERENCE_PATH)
    policies = client.get(
        POLICIES_PATH, headers={"Accept-Language": "fr, zh-CN;q=0.8"}
    )
    assert 200 == served.status_code == policies.status_code
    for one in (served, policies):
        assert "application/p3p+xml" == one.headers["content-type"]
        assert "set-cookie" not in one.headers
    file = strictly(served.content).document.references
    read = strictly(policies.content)
    assert file is not None
    assert "zh-Hans" == read.document.language
    assert file.about(f"/me/consents/{SERVICE}/{PURPOSE}") == (
        f"{POLICIES_PATH}#{SERVICE}.{PURPOSE}"
    )
    found = dict(
        zip(
            [each.name for each in read.document.policies],
            read.declarations,
            strict=True,
        )
    )
    assert relation(world.declaration) == relation(
        found[f"{SERVICE}.{PURPOSE}"]
    )
    assert "Test Town" == found["portal"].controller.name


@pytest.mark.parametrize("path", ["/", "/help", "/me/consents", "/nowhere"])
def test_every_page_carries_the_header(client: TestClient, path: str) -> None:
    """Redirects and error pages too, since they may set a cookie."""
    answer = client.get(
        path, headers={"Accept": "text/html"}, follow_redirects=False
    )
    reading = read_compact(answer.headers["p3p"], where="header")
    assert reading.valid
    policies = strictly(client.get(POLICIES_PATH).content).document
    portal = policies.policy("portal")
    assert portal is not None
    assert not drift(compact_of(portal), reading.policy)


def test_a_new_version_is_served_at_once(
    client: TestClient, world: World
) -> None:
    """What is in force is what is told, and nothing before it is."""
    wider = DECLARATION.replace("version: 1", "version: 2").replace(
        "[ours]", "[ours, public]"
    )
    assert b"<public/>" not in client.get(POLICIES_PATH).content
    publish(world.platform, load_yaml(wider.encode(), where="wider.yaml"))
    assert b"<public/>" in client.get(POLICIES_PATH).content


def test_the_pipl_vocabulary_is_served(client: TestClient) -> None:
    """As it ships, to anybody."""
    answer = client.get("/ns/pipl")
    assert pipl_vocabulary() == answer.content
    assert "application/ld+json" == answer.headers["content-type"]
