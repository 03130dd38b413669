"""Mail to a real SMTP server that works, is down, is slow, refuses, cuts and babbles (F20)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bailiwick_notifier.mail.sending import Mail, Mailer, PutOff, Undeliverable
from bailiwick_testkit.fakes.smtp_server import Harm, MailServer, Stage, mail_server
from bailiwick_testkit.waiting import until

MAIL = Mail(
    message_id="<0190.a7@bailiwick.example>",
    sender="Bailiwick <orders@bailiwick.example>",
    recipient="ana@example.com",
    recipient_name="Ana Peña",
    subject="New order from Café Olé",
    text="An order came in.\n.\nFrom Café Olé\n",
    html="<p>An order came in.</p>\n",
)
BEFORE: list[Stage] = ["connect", "hello", "sender", "recipient", "data"]


def tls(folder: Path, name: str = "127.0.0.1") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context, and one that trusts its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    today = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate = folder / "certificate.pem"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    certificate.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + signed.public_bytes(pem)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    return server, ssl.create_default_context(cadata=signed.public_bytes(pem).decode())


async def test_mail_arrives_once_at_its_one_recipient() -> None:
    async with mail_server() as server:
        await Mailer(server.url).send(MAIL)
    (mail,) = server.accepted
    assert mail.sender == "orders@bailiwick.example"
    assert mail.recipients == ("ana@example.com",)
    assert mail.hello == "bailiwick.example"
    assert mail.message["To"] == "Ana Peña <ana@example.com>"
    assert mail.message["Message-ID"] == MAIL.message_id
    body = mail.message.get_body(("plain",))
    assert body
    assert body.get_content().replace("\r\n", "\n") == MAIL.text


async def test_server_that_is_down_puts_it_off() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(PutOff) as put_off:
            await Mailer(f"smtp://127.0.0.1:{nobody.getsockname()[1]}").send(MAIL)
    assert not put_off.value.may_have_arrived


@pytest.mark.parametrize("stage", [*BEFORE, "end"])
async def test_refusal_for_now_puts_it_off(stage: Stage) -> None:
    async with mail_server() as server:
        server.faults[stage] = "451 4.3.0 ana@example.com: later"
        with pytest.raises(PutOff, match="451") as put_off:
            await Mailer(server.url).send(MAIL)
        assert not put_off.value.may_have_arrived
        assert "ana" not in str(put_off.value)
        server.faults.clear()
        await Mailer(server.url).send(MAIL)
    assert len(server.accepted) == 1


@pytest.mark.parametrize("stage", ["sender", "recipient", "data", "end"])
async def test_refusal_for_good_is_the_end_of_it(stage: Stage) -> None:
    async with mail_server() as server:
        server.faults[stage] = "550 5.1.1 ana@example.com: no such user"
        with pytest.raises(Undeliverable, match="550") as refused:
            await Mailer(server.url).send(MAIL)
    assert not server.accepted
    assert "ana" not in str(refused.value)


@pytest.mark.parametrize(
    ("stage", "answer"),
    [("connect", "554 no"), ("hello", "550 no"), ("sender", "530 5.7.0 sign in first")],
)
async def test_refusal_of_us_is_no_refusal_of_the_mail(stage: Stage, answer: str) -> None:
    async with mail_server() as server:
        server.faults[stage] = answer
        with pytest.raises(PutOff):
            await Mailer(server.url).send(MAIL)


@pytest.mark.parametrize("harm", list(Harm))
@pytest.mark.parametrize("stage", BEFORE)
async def test_cut_or_hang_before_the_mail_puts_it_off(stage: Stage, harm: Harm) -> None:
    async with mail_server() as server:
        server.faults[stage] = harm
        with pytest.raises(PutOff) as put_off:
            await Mailer(server.url, deadline=0.3).send(MAIL)
        assert not put_off.value.may_have_arrived
    assert not server.accepted


@pytest.mark.parametrize("stage", ["middle", "end"])
@pytest.mark.parametrize("harm", list(Harm))
async def test_cut_or_hang_once_the_mail_is_out_says_that_nobody_knows(
    stage: Stage, harm: Harm
) -> None:
    async with mail_server() as server:
        server.faults[stage] = harm
        with pytest.raises(PutOff) as put_off:
            await Mailer(server.url, deadline=0.3).send(MAIL)
        assert put_off.value.may_have_arrived
        await _ended(server)


@pytest.mark.parametrize("fault", [*Harm, "421 no", "what?"])
async def test_what_was_accepted_is_sent_however_long_the_goodbye_takes(fault: str | Harm) -> None:
    async with mail_server() as server:
        server.faults["goodbye"] = fault
        await Mailer(server.url, deadline=0.5).send(MAIL)
        await _ended(server)
    assert len(server.accepted) == 1


@pytest.mark.parametrize("babble", ["what?", "2", "99999999999 x", "\x00\x01", "x" * 70_000])
@pytest.mark.parametrize("stage", [*BEFORE, "end"])
async def test_babble_is_no_answer(stage: Stage, babble: str) -> None:
    async with mail_server() as server:
        server.faults[stage] = babble
        with pytest.raises(PutOff) as put_off:
            await Mailer(server.url, deadline=0.5).send(MAIL)
        assert put_off.value.may_have_arrived is (stage == "end")


async def test_other_yes_than_usual_is_a_yes() -> None:
    async with mail_server() as server:
        server.faults["end"] = "252 taken"
        await Mailer(server.url).send(MAIL)


async def test_server_that_hangs_after_its_refusal_has_refused() -> None:
    async with mail_server() as server:
        server.faults = {"recipient": "550 no", "data": Harm.HANG}
        with pytest.raises(Undeliverable):
            await Mailer(server.url, deadline=0.5).send(MAIL)


async def test_cancelled_sending_closes_its_connection() -> None:
    async with mail_server() as server:
        server.faults["data"] = Harm.HANG
        sending = asyncio.ensure_future(Mailer(server.url).send(MAIL))
        await _begun(server)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await _ended(server)
    assert not server.accepted


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_was_given_up_goes_out_no_further(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    long = replace(MAIL, text=f"{'x' * 70}\n" * 100_000)
    going_on, read = asyncio.Event(), asyncio.Queue[bytes]()

    async def sleepy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            is_data = line == b"DATA\r\n"
            writer.write(b"354 go on\r\n" if is_data else b"250 yes\r\n")
            if is_data:
                await going_on.wait()
                rest = b""
                with suppress(ConnectionError):
                    rest = await reader.read(-1)
                read.put_nowait(rest)
        writer.close()

    async def given_up() -> None:
        async with await asyncio.start_server(sleepy, "127.0.0.1", 0, limit=2**14) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(PutOff) as put_off:
                await Mailer(f"smtp://127.0.0.1:{port}", deadline=2).send(long)
            assert put_off.value.may_have_arrived
            going_on.set()
            assert not (await read.get()).endswith(b"\r\n.\r\n")

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(given_up())


async def test_user_and_password_are_decoded(tmp_path: Path) -> None:
    context, trust = tls(tmp_path)
    async with mail_server(tls=context, users={"ana@x": "p:@/%ñ"}) as server:
        url = f"smtp+starttls://ana%40x:p%3A%40%2F%25%C3%B1@127.0.0.1:{server.port}"
        await Mailer(url, trust=trust).send(MAIL)
        with pytest.raises(PutOff, match="535"):
            await Mailer(url.replace("p%3A", "q%3A"), trust=trust).send(MAIL)
    (mail,) = server.accepted
    assert mail.over_tls
    assert mail.signed_in_as == "ana@x"


async def test_tls_from_the_start(tmp_path: Path) -> None:
    context, trust = tls(tmp_path)
    async with mail_server(tls=context, from_the_start=True) as server:
        await Mailer(f"smtps://127.0.0.1:{server.port}", trust=trust).send(MAIL)
    assert len(server.accepted) == 1


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_certificate_of_a_stranger_is_not_taken(tmp_path: Path, scheme: str) -> None:
    context, _ = tls(tmp_path)
    async with mail_server(tls=context, from_the_start=scheme == "smtps") as server:
        with pytest.raises(PutOff) as put_off:
            await Mailer(f"{scheme}://127.0.0.1:{server.port}").send(MAIL)
    assert not put_off.value.may_have_arrived
    assert not server.accepted


async def test_certificate_for_another_name_is_not_taken(tmp_path: Path) -> None:
    context, trust = tls(tmp_path, "127.0.0.2")
    async with mail_server(tls=context) as server:
        with pytest.raises(PutOff):
            await Mailer(f"smtp+starttls://127.0.0.1:{server.port}", trust=trust).send(MAIL)
    assert not server.accepted


async def test_without_the_tls_that_is_insisted_on_nothing_goes_out(tmp_path: Path) -> None:
    context, trust = tls(tmp_path)
    async with mail_server() as without:
        with pytest.raises(PutOff):
            await Mailer(f"smtp+starttls://127.0.0.1:{without.port}").send(MAIL)
    async with mail_server(tls=context) as refusing:
        refusing.faults["starttls"] = "454 4.7.0 not now"
        with pytest.raises(PutOff):
            await Mailer(f"smtp+starttls://127.0.0.1:{refusing.port}", trust=trust).send(MAIL)
    assert not without.accepted + refusing.accepted


async def test_address_in_other_letters_goes_to_a_server_that_takes_it() -> None:
    mail = replace(MAIL, recipient="josé@münchen.example")
    async with mail_server() as server:
        await Mailer(server.url).send(mail)
    (taken,) = server.accepted
    assert taken.recipients == ("josé@xn--mnchen-3ya.example",)
    assert "SMTPUTF8" in taken.options
    assert "<josé@xn--mnchen-3ya.example>".encode() in taken.content
    async with mail_server(other_letters=False) as server:
        with pytest.raises(Undeliverable):
            await Mailer(server.url).send(mail)


@pytest.mark.parametrize(
    "url",
    ["", "http://a", "smtp://", "smtp://a/b", "smtp://a?tls=no", "smtp://u:p%0Ax@a", "smtp://a:x"],
)
def test_address_of_no_mail_server_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"mail|Port|port") as refused:
        Mailer(url)
    assert "p%0Ax" not in str(refused.value)


async def _ended(server: MailServer) -> None:
    async def nobody_is_connected() -> bool:
        return server.connections > 0 and not server.open

    await until(nobody_is_connected, "the connection is closed")


async def _begun(server: MailServer) -> None:
    async def somebody_is_connected() -> bool:
        return bool(server.open)

    await until(somebody_is_connected)
