"""How a service's program begins."""

from __future__ import annotations

import gc
from collections.abc import Callable
from importlib import import_module


def program_in(module: str) -> Callable[[], object]:
    """Return a module's `program`, imported without looking for garbage meanwhile.

    Nothing that an import makes is garbage, and looking for some takes a tenth of a service's start. What is
    there afterwards stays to the end of the process: no later look goes over it again.
    """
    gc.disable()
    try:
        program: Callable[[], object] = import_module(module).program
    finally:
        gc.freeze()
        gc.enable()
    return program
