"""The entry of the program, `abaw` or `python -m abaw`: checks that its other packages are its own, then runs it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_OTHERS = ("pipelines", "data_manifests")


def hidden_by() -> str | None:
    """What is wrong when another package hides one of ours (their names are common); None when all is well."""
    home = Path(__file__).resolve().parents[1]
    for name in _OTHERS:
        found = importlib.util.find_spec(name)
        place = Path(found.origin).resolve() if found is not None and found.origin else None
        if place is None or place.parents[1] != home:
            where = place.parent if place is not None else "no such package, or a folder without __init__.py"
            return (
                f"the package '{name}' of this program is hidden by another of that name ({where}); expected it in "
                f"{home / name}. Rename or uninstall the other one, or start abaw from another folder"
            )
    return None


def require_own_packages() -> None:
    """Raise ImportError when another package hides one of ours."""
    fault = hidden_by()
    if fault is not None:
        raise ImportError(fault)


def main() -> int:
    """Exit status of the command; 2 when another package is in the way."""
    fault = hidden_by()
    if fault is not None:
        print(f"abaw: error: {fault}", file=sys.stderr)  # noqa: T201
        return 2
    # The application; only known to be ours from here on.
    from pipelines.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
