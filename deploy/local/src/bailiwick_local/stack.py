"""The stack of processes, by its former name."""

from bailiwick_local.stacks.native import NativeStack as Stack

__all__ = ["Stack"]
