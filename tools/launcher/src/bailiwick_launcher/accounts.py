"""Whom the stack's processes run as: never root, and never somebody who cannot read what they need."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

UNPRIVILEGED = "nobody"


class Switch(TypedDict, total=False):
    """The arguments of `subprocess` that start a process as somebody else."""

    user: int
    group: int
    extra_groups: list[str | int]


@dataclass(frozen=True)
class Account:
    """An account of this machine; `is_switched` where a process has to be moved to it."""

    name: str
    uid: int
    gid: int
    is_switched: bool

    def owns(self, path: Path) -> None:
        """Make the path this account's; nothing to do where we are that account."""
        if self.is_switched:
            os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Say whether this account can read the path, which takes every folder above it too."""
        if not self.is_switched:
            return os.access(path, os.R_OK)
        flag = "-x" if path.is_dir() else "-r"
        tried = subprocess.run(["test", flag, str(path)], cwd="/", check=False, **self.switch())
        return tried.returncode == 0

    def switch(self) -> Switch:
        """Give the arguments of `subprocess` that start a process as this account."""
        if not self.is_switched:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_to_run_as() -> Account:
    """Choose: oneself; as root whom BAILIWICK_USER names, who called sudo, else `nobody`."""
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        return Account(me.pw_name, me.pw_uid, me.pw_gid, is_switched=False)
    name = os.environ.get("BAILIWICK_USER") or os.environ.get("SUDO_USER") or UNPRIVILEGED
    chosen = pwd.getpwnam(UNPRIVILEGED if name == "root" else name)
    return Account(chosen.pw_name, chosen.pw_uid, chosen.pw_gid, is_switched=True)
