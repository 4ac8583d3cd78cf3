"""Ask for known holes in the versions of a lock: `audit.py PIP_AUDIT LOCK`.

Exit 1 when there is one. What nobody could be asked about is named, and is no failure: a machine without network must be
able to run the rest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

#: Of all questions together.
PATIENCE_S: Final = 120


def main(pip_audit: str, lock: str) -> int:
    asked = [
        pip_audit,
        "--disable-pip",
        "--require-hashes",
        "--progress-spinner",
        "off",
        "--format",
        "json",
        "-r",
        lock,
    ]
    try:
        ended = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{lock}: not audited, nobody could be asked ({type(error).__name__})")
        return 0
    # Its exit code is 1 for a hole and for a failure alike; only who was answered writes a report.
    try:
        found: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, LookupError, TypeError):
        why = (ended.stderr.strip() or "no report").splitlines()[-1]
        print(f"{lock}: not audited, nobody could be asked ({why})")
        return 0
    holes = [f"{one['name']} {one['version']}: {hole['id']}" for one in found for hole in one.get("vulns", ())]
    unknown = sum("skip_reason" in one for one in found)
    print("\n".join([f"{lock}: {len(found) - unknown} audited, {unknown} nobody could be asked about", *holes]))
    return bool(holes)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
