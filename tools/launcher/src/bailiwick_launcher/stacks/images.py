"""The images of a project: those of others pulled where absent, ours built where absent or stale."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bailiwick_launcher.data_folder import CHECKOUT
from bailiwick_launcher.processes import StackError
from bailiwick_launcher.servers import daemon
from bailiwick_launcher.stacks import Report

_LEFT_OUT = ("tests", "__pycache__")
_STILL_THERE = 15.0
_BASES = ("BASE", "GATEWAY_BASE", "OPA_BASE")
_TAG = "local-"


def tag() -> str:
    """Give the tag that stands for what the images are built from: everything that is let into a build."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(CHECKOUT)}\0".encode() + path.read_bytes() + b"\0")
    bases = [os.environ.get(name, "") for name in _BASES]
    digest.update(json.dumps(bases).encode())
    return f"{_TAG}{digest.hexdigest()[:12]}"


def _sources() -> Iterator[Path]:
    yield CHECKOUT / "deploy" / "Dockerfile"
    for line in (CHECKOUT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            path = CHECKOUT / line[1:]
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from (one for one in files if _is_let_in(one))


def _is_let_in(path: Path) -> bool:
    parts = path.relative_to(CHECKOUT).parts
    left_out = any(part in _LEFT_OUT or part.endswith(".egg-info") for part in parts)
    return path.is_file() and not left_out and path.suffix != ".pyc" and path.name != "README.md"


def missing(plan: Mapping[str, Any], report: Report) -> str:
    """Pull what is absent of others' images; say which cannot be had, "" where all are here."""
    for image in _of_others(plan):
        if _is_here(image):
            continue
        report(f"pulling image {image}")
        done = subprocess.run(
            ["docker", "pull", "--quiet", image], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"image {image} cannot be had"
    return ""


def _of_others(plan: Mapping[str, Any]) -> list[str]:
    """Give the images of servers, and those that ours are made from unless ours are here."""
    services, ours = plan["services"].values(), _ours(plan)
    images = {one["image"] for one in services if one["image"] not in ours}
    if not all(_is_here(image) for image in ours):
        images |= {build["args"][name] for build in ours.values() for name in _BASES}
    return sorted(images)


def _ours(plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the images that are built here, with how."""
    return {
        one["image"]: one["build"]
        for one in plan["services"].values()
        if one.get("build") is not None
    }


def _is_here(image: str) -> bool:
    with daemon.connected() as docker:
        return daemon.has(docker, image)


def build(plan: Mapping[str, Any], report: Report) -> None:
    """Build those of our images that are absent, one by one: they share most of their layers.

    Raises:
        StackError: one cannot be built; with the end of what Docker said.
    """
    for image, how in sorted(_ours(plan).items()):
        if not _is_here(image):
            _build(image, how, report)


def _build(image: str, how: Mapping[str, Any], report: Report) -> None:
    # By name: the index of packages may have a password in it, and arguments are everybody's to read.
    told = {name: value for name, value in how["args"].items() if value}
    arguments = [f"--build-arg={name}" for name in told]
    file = Path(how["context"]) / how["dockerfile"]
    command = ["docker", "build", "--file", str(file), "--target", how["target"], "--tag", image]
    command += ["--network", how.get("network", "default"), *arguments, how["context"]]
    began, last = time.monotonic(), deque[str](maxlen=15)
    with subprocess.Popen(
        command,
        env=dict(os.environ) | _builder() | told,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as building:
        over = threading.Event()
        teller = threading.Thread(target=_tell, args=(image, began, over, report), daemon=True)
        teller.start()
        last.extend(line.rstrip() for line in building.stdout or () if line.strip())
        over.set()
        teller.join()
    if building.returncode:
        end = "\n".join(last)
        raise StackError(f"{image} cannot be built. The last that Docker said:\n{end}")
    report(f"{'image':<20} {image:<50} {time.monotonic() - began:5.1f} s")


def _tell(image: str, began: float, over: threading.Event, report: Report) -> None:
    while not over.wait(_STILL_THERE):
        report(f"still building {image} ({time.monotonic() - began:.0f} s)")


def _builder() -> dict[str, str]:
    """Name the builder: Docker's old one where the new one, a plug-in, is not installed."""
    told = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False)
    return {"DOCKER_BUILDKIT": "0"} if told.returncode else {}


def forget_others(plan: Mapping[str, Any]) -> None:
    """Remove what was built here of our images before, unless there is a container of it."""
    with daemon.connected() as docker:
        every = docker.containers.list(all=True, ignore_removed=True)
        wanted = {one.attrs["Config"]["Image"] for one in every} | _ours(plan).keys()
        for image in _ours(plan):
            repository = image.rpartition(":")[0]
            for name in (tag for one in docker.images.list(repository) for tag in one.tags):
                if name.startswith(f"{repository}:{_TAG}") and name not in wanted:
                    with suppress(*daemon.refusals()):
                        docker.images.remove(name)
