"""Run every benchmark of this folder, one after the other; each prints its own table with its baseline.

``--peers`` also runs those that install another program to compare with, below ``build/``.
"""

import argparse
import subprocess
import sys
from pathlib import Path

PEERS = {"serving.py"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="also compare with other programs, which are installed")
    peers = parser.parse_args().peers
    failed = []
    for script in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        if script.name in {Path(__file__).name, "__init__.py"} or "def main" not in script.read_text():
            continue
        if script.name in PEERS and not peers:
            print(f"\n== {script.stem.replace('_', ' ')}: left out, it installs another program: make bench PEERS=1")
            continue
        print(f"\n== {script.stem.replace('_', ' ')}", flush=True)
        if subprocess.run([sys.executable, script], check=False).returncode:
            failed.append(script.name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
