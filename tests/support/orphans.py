"""No child process outlives us: where it can be had, the system ends it when the thread that started it has gone."""

import shutil

_SETPRIV = shutil.which("setpriv")


def with_us(signal: str) -> list[str]:
    """What to put before a command so that it gets this signal (`TERM`, `INT`, ...) however we end."""
    return [] if _SETPRIV is None else [_SETPRIV, "--pdeathsig", signal, "--"]
