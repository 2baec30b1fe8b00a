"""Roles of columns."""

from anonymize import Role


def test_roles_are_those_of_the_release_policy() -> None:
    """The five words are the ones that the release decision uses."""
    expected = {"direct", "quasi", "sensitive", "text", "other"}
    assert expected == {role.value for role in Role}


def test_only_direct_identifiers_never_leave() -> None:
    """Every role but direct has its column in the extract."""
    assert [Role.DIRECT] == [role for role in Role if not role.published]
