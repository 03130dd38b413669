"""The Dockerfile: what goes into which image, as whom it runs, and what never gets near it."""

from __future__ import annotations

import ast
import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bailiwick_launcher.servers import docker_runner
from bailiwick_launcher.servers.opa import VERSION
from bailiwick_testkit.checkout import CHECKOUT, SERVICES, files, read, sources, tree

IMAGES = ("service", "policy", "gateway", "mailbox")
LAUNCHER = "bailiwick_launcher"
FOR_DEVELOPERS = ("tools", "libs/testkit", "examples", "tests")
"""What no image and no chart has anything of."""
MADE_OF = {Path("deploy/Dockerfile"), Path("deploy/compose.yaml"), Path(".dockerignore")}
SHARED = {"contracts/src", "libs/kit/src", "libs/access/src", "services/${SERVICE}/src"}
"""What of ours a service's image has, and nothing else."""


@dataclass(frozen=True)
class Stage:
    """One `FROM … AS …` with what follows."""

    name: str
    base: str
    steps: tuple[tuple[str, str], ...]

    def said(self, word: str) -> list[str]:
        return [rest for step, rest in self.steps if step == word]

    @property
    def taken(self) -> set[str]:
        """What it copies out of the checkout."""
        copies = [one for one in self.said("COPY") if not one.startswith("--from=")]
        return {source for one in copies for source in one.split()[:-1]}

    @property
    def copied_from(self) -> set[str]:
        """Other stages that it copies from."""
        return {found for one in self.said("COPY") for found in re.findall(r"--from=(\S+)", one)}


def stages(text: str) -> dict[str, Stage]:
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found: dict[str, Stage] = {}
    for part in re.split(r"^FROM ", joined, flags=re.MULTILINE)[1:]:
        head, *lines = [line for line in part.splitlines() if line.strip()]
        base, name = head.split(" AS ")
        steps = tuple(line.split(" ", maxsplit=1) for line in lines)
        found[name] = Stage(name, base, tuple((word, rest) for word, rest in steps))
    return found


TEXT = read(Path("deploy/Dockerfile"))
STAGES = stages(TEXT)
DEFAULTS = dict(re.findall(r"^ARG (\w*BASE)=(\S+)$", TEXT, re.MULTILINE))


def _faults(stage: Stage) -> list[str]:
    """Return what is wrong with a stage that becomes an image."""
    return [
        *(["runs as root, or as a name"] if stage.said("USER")[-1:] != ["10001:10001"] else []),
        *(["says not how it is"] if not stage.said("HEALTHCHECK") else []),
        *(["says not what it is"] if "image.title=" not in " ".join(stage.said("LABEL")) else []),
        *(["has a shell's start"] if not stage.said("ENTRYPOINT")[0].startswith("[") else []),
    ]


@pytest.mark.parametrize("name", IMAGES)
def test_image_runs_as_nobody_in_particular_and_says_how_and_what_it_is(name: str) -> None:
    assert not _faults(STAGES[name])


def test_an_image_that_runs_as_root_is_found() -> None:
    [planted] = stages("FROM a AS b\nENTRYPOINT b\n").values()
    assert len(_faults(planted)) == 4


def test_service_has_what_all_share_and_its_own_source_alone() -> None:
    assert STAGES["code"].taken == SHARED
    assert STAGES["service"].taken == set()
    assert STAGES["service"].copied_from == {"libraries", "code", "inventory"}
    assert STAGES["code"].base == "libraries"
    assert STAGES["libraries"].taken == {"requirements.lock"}


@pytest.mark.parametrize("name", IMAGES)
def test_tools_are_in_no_image(name: str) -> None:
    """They come from the lock for developers: what they make is taken, not they themselves."""
    stage = STAGES[name]
    while stage.base in STAGES:
        stage = STAGES[stage.base]
        assert stage.name != "tools"
    assert "tools" not in STAGES[name].copied_from
    assert "requirements-dev.lock" not in STAGES[name].taken


def _taken(stage: Stage) -> dict[Path, ast.Module]:
    """Return the modules that a stage copies, of every service where it copies one."""
    folders = {
        source.replace("${SERVICE}", service) for source in stage.taken for service in SERVICES
    }
    return {file: tree(file) for file in sources(*folders)}


def _strangers(stage: Stage, modules: Mapping[Path, ast.Module]) -> set[str]:
    """Return the packages of ours that a stage runs or imports and does not copy."""
    named = set(re.findall(r"\bbailiwick_[a-z]+", " ".join(rest for _, rest in stage.steps)))
    for module in modules.values():
        for node in ast.walk(module):
            match node:
                case ast.ImportFrom(module=str(name)):
                    named.add(name.partition(".")[0])
                case ast.Import(names=found):
                    named |= {one.name.partition(".")[0] for one in found}
                case _:
                    pass
    copied = {part for file in modules for part in file.parts}
    return {name for name in named if name.startswith("bailiwick_")} - copied


@pytest.mark.parametrize("name", STAGES)
def test_image_is_made_of_nothing_that_it_does_not_copy(name: str) -> None:
    stage = STAGES[name]
    if stage.taken - {"requirements.lock", "requirements-dev.lock"}:
        assert not _strangers(stage, _taken(stage))


def test_images_and_chart_take_nothing_of_the_launcher() -> None:
    let_in = [file for file in files() if _is_let_in(str(file), RULES)]
    assert not [file for file in let_in if any(file.is_relative_to(one) for one in FOR_DEVELOPERS)]
    for file in files():
        if file.is_relative_to("deploy/helm/bailiwick") or file in MADE_OF:
            text = (CHECKOUT / file).read_bytes().decode(errors="replace")
            named = [one for one in (LAUNCHER, "tools/launcher", "libs/testkit") if one in text]
            assert not named, f"{file} takes of {named}"


@pytest.mark.parametrize(
    ("copied", "run", "found"),
    [
        ("gateway", "python -m bailiwick_gateway.files /gateway", set()),
        ("gateway", f"python -m {LAUNCHER}.gateway /gateway", {LAUNCHER}),
        ("tools/launcher/src", f"python -m {LAUNCHER}", {"bailiwick_kit", "bailiwick_policy"}),
    ],
)
def test_a_stage_that_takes_of_the_launcher_is_found(
    copied: str, run: str, found: set[str]
) -> None:
    [planted] = stages(f"FROM a AS b\nCOPY {copied} /checkout\nRUN {run}\n").values()
    strange = _strangers(planted, _taken(planted))
    assert strange == found or (found and strange > found)


def test_what_is_copied_is_there() -> None:
    for stage in STAGES.values():
        for source in stage.taken:
            for service in SERVICES:
                path = CHECKOUT / source.replace("${SERVICE}", service)
                assert path.exists(), f"{stage.name} copies {source}"


def _is_let_in(path: str, rules: list[str]) -> bool:
    """Say whether .dockerignore lets a path in; the last rule that matches counts, as in Docker."""
    let_in = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        parts = [path, *map(str, Path(path).parents)]
        if pattern.startswith("**/"):
            matches = any(
                fnmatch.fnmatchcase(part, pattern.removeprefix("**/")) for part in Path(path).parts
            )
        else:
            matches = any(fnmatch.fnmatchcase(one, pattern) for one in parts if one != ".")
        if matches:
            let_in = rule.startswith("!")
    return let_in


RULES = [
    line for line in read(Path(".dockerignore")).splitlines() if line and not line.startswith("#")
]


def test_what_is_copied_is_let_into_the_build() -> None:
    for stage in STAGES.values():
        for source in stage.taken:
            below = source.replace("${SERVICE}", SERVICES[0])
            found = [one for one in files() if one.is_relative_to(below)]
            assert any(_is_let_in(str(one), RULES) for one in found), f"{source}: .dockerignore"


def test_tests_and_what_lies_about_are_not_let_into_the_build() -> None:
    let_in = [str(file) for file in files() if _is_let_in(str(file), RULES)]
    assert [one for one in let_in if one.startswith("services/orders/src/")]
    assert not [one for one in let_in if "tests/" in one or one.startswith("libs/testkit")]
    for path in ("deploy/.env", "deploy/secrets/door_secret", ".local/kept.json", ".git/config"):
        assert not _is_let_in(path, RULES)


def test_packages_are_taken_by_their_hashes_alone() -> None:
    installs = [
        step
        for stage in STAGES.values()
        for run in stage.said("RUN")
        for step in run.split(" && ")
        if " install " in step
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in one and "--no-deps" in one for one in installs)


def test_bases_are_those_that_are_told_of_elsewhere() -> None:
    assert set(DEFAULTS) == {"BASE", "GATEWAY_BASE", "OPA_BASE"}
    assert DEFAULTS["OPA_BASE"] == docker_runner.IMAGES["opa"]
    assert f":{VERSION}-" in DEFAULTS["OPA_BASE"]
    assert DEFAULTS["GATEWAY_BASE"] == docker_runner.IMAGES["gateway"]
    made = read(Path("tests/containers/make-stand-ins")).replace("$opa_version", VERSION)
    for image in (*DEFAULTS.values(), *docker_runner.IMAGES.values()):
        assert image in made, f"tests/containers makes nothing that stands in for {image}"
