"""What is decided once for a data folder: its ports are those of no other stack."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bailiwick_launcher import data_folder as places_module
from bailiwick_launcher.data_folder import DataFolder


@pytest.fixture(autouse=True)
def few_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(places_module, "_PORTS", range(31000, 31030))


def test_two_data_folders_that_start_at_once_choose_no_port_twice(tmp_path: Path) -> None:
    """Nobody listens yet when the second one chooses."""

    def chosen(one: int) -> list[int]:
        kept = DataFolder(tmp_path / str(one)).kept
        return [kept.port(name) for name in ("postgres", "rabbitmq", "opa", "gateway")]

    with ThreadPoolExecutor(5) as starting:
        ports = [port for folder in starting.map(chosen, range(5)) for port in folder]
    assert len(set(ports)) == 20


def test_a_server_comes_back_at_its_port_unless_a_stranger_took_it(tmp_path: Path) -> None:
    kept = DataFolder(tmp_path / "data").kept
    port = kept.port("postgres")
    assert kept.port("postgres") == port
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        assert kept.port("postgres", in_use=True) == port
        moved = kept.port("postgres")
    assert moved != port
    assert kept.port("postgres") == moved


def test_a_port_that_nobody_listened_on_is_given_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "_PORTS", range(31040, 31041))
    port = DataFolder(tmp_path / "first").kept.port("opa")
    monkeypatch.setattr(places_module, "_CLAIM_HOLDS", -1)
    assert DataFolder(tmp_path / "second").kept.port("opa") == port
