"""The Helm chart as rendered for a set of values, for tests about what it would install."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from bailiwick_testkit.checkout import CHECKOUT

Manifest = dict[str, Any]
FOLDER = CHECKOUT / "deploy" / "helm"
VALUES = tuple(sorted(path.stem for path in FOLDER.glob("tests/values/*.yaml")))
"""The sets of values that everything is tried with."""


def ran(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program in the chart's folder to its end."""
    return subprocess.run(  # noqa: S603 - only tests call it, with their own words
        command, cwd=FOLDER, input=text, capture_output=True, text=True, check=False
    )


@dataclass
class Chart:
    """The chart, as Helm reads it; Helm runs once for each set of values."""

    helm: str
    _rendered: dict[str, list[Manifest]] = field(default_factory=dict)

    def lint(self, values: str) -> subprocess.CompletedProcess[str]:
        """Ask Helm what it thinks of the chart with a set of values."""
        return ran([self.helm, "lint", "--strict", "bailiwick", "-f", _file(values)])

    def rendered(self, values: str) -> list[Manifest]:
        """Give the manifests of a set of values, hooks among them.

        Raises:
            AssertionError: Helm renders none; with its words.
        """
        if values not in self._rendered:
            done = self.template("-f", _file(values))
            assert done.returncode == 0, done.stderr  # noqa: S101
            read = yaml.load_all(done.stdout, yaml.CSafeLoader)
            self._rendered[values] = [one for one in read if one]
        return self._rendered[values]

    def everything(self) -> list[Manifest]:
        """Give every manifest of every set of values, the same ones once."""
        found = {json.dumps(one): one for values in VALUES for one in self.rendered(values)}
        return list(found.values())

    def template(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Render the chart as a release called `acme`, in the namespace `sales`."""
        named = [self.helm, "template", "acme", "bailiwick", "--namespace", "sales"]
        return ran([*named, "--kube-version", "1.29.0", *arguments], text)


def _file(values: str) -> str:
    return f"tests/values/{values}.yaml"


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    """Give the manifests of these kinds."""
    return [one for one in manifests if one["kind"] in kinds]


def component(manifest: Manifest) -> str:
    """Say whose an object is: orders-api, say, or gateway."""
    return str(manifest["metadata"]["labels"]["app.kubernetes.io/component"])


def containers(manifest: Manifest) -> Iterator[Manifest]:
    """Give the containers of a Deployment's or Job's pods, sidecars first."""
    pod = manifest["spec"]["template"]["spec"]
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def environment(container: Manifest) -> dict[str, str]:
    """Give the variables of a container; those by reference say whose Secret they come from."""
    return {
        one["name"]: one.get("value") or one["valueFrom"]["secretKeyRef"]["name"]
        for one in container.get("env", [])
    }
