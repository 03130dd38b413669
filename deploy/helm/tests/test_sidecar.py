"""OPA with the arguments, files and bundle of the rendered sidecar, before the services' own client."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typing_extensions import override

from bailiwick_kit.errors import PolicyUnavailable
from bailiwick_kit.policy.client import Policy
from bailiwick_launcher.data_folder import claimed_port
from bailiwick_launcher.servers import probes
from bailiwick_policy import bundle
from bailiwick_testkit.checks.chart import (
    FOLDER,
    Chart,
    Manifest,
    component,
    containers,
    environment,
    of_kind,
    ran,
)
from bailiwick_testkit.waiting import until, wait_until

QUESTION = {
    "subject": {"org_id": "o", "member_id": "m", "email": "ana@alameda.example"},
    "settings": {},
    "action": "view",
    "member": {"org_id": "o"},
}


FOLDERS = {
    "/run/opa": "/run",
    "/etc/opa": "/etc",
    "///policy": "///policy",
    "/run/policy": "/token",
}
"""Where things are in the pod → below the test's folder."""


def moved(text: str, place: Path) -> str:
    for inside, here in FOLDERS.items():
        before, after = here.rsplit("/", 1)
        text = text.replace(inside, f"{before}{place}/{after}")
    return text


def unpacked(manifests: list[Manifest], place: Path, **elsewhere: str) -> None:
    """Lay the sidecar's files out below `place`; `elsewhere` are words of its configuration to replace."""
    for name in ("run", "etc", "policy", "token"):
        (place / name).mkdir(exist_ok=True)
    for one in of_kind(manifests, "ConfigMap"):
        for name, text in one.get("data", {}).items():
            said = functools.reduce(lambda t, word: t.replace(*word), elsewhere.items(), text)
            (place / "etc" / name).write_text(moved(said, place))
        for name, encoded in one.get("binaryData", {}).items():
            (place / "policy" / name).write_bytes(base64.b64decode(encoded))


@dataclass(frozen=True)
class Sidecar:
    """An OPA that was started as the chart says."""

    url: str
    """What the service is told."""
    log: Path
    answers: Callable[[], int]
    """What the startup probe is answered."""


@contextmanager
def started(manifests: list[Manifest], program: str, place: Path) -> Iterator[Sidecar]:
    """Start the sidecar on its files below `place`."""
    (api,) = [one for one in of_kind(manifests, "Deployment") if component(one) == "orders-api"]
    sidecar, main = containers(api)
    address = f"127.0.0.1:{claimed_port()}"
    arguments = [one.replace("0.0.0.0:8282", address) for one in sidecar["args"]]
    log = place / "log"
    with log.open("w") as written:
        process = subprocess.Popen(  # noqa: S603 - what the chart says
            [program, *(moved(one, place) for one in arguments)],
            env=environment(sidecar) | {"PATH": os.environ["PATH"]},
            stdout=written,
            stderr=written,
        )
    path = sidecar["startupProbe"]["httpGet"]["path"]
    told = moved(environment(main)["BAILIWICK_POLICY_URL"], place)
    try:
        yield Sidecar(told, log, lambda: probes.http_status(f"http://{address}", path))
        assert probes.http_status(f"http://{address}", "/v1/data") == 404
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def running(manifests: list[Manifest], program: str, place: Path) -> Iterator[tuple[str, Path]]:
    """Run the sidecar until it is there; give the service's address of it, and its log."""
    with started(manifests, program, place) as sidecar:
        wait_until(lambda: sidecar.answers() == 200, f"what {sidecar.log} tells of")
        yield sidecar.url, sidecar.log


async def test_sidecar_answers_by_the_revision_that_the_service_expects(
    chart: Chart, opa_program: str, tmp_path: Path
) -> None:
    manifests = chart.rendered("default")
    unpacked(manifests, tmp_path)
    with running(manifests, opa_program, tmp_path) as (url, log):
        async with Policy(url, expected_revision=bundle.revision(), deadline=5) as policy:
            assert await policy.revision() == bundle.revision()
            assert (await policy.decide("bailiwick/members", QUESTION)).allow is False
        async with Policy(url, expected_revision="another", deadline=5) as policy:
            with pytest.raises(PolicyUnavailable):
                await policy.revision()
    assert "Decision Log" not in log.read_text()


async def test_decisions_are_logged_without_what_the_mask_does_not_know(
    chart: Chart, opa_program: str, tmp_path: Path
) -> None:
    manifests = chart.rendered("watched")
    unpacked(manifests, tmp_path)
    with running(manifests, opa_program, tmp_path) as (url, log):
        async with Policy(url, expected_revision=bundle.revision(), deadline=5) as policy:
            await policy.revision()
            await policy.decide("bailiwick/members", QUESTION)
            await policy.filter("bailiwick/orders", "input.order", QUESTION)
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in log.read_text().splitlines() if "Decision Log" in line
    ]
    paths = [line["path"] for line in lines]
    assert "bailiwick/members/decision" in paths
    assert "bailiwick/orders/include" in paths
    assert not [path for path in paths if "sentinel" in path]
    assert all(line["erased"] == ["/input/subject/email"] for line in lines)
    assert "ana@" not in log.read_text()


REMOTE = "4f1c2d3e4a5b"
"""The revision that the values of a remote policy name."""


@contextmanager
def served(folder: Path, path: str, token: str, port: int = 0) -> Iterator[str]:
    """Serve one file of a folder at a path, to whoever has the token; give the address."""

    class Files(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_fine = self.path == path and self.headers["Authorization"] == f"Bearer {token}"
            self.send_response(200 if is_fine else 401)
            self.end_headers()
            if is_fine:
                self.wfile.write((folder / "bundle.tar.gz").read_bytes())

        @override
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/bundles"
        server.shutdown()
        thread.join()


def signed(program: str, folder: Path) -> str:
    """Sign a bundle of the policy with a new key; give the public one."""
    key, output = str(folder / "key.pem"), str(folder / "bundle.tar.gz")
    source = folder / "source"
    for name, content in bundle.contents().items():
        file = source / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    build = [program, "build", "--bundle", str(source), "--revision", REMOTE, "--output", output]
    for command in (
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
        [*build, "--signing-key", key, "--signing-alg", "ES256"],
    ):
        assert ran(command).returncode == 0
    return ran(["openssl", "ec", "-in", key, "-pubout"]).stdout


SAID: dict[str, Any] = yaml.safe_load(
    (FOLDER / "tests" / "values" / "remote-policy.yaml").read_text("utf-8")
)["policy"]["remote"]
TOKEN = "let-me-in"


def told(manifests: list[Manifest], place: Path, url: str, key: str) -> None:
    """Lay out the files of a sidecar whose policy is at another address, signed by another key."""
    unpacked(manifests, place, **{SAID["url"]: url, json.dumps(SAID["publicKey"]): json.dumps(key)})
    (place / "token" / "token").write_text(TOKEN)


async def knows(policy: Policy) -> bool:
    try:
        return await policy.revision() == REMOTE
    except PolicyUnavailable:
        return False


@pytest.mark.parametrize("is_its_key", [True, False])
async def test_remote_policy_counts_if_it_is_signed_by_the_key(
    chart: Chart, opa_program: str, tmp_path: Path, *, is_its_key: bool
) -> None:
    manifests = chart.rendered("remote-policy")
    public = signed(opa_program, tmp_path)
    if not is_its_key:
        (tmp_path / "other").mkdir()
        public = signed(opa_program, tmp_path / "other")
    with served(tmp_path, f"/bundles/{SAID['resource']}", TOKEN) as url:
        told(manifests, tmp_path, url, public)
        with started(manifests, opa_program, tmp_path) as sidecar:
            async with Policy(sidecar.url, expected_revision=REMOTE, deadline=5) as policy:
                if is_its_key:
                    await until(lambda: knows(policy), f"what {sidecar.log} tells of")
                else:
                    wait_until(
                        lambda: "failed to verify" in sidecar.log.read_text(), "it is refused"
                    )
                    assert not await knows(policy)


async def test_sidecar_waits_for_a_policy_server_that_is_away_and_is_not_restarted(
    chart: Chart, opa_program: str, tmp_path: Path
) -> None:
    manifests, port = chart.rendered("remote-policy"), claimed_port()
    told(manifests, tmp_path, f"http://127.0.0.1:{port}/bundles", signed(opa_program, tmp_path))
    with started(manifests, opa_program, tmp_path) as sidecar:
        wait_until(lambda: "refused" in sidecar.log.read_text(), "it has asked")
        wait_until(lambda: sidecar.answers() == 200, "the probe is content", within=10)
        async with Policy(sidecar.url, expected_revision=REMOTE, deadline=5) as policy:
            assert not await knows(policy)
            with served(tmp_path, f"/bundles/{SAID['resource']}", TOKEN, port):
                await until(lambda: knows(policy), f"what {sidecar.log} tells of", within=60)
