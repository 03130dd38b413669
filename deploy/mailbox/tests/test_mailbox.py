"""The mailbox: what it keeps, what it gives up, and what `./bailiwick mail` prints of it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from typer.testing import CliRunner

from bailiwick_launcher.cli import app
from bailiwick_launcher.data_folder import DataFolder
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import mailbox as provider
from bailiwick_launcher.servers import probes
from bailiwick_mailbox import Mailbox
from bailiwick_mailbox.__main__ import Keeper
from bailiwick_notifier.mail.sending import Mail, Mailer, PutOff
from bailiwick_testkit.servers.real import Servers
from bailiwick_testkit.servers.stack import ReadMailbox

OURS = "BAILIWICK_DATA"


@asynccontextmanager
async def listening(keeper: Keeper) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(keeper, loop=loop, hostname="localhost", enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def a_mail(number: int = 1, recipient: str = "Ana@example.com", **changes: Any) -> Mail:
    mail = Mail(
        message_id=f"<{number}@b.example>",
        sender="B <o@b.example>",
        recipient=recipient,
        recipient_name="Ana",
        subject="Nuevo pedido: 95,40 €",
        text="Café Olé\n.\n",
        html="<p>Café</p>",
    )
    return replace(mail, **changes)


async def kept(folder: Path, *mails: Mail, most: int = 100, most_bytes: int = 10**6) -> Mailbox:
    async with listening(Keeper(folder, most, most_bytes)) as url:
        for mail in mails:
            await Mailer(url).send(mail)
    return Mailbox(folder)


async def test_message_is_kept_as_it_came_with_whom_it_was_for(tmp_path: Path) -> None:
    mailbox = await kept(tmp_path, a_mail())
    (message,) = mailbox.messages()
    assert message.number == 1
    assert message.recipients == ["Ana@example.com"]
    assert message.subject == "Nuevo pedido: 95,40 €"
    assert message.text == "Café Olé\n.\n"
    assert message.html.strip() == "<p>Café</p>"
    assert message.message["Return-Path"] == "<o@b.example>"
    (file,) = os.scandir(tmp_path)
    assert file.stat().st_mode & 0o077 == 0


async def test_address_in_other_letters_is_kept(tmp_path: Path) -> None:
    mailbox = await kept(tmp_path, a_mail(recipient="josé@example.com"))
    assert mailbox.to("josé@example.com")


async def test_messages_are_found_by_address_in_the_order_of_arrival(tmp_path: Path) -> None:
    mailbox = await kept(tmp_path, a_mail(1), a_mail(2, "bob@example.com"), a_mail(3))
    assert [one.number for one in mailbox.to("ana@example.com")] == [1, 3]
    assert [one.message["Message-ID"] for one in mailbox.to("bob@example.com")] == ["<2@b.example>"]
    assert mailbox.to("nobody@example.com") == []


async def test_oldest_make_room_by_number_and_by_size(tmp_path: Path) -> None:
    mailbox = await kept(tmp_path, *(a_mail(n) for n in range(1, 6)), most=3)
    assert [one.number for one in mailbox.messages()] == [3, 4, 5]
    large = a_mail(6, text="x" * 5_000)
    mailbox = await kept(tmp_path, large, most_bytes=7_000)
    assert [one.number for one in mailbox.messages()][-1] == 6  # it goes on from where it was
    assert sum(file.stat().st_size for file in os.scandir(tmp_path)) <= 7_000


async def test_message_that_cannot_be_kept_is_put_off(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    with pytest.raises(PutOff, match="452"):
        await kept(folder, a_mail())


async def test_test_waits_for_mail_that_is_on_its_way(tmp_path: Path) -> None:
    mailbox = ReadMailbox(tmp_path)
    waiting = asyncio.to_thread(partial(mailbox.await_to, "ana@example.com", within=10))
    found, _ = await asyncio.gather(waiting, kept(tmp_path, a_mail()))
    assert len(found) == 1
    with pytest.raises(AssertionError, match="1 of 2 to ana"):
        mailbox.await_to("ana@example.com", 2, within=0)


@contextmanager
def _own_process(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["-m", "bailiwick_mailbox", "--port", str(port), "--folder", str(folder)]
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == f"listens on port {port}\n".encode()
        try:
            yield process, port
        finally:
            process.kill()


async def test_process_is_ready_when_it_greets_and_ends_when_told(tmp_path: Path) -> None:
    with _own_process(tmp_path) as (process, port):
        assert probes.smtp("127.0.0.1", port)
        await Mailer(f"smtp://127.0.0.1:{port}").send(a_mail())
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0
        assert not probes.smtp("127.0.0.1", port)
    assert len(Mailbox(tmp_path).messages()) == 1


@pytest.fixture
def places(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    monkeypatch.delenv(provider.VARIABLE, raising=False)
    with servers.private() as mine:
        monkeypatch.setenv(OURS, str(mine.places.data))
        yield mine.places


def said(*arguments: str) -> str:
    outcome = CliRunner().invoke(app, ["mail", *arguments])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


async def test_mail_lists_and_shows_messages(places: DataFolder, tmp_path: Path) -> None:
    assert said().startswith("No mail yet.")
    await kept(places.folder("mailbox"), *(a_mail(n, subject=f"Order {n}") for n in range(1, 4)))
    listed = said("--last", "2")
    assert "Order 1" not in listed
    assert [line.split()[0] for line in listed.splitlines()[:3]] == ["number", "2", "3"]
    assert "1 earlier; all: ./bailiwick mail --last 3" in listed
    one = said("3")
    assert "subject  Order 3" in one
    assert "to       Ana@example.com" in one
    assert one.endswith("\nCafé Olé\n.\n")
    target = tmp_path / "mail.html"
    said("3", "--html", str(target))
    assert target.read_text().strip() == "<p>Café</p>"


async def test_terminal_is_told_nothing_by_a_message(places: DataFolder) -> None:
    await kept(places.folder("mailbox"), a_mail(text="\x1b[2Jgone\x07\u202e 95,40\u00a0€"))
    shown = said("1")
    assert {"\x1b", "\x07", "\u202e"}.isdisjoint(shown)
    assert "gone 95,40 €" in shown


def test_number_that_is_not_there_is_told(places: DataFolder) -> None:
    for arguments in (["7"], ["7", "--html", "x.html"], ["--html", "x.html"]):
        assert CliRunner().invoke(app, ["mail", *arguments]).exit_code == 1


def test_named_mail_server_is_used_and_never_started_or_stopped(
    places: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(provider.VARIABLE, "smtps://u:p@mail.example")
    server = provider.provide(places, None)
    assert server.url == "smtps://u:p@mail.example"
    server.start()
    server.stop()
    with pytest.raises(StackError, match="not ours"):
        server.kill()
    assert provider.provide(places, None, own=True).url.startswith("smtp://127.0.0.1:")


def test_sender_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(provider.FROM_VARIABLE, raising=False)
    assert provider.sender() == "Bailiwick <orders@bailiwick.example>"
    monkeypatch.setenv(provider.FROM_VARIABLE, "Us <us@real.example>")
    assert provider.sender() == "Us <us@real.example>"
