"""Writes what comes from contract/dunlin.cddl: the table of src/generated, the oracle of tests/vectors/generated.

    tools/generate-decoders           write them
    tools/generate-decoders --check   only say whether they are up to date

The oracle is zcbor's reader of the same file; zcbor comes from `.tools/zcbor` (requirements/setup), or from PATH.
"""  # noqa: INP001 - a script beside C sources

import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import schema_table
from derive_cddl import REPOSITORY, SCHEMA, Schema

FIRMWARE = REPOSITORY / "firmware_tflm"
CORE = (
    *("root", "manifest", "directive", "desired", "fit", "payload", "golden"),
    *("settings", "ack", "wipe-order", "enrol-reply", "claim-token"),
)
"""Records that a microcontroller reads."""
OTHER = (
    *("reported", "event", "telemetry", "trust", "server-keys"),
    *("enrol-request", "renew-request", "receipt", "device-description"),
    *("result", "capture-order", "baseline"),
)
"""Records that only others read."""
RUNTIME = ("zcbor_common.c", "zcbor_common.h", "zcbor_decode.c", "zcbor_decode.h", "zcbor_print.h", "zcbor_tags.h")
_HEADER = "Generated from contract/dunlin.cddl by tools/generate-decoders: do not edit."


def zcbor() -> Path:
    """The generator's executable."""
    found = REPOSITORY / ".tools" / "zcbor" / "bin" / "zcbor"
    command = str(found) if found.exists() else shutil.which("zcbor")
    if command is None:
        sys.exit("generate-decoders: no zcbor: run requirements/setup dev first")
    return Path(command)


def write_oracle(into: Path, name: str) -> None:
    """zcbor's decoders of all records as ``name``.c and .h, and its runtime."""
    cddl, offered = Schema(SCHEMA.read_text()).for_zcbor([*CORE, *OTHER])
    into.mkdir(parents=True, exist_ok=True)
    source = into / f"{name}.cddl"
    source.write_text(f"; {_HEADER}\n{cddl}")
    code = ("--output-c", f"{name}.c", "--output-h", f"{name}.h")
    # Without the prelude, whose names zcbor would take a field's label for.
    options = ("--no-prelude", "-d", "-s", *code, "--file-header", _HEADER, "-t", *offered)
    command = [str(zcbor()), "code", "-c", source.name, *options]
    run = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"generate-decoders: zcbor cannot read {name}.cddl: {run.stderr.strip().splitlines()[-1]}")
    for path in into.glob(f"{name}*.[ch]"):
        path.write_text(re.sub(r"[ \t]+$", "", path.read_text(), flags=re.MULTILINE).rstrip() + "\n")
    copy_runtime(into)


def copy_runtime(into: Path) -> None:
    """zcbor's own C sources, with their licence headers."""
    interpreter = zcbor().resolve().parent / "python3"
    script = (
        "import pathlib, sys; print(next(p for p in map(pathlib.Path, sys.path) if (p / 'zcbor' / 'src').is_dir()))"
    )
    run = subprocess.run([str(interpreter), "-c", script], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit("generate-decoders: zcbor's C sources are not where its Python package is")
    package = Path(run.stdout.strip()) / "zcbor"
    for name in RUNTIME:
        folder = "src" if name.endswith(".c") else "include"
        shutil.copyfile(package / folder / name, into / name)


def write(root: Path) -> None:
    """Everything that is generated, below ``root``."""
    core = root / "src" / "generated"
    core.mkdir(parents=True, exist_ok=True)
    code, header = schema_table.source(schema_table.Table(Schema(SCHEMA.read_text()), CORE), _HEADER)
    (core / "dunlin_schema.c").write_text(code)
    (core / "dunlin_schema.h").write_text(header)
    write_oracle(root / "tests" / "vectors" / "generated", "all_records")


def stale(made: Path) -> list[str]:
    """Files that are not as they would be made."""
    wanted = {path.relative_to(made) for path in made.rglob("*") if path.is_file()}
    folders = {path.parent for path in wanted}
    present = {path.relative_to(FIRMWARE) for one in folders for path in (FIRMWARE / one).glob("*.[ch]*")}
    same = {path for path in wanted & present if filecmp.cmp(made / path, FIRMWARE / path, shallow=False)}
    return sorted(str(path) for path in (wanted | present) - same)


def main() -> int:
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    if not sys.argv[1:]:
        write(FIRMWARE)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        differ = stale(Path(folder))
    for name in differ:
        print(f"differs: firmware_tflm/{name}: run firmware_tflm/tools/generate-decoders")
    return bool(differ)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
