"""Instructions of a model update on a Cortex-M4, against the cryptography that no update can do without.

Usage: ``python benchmarks/firmware.py``. QEMU counts the instructions (``-icount``), so the figures are the same on
every machine. An update is 1 MiB in 4 KiB chunks by the core's own functions, from erasing the slot to the SHA-256 of
what the flash holds (goal: 1.3 times at most); public-key operations are told apart, since an update has a fixed few.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware_tflm"
GOAL_PERMILLE = 1300


def measure() -> dict[str, int]:
    """Build and run the measuring firmware."""
    subprocess.run([FIRMWARE / "tools" / "get-mbedtls"], check=True)
    for command in (["cmake", "--preset", "m4"], ["cmake", "--build", "--preset", "m4", "--target", "bench"]):
        subprocess.run(command, cwd=FIRMWARE, check=True, capture_output=True)
    qemu = ["qemu-system-arm", "-machine", "mps2-an386", "-icount", "shift=0", "-display", "none", "-monitor", "none"]
    program = ROOT / "build" / "firmware" / "m4" / "ports" / "qemu" / "bench.elf"
    run = subprocess.run(
        [*qemu, "-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return {name: int(count) for name, count in re.findall(r"bench: (\w+)=(\d+)", run.stdout + run.stderr)}


def main() -> int:
    """Print the table; 1 where the goal is missed."""
    found = measure()
    print(f"{'update of 1 MiB, the core':44} {found['core'] / 1e6:8.1f} M instructions")
    print(f"{'ChaCha20-Poly1305 + 2 x SHA-256 over it':44} {found['bare'] / 1e6:8.1f} M instructions")
    print(f"{'ratio (goal: at most 1.3)':44} {found['permille'] / 1000:8.3f}")
    for name, what in (
        ("verify", "P-256 signature verified"),
        ("sign", "P-256 signature made"),
        ("agree", "P-256 ECDH"),
    ):
        print(f"{what:44} {found[name] / 1e6:8.1f} M instructions")
    return 0 if found["permille"] <= GOAL_PERMILLE else 1


if __name__ == "__main__":
    sys.exit(main())
