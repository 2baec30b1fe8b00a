"""Settings: layers, what is refused, and that secrets do not print."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from api.settings import CONFIG_NAME, EngineChoice, Settings, read_settings
from tests.parts import ROOT

GOOD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CURTILAGE_{name.upper()}", raising=False)
    monkeypatch.delenv("CURTILAGE_CONFIG", raising=False)


def write(path: Path, **values: object) -> Path:
    """Write a settings file."""
    path.write_text(yaml.safe_dump(values), "utf-8")
    return path


def test_the_nearer_layer_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Argument before environment before file before default."""
    write(tmp_path / CONFIG_NAME, tenant="file", port=1, host="h", demo=True)
    monkeypatch.setenv("CURTILAGE_TENANT", "environment")
    monkeypatch.setenv("CURTILAGE_PORT", "2")
    found = read_settings(tmp_path, tenant="argument")

    assert ("argument", 2, "h", True, 300) == (
        found.tenant,
        found.port,
        found.host,
        found.demo,
        found.token_seconds,
    )
    assert tmp_path == found.home


def test_the_home_of_the_environment_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CURTILAGE_HOME says where curtilage.yaml is, and where all else is."""
    write(tmp_path / CONFIG_NAME, tenant="found")
    monkeypatch.setenv("CURTILAGE_HOME", str(tmp_path))
    found = read_settings()

    assert ("found", tmp_path) == (found.tenant, found.home)
    assert f"sqlite:///{tmp_path}/data/data.db" == found.data
    assert f"sqlite:///{tmp_path}/keys/keys.db" == found.keys
    assert tmp_path / "kek" == found.kek_path


def test_a_named_file_takes_the_place_of_the_homes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CURTILAGE_CONFIG names the one file that is read."""
    write(tmp_path / CONFIG_NAME, tenant="home")
    named = write(tmp_path / "other.yaml", tenant="named", engine="opa")
    monkeypatch.setenv("CURTILAGE_CONFIG", str(named))
    found = read_settings(tmp_path)

    assert ("named", EngineChoice.OPA) == (found.tenant, found.engine)


def test_a_named_file_that_is_absent_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing error in CURTILAGE_CONFIG does not mean the defaults."""
    monkeypatch.setenv("CURTILAGE_CONFIG", str(tmp_path / "nowhere.yaml"))

    with pytest.raises(ValueError, match=r"nowhere\.yaml"):
        read_settings(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        f"passphrase: '{GOOD}",
        f"- {GOOD}",
        f"{GOOD}",
        f"a: [\n{GOOD}",
        f"\x01 {GOOD}",
        f"passphrase: !!python/object:os.system {GOOD}",
    ],
)
def test_a_broken_file_is_one_line_without_its_text(
    tmp_path: Path, text: str
) -> None:
    """The message has file and line, and quotes nothing of the file."""
    (tmp_path / CONFIG_NAME).write_text(text, "utf-8")

    with pytest.raises(ValueError, match=rf"{CONFIG_NAME}:\d+: ") as caught:
        read_settings(tmp_path)
    assert "horse" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    """A file of comments sets nothing."""
    (tmp_path / CONFIG_NAME).write_text("# nothing yet\n", "utf-8")

    assert "main" == read_settings(tmp_path).tenant


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """In the file and among arguments, with its name and not its value."""
    write(tmp_path / CONFIG_NAME, passfrase=GOOD)
    with pytest.raises(ValidationError, match="passfrase") as caught:
        read_settings(tmp_path)
    (tmp_path / CONFIG_NAME).unlink()

    (one,) = caught.value.errors()
    assert "extra_forbidden" == one["type"]
    with pytest.raises(ValidationError, match="colour"):
        read_settings(tmp_path, colour="red")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tenant", ""),
        ("tenant", "Main"),
        ("tenant", "a" * 64),
        ("tenant", "a b"),
        ("origin", "a b"),
        ("origin", "a+b"),
        ("origin", ""),
        ("port", 70_000),
        ("port", -1),
        ("token_seconds", 29),
        ("token_seconds", 3_601),
        ("log_level", "trace"),
        ("engine", "rego"),
        ("data_url", "mysql://x/y"),
        ("keys_url", "oracle://x/y"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    tmp_path: Path, name: str, value: object
) -> None:
    """The error names the setting."""
    with pytest.raises(ValidationError) as caught:
        read_settings(tmp_path, **{name: value})

    assert [(name,)] == [one["loc"] for one in caught.value.errors()]


@pytest.mark.parametrize(
    ("listed", "groups"),
    [
        ("", []),
        ("a+b, c+d", ["ab", "cd"]),
        ("a+b,b+c", ["abc"]),
        ("a+b,c+d,e+f,b+c", ["abcd", "ef"]),
    ],
)
def test_groups_that_touch_are_one(
    tmp_path: Path, listed: str, groups: list[str]
) -> None:
    """Who shares with two lets the one have what the other has."""
    found = read_settings(tmp_path, colluding=listed).colluding_groups()

    assert groups == sorted("".join(sorted(one)) for one in found)


def test_settings_are_frozen(tmp_path: Path) -> None:
    """Nobody changes a setting after it was read."""
    found = read_settings(tmp_path)

    with pytest.raises(ValidationError, match="frozen"):
        found.tenant = "other"


@pytest.mark.parametrize(
    "passphrase",
    [
        "",
        " " * 20,
        "so short",
        "changeme",
        "a" * 40,
        "abababababababab",
        "elevenchars",
        "  elevenchars  ",
    ],
)
def test_a_poor_passphrase_is_refused(tmp_path: Path, passphrase: str) -> None:
    """Missing, default, short or monotonous; the message repeats nothing."""
    for found in (
        read_settings(tmp_path, passphrase=passphrase),
        read_settings(
            tmp_path, passphrase_file=_file(tmp_path, passphrase.encode())
        ),
    ):
        with pytest.raises(ValueError, match="passphrase") as caught:
            found.opened_passphrase()
        assert not passphrase.strip() or passphrase not in str(caught.value)


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "opens"
    path.write_bytes(content)
    return path


def test_no_passphrase_says_what_to_set(tmp_path: Path) -> None:
    """Nothing is assumed where none was given."""
    with pytest.raises(ValueError, match="CURTILAGE_PASSPHRASE_FILE"):
        read_settings(tmp_path).opened_passphrase()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_passphrase_file_ends_where_its_text_ends(
    tmp_path: Path, end: str
) -> None:
    """An editor's last newline is no part of the passphrase."""
    file = _file(tmp_path, (GOOD + end).encode())
    found = read_settings(tmp_path, passphrase_file=file)

    assert GOOD.encode() == found.opened_passphrase()


def test_a_passphrase_file_that_is_no_text_is_not_quoted(
    tmp_path: Path,
) -> None:
    """The decoder's message would hold bytes of it."""
    file = _file(tmp_path, b"\xfe\xff horse")

    with pytest.raises(ValueError, match="UTF-8") as caught:
        read_settings(tmp_path, passphrase_file=file).opened_passphrase()
    assert "0xfe" not in str(caught.value)
    assert None is caught.value.__cause__


def test_a_missing_passphrase_file_is_named(tmp_path: Path) -> None:
    """The system's own error says which file is absent."""
    found = read_settings(tmp_path, passphrase_file=tmp_path / "none")

    with pytest.raises(FileNotFoundError, match="none"):
        found.opened_passphrase()


@pytest.mark.parametrize(
    "kek",
    ["data", "keys", "data/kek", "keys/a/b", "data/../data", "link"],
)
def test_keys_beside_a_database_are_refused(tmp_path: Path, kek: str) -> None:
    """A KEK folder in the folder of a database would be copied with it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")

    with pytest.raises(ValidationError, match="kek_folder stands beside"):
        read_settings(tmp_path, kek_folder=tmp_path / kek)


def test_a_database_in_the_home_makes_the_default_folder_refused(
    tmp_path: Path,
) -> None:
    """The default KEK folder is checked as well as a named one."""
    with pytest.raises(ValidationError, match="beside the data database"):
        read_settings(tmp_path, data_url=f"sqlite:///{tmp_path}/all.db")
    with pytest.raises(ValidationError, match="beside the keys database"):
        read_settings(tmp_path, keys_url=f"sqlite:///{tmp_path}/all.db")


def test_keys_and_data_are_two_files(tmp_path: Path) -> None:
    """One SQLite file for both would hold lock and key."""
    url = f"sqlite:///{tmp_path}/data/data.db"

    with pytest.raises(ValidationError, match="same file"):
        read_settings(tmp_path, data_url=url, keys_url=url)


def test_postgresql_may_hold_both(tmp_path: Path) -> None:
    """On PostgreSQL the two sets of tables may share a database."""
    url = "postgresql+psycopg://localhost/curtilage"
    found = read_settings(tmp_path, data_url=url, keys_url=url)

    assert (url, url) == (found.data, found.keys)


def test_secrets_do_not_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in repr, str, a dump to JSON, nor in an error beside it."""
    monkeypatch.setenv("CURTILAGE_PASSPHRASE", GOOD)
    found = read_settings(tmp_path)

    assert GOOD.encode() == found.opened_passphrase()
    for shown in (repr(found), str(found), found.model_dump_json()):
        assert "horse" not in shown
    with pytest.raises(ValidationError) as caught:
        read_settings(tmp_path, tenant="A B")
    assert "horse" not in str(caught.value)


def test_a_password_in_an_address_does_not_print(tmp_path: Path) -> None:
    """Database addresses may hold a password, which is a secret as well."""
    url = "postgresql+psycopg://who:horse@localhost/x"
    found = read_settings(tmp_path, data_url=url, keys_url=url)

    assert url == found.data
    for shown in (repr(found), str(found)):
        assert "horse" not in shown
    for wrong in ("mysql://who:horse@localhost/x", "horse", "sqlite://:x:y"):
        with pytest.raises(ValidationError) as caught:
            read_settings(tmp_path, data_url=wrong, keys_url=url)
        assert "horse" not in str(caught.value)


def test_an_error_about_all_settings_repeats_none(tmp_path: Path) -> None:
    """An error of two settings together does not print the others."""
    with pytest.raises(ValidationError, match="kek_folder") as caught:
        read_settings(tmp_path, kek_folder=tmp_path / "data", passphrase=GOOD)

    assert "horse" not in str(caught.value)


def test_every_setting_says_what_it_is() -> None:
    """Each field has one line of meaning."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description


def test_the_settings_of_the_readme_are_the_fields() -> None:
    """README's table of settings names each field once, and no other."""
    readme = ROOT / "README.md"
    text = readme.read_text("utf-8") if readme.is_file() else ""
    heading = re.search(r"^#+ Settings\b.*$", text, re.MULTILINE)
    if heading is None:
        pytest.skip("README.md has no heading Settings yet")
    section = re.split(r"^#+ ", text[heading.end() :], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| *`(CURTILAGE_\w+)`", section, re.MULTILINE)
    fields = {f"CURTILAGE_{name.upper()}" for name in Settings.model_fields}

    assert len(set(rows)) == len(rows)
    assert fields == set(rows) - {"CURTILAGE_CONFIG"}


@pytest.mark.parametrize(
    ("journal", "what"),
    [
        ("data/erasures", "beside the data"),
        ("keys/a/erasures", "beside the keys"),
        ("kek/erasures", "in the folder of the KEK"),
        ("kek/a/erasures", "in the folder of the KEK"),
        ("link/erasures", "beside the data"),
    ],
)
def test_the_journal_stands_apart(
    tmp_path: Path, journal: str, what: str
) -> None:
    """It would be rolled back with a database, or never be copied."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")

    with pytest.raises(ValidationError, match=what):
        read_settings(tmp_path, journal=tmp_path / journal)


@pytest.mark.parametrize(
    ("provider", "needs"),
    [
        ("pkcs11", "pkcs11_module and pkcs11_token and pkcs11_pin_file"),
        ("transit", "transit_url and transit_token_file"),
        ("aws-kms", "kms_region"),
    ],
)
def test_a_custodian_without_its_address_is_refused(
    tmp_path: Path, provider: str, needs: str
) -> None:
    """What the chosen custodian needs is named at once, all of it."""
    with pytest.raises(ValidationError, match=needs):
        read_settings(tmp_path, key_provider=provider)
