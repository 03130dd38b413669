"""deploy/make-secrets: what a stack has to keep to itself, made once and fit for use."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from joserfc import jwt
from joserfc.jwk import ECKey

from bailiwick_identity.store.signing_keys import SigningKeys
from bailiwick_kit.bus.broker_accounts import OPERATOR, definitions, password_hash
from bailiwick_launcher.broker import ACCOUNTS
from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_launcher.services import SERVICES


def make(folder: Path, **told: str) -> dict[str, str]:
    subprocess.run(
        [str(CHECKOUT / "deploy" / "make-secrets"), str(folder)],
        env={"PATH": "/usr/bin:/bin", **told},
        check=True,
        timeout=60,
    )
    return {file.name: file.read_text() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "secrets"
    make(made)
    return made


def test_every_secret_that_compose_asks_for_is_made(folder: Path) -> None:
    compose = yaml.safe_load((CHECKOUT / "deploy" / "compose.yaml").read_text("utf-8"))
    asked = {secret["file"].rpartition("/")[2] for secret in compose["secrets"].values()}
    made = {file.name for file in folder.iterdir()}
    # What compose reads inside other files only: a person may have to look it up.
    assert made - asked == {"rabbitmq_password"}
    assert asked <= made


def test_nobody_but_the_folders_owner_gets_to_them_and_every_container_can_read_them(
    folder: Path,
) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o444}


def test_signing_keys_are_as_identity_wants_them(folder: Path) -> None:
    keys = SigningKeys.load(folder / "signing_keys.json", "https://shop.example")
    signed = jwt.encode({"alg": "ES256"}, {"sub": "a"}, keys._keys[0])
    assert jwt.decode(signed, keys.public[0], algorithms=["ES256"]).claims == {"sub": "a"}
    assert isinstance(keys.public[0], ECKey)


def test_what_is_there_stays_and_what_is_missing_comes_back(tmp_path: Path) -> None:
    first = make(tmp_path / "secrets")
    (tmp_path / "secrets" / "door_secret").unlink()
    second = make(tmp_path / "secrets")
    assert {name for name in first if first[name] != second[name]} == {"door_secret"}


def test_no_two_stacks_and_no_two_roles_share_a_secret(folder: Path, tmp_path: Path) -> None:
    one = {name: (folder / name).read_text() for name in ("door_secret", "cursor_secret")}
    other = make(tmp_path / "secrets")
    passwords = [
        urlsplit(other[f"{service}_database_{role}_url"]).password
        for service in SERVICES
        for role in ("owner", "api", "worker")
    ] + [urlsplit(other[f"{account}_broker_url"]).password for account in ACCOUNTS]
    everything = [*one.values(), other["door_secret"], other["cursor_secret"], *passwords]
    assert len(set(everything)) == len(everything)
    assert min(len(str(password)) for password in passwords) >= 32


def test_addresses_agree_with_what_servers_are_told(folder: Path) -> None:
    password = (folder / "rabbitmq_password").read_text().strip()
    assert f"default_pass = {password}\n" in (folder / "rabbitmq.conf").read_text()
    for name in ("broker_url", "broker_management_url"):
        assert urlsplit((folder / name).read_text()).password == password


def test_the_brokers_accounts_have_the_passwords_of_the_addresses(folder: Path) -> None:
    url = {account: folder / f"{account}_broker_url" for account in ACCOUNTS}
    url[OPERATOR] = folder / "broker_url"
    addresses = {account: urlsplit(file.read_text()) for account, file in url.items()}
    assert {account: address.username for account, address in addresses.items()} == {
        account: account for account in url
    }
    hashes = {
        account: password_hash(str(address.password)) for account, address in addresses.items()
    }
    told = json.loads((folder / "rabbitmq_definitions.json").read_text())
    assert told == definitions(hashes)


def test_a_folder_of_a_version_with_one_account_is_completed(tmp_path: Path) -> None:
    before = make(tmp_path / "secrets")
    told = before.pop("rabbitmq.conf").splitlines()[:2]
    (tmp_path / "secrets" / "rabbitmq.conf").unlink()
    (tmp_path / "secrets" / "rabbitmq.conf").write_text("\n".join(told))
    for account in ACCOUNTS:
        (tmp_path / "secrets" / f"{account}_broker_url").unlink()
    (tmp_path / "secrets" / "rabbitmq_definitions.json").unlink()
    after = make(tmp_path / "secrets")
    assert "load_definitions" in after["rabbitmq.conf"]
    assert "HASH_OF" not in after["rabbitmq_definitions.json"]
    assert after["broker_url"] == before["broker_url"]


def test_servers_may_be_elsewhere(tmp_path: Path) -> None:
    made = make(
        tmp_path / "secrets", POSTGRES="db.example:6432", SMTP_URL="smtps://a:b@mail.example"
    )
    assert urlsplit(made["orders_database_api_url"]).netloc.endswith("@db.example:6432")
    assert made["smtp_url"] == "smtps://a:b@mail.example\n"
