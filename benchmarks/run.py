"""Run every benchmark of this folder, one after the other; each prints its own table with its baseline."""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    failed = []
    for script in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        if script.name in {Path(__file__).name, "__init__.py"} or "def main" not in script.read_text():
            continue
        print(f"\n== {script.stem.replace('_', ' ')}", flush=True)
        if subprocess.run([sys.executable, script], check=False).returncode:
            failed.append(script.name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
