"""The command line: `monops train`, `monops verify`, `monops bench`, `monops new-method`.

Exit codes: 0 for success; 1 where `monops verify` finds a failure; 2 for what the caller can put
right (an option, a file, a checkpoint, a solve that diverged); 130 when interrupted.
"""

import sys

from monops.errors import MonopsError
from monops.memory import reuse_freed

_EXTRA = ("typer", "rich", "matplotlib", "sklearn")


def main() -> None:
    """Run the command line on `sys.argv`, and end the process with its exit code."""
    try:
        reuse_freed()
        from monops.cli.commands import app

        app(prog_name="monops")
    except MonopsError as error:
        print(f"monops: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        print(
            f'monops: the command line needs {missing}: pip install "monops[train]"',
            file=sys.stderr,
        )
        sys.exit(2)
