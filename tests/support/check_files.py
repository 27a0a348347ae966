"""The part of `make check` that no linter does: locked dependencies, addresses, deployment files."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
PINNED = re.compile(r"^[a-z0-9][a-z0-9._-]*(\[[a-z0-9,_-]+\])?==[^ ]+( ; .+)? \\$")
ABSOLUTE = re.compile(rb"(?<![\w./~-])/(work|root|opt)/[\w.-]")
LOCK_FILES = {"uv.lock", "poetry.lock", "Pipfile.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"}
TEXT_LIMIT = 1_000_000


def locked(path: Path) -> list[str]:
    """Lines of a requirements file that are neither a pinned version, a hash nor a comment, and pins without a hash."""
    faults, pin, hashed = [], "", True
    for line in path.read_text().splitlines():
        if line.startswith(("#", "    #")) or not line.strip():
            continue
        if HASH.match(line):
            hashed = True
            continue
        if not hashed:
            faults.append(f"{path.name}: {pin} has no hash")
        if not PINNED.match(line):
            faults.append(f"{path.name}: {line.strip()!r} is not a pinned version")
        pin, hashed = line.split(" ", 1)[0], False
    return faults if hashed else [*faults, f"{path.name}: {pin} has no hash"]


def addresses(path: Path, data: bytes) -> list[str]:
    """Addresses to download from, and paths of one machine: neither has a place in any file."""
    name = path.relative_to(ROOT)
    faults = [f"{name}: names {match.group(0).decode()!r}" for match in ABSOLUTE.finditer(data)]
    if path.parent.name == "requirements" and b"://" in data:
        faults.append(f"{name}: holds an address")
    if path.name in LOCK_FILES:
        faults.append(f"{name}: records download addresses; requirements/lock makes what is installed from")
    return faults


def tracked() -> list[Path]:
    """Files that are, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def compose() -> list[str]:
    """What `docker-compose config` says against the compose file, and services of it that have no health check."""
    program = shutil.which("docker-compose")
    if program is None:
        print("check: docker-compose is not installed, so docker-compose.yml was only read as YAML")
    else:
        done = subprocess.run([program, "config", "-q"], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            return [f"docker-compose.yml: {done.stderr.strip()}"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return [
        f"docker-compose.yml: {name} has no restart policy" for name, one in services.items() if "restart" not in one
    ]


DOCKER_WORDS = {
    "FROM",
    "ARG",
    "ENV",
    "WORKDIR",
    "COPY",
    "RUN",
    "USER",
    "EXPOSE",
    "VOLUME",
    "ENTRYPOINT",
    "CMD",
    "HEALTHCHECK",
}


def dockerfile(path: Path) -> list[str]:
    """The rules that matter here: known words, a pinned base, an ordinary user, lists and not shell lines to start."""
    text = re.sub(r"\\\n", " ", path.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    faults = [f"{line[:40]!r} begins with no known word" for line in lines if line.split()[0] not in DOCKER_WORDS]
    words = {word: [line for line in lines if line.startswith(f"{word} ")] for word in DOCKER_WORDS}
    for line in words["FROM"]:
        image = line.split()[1]
        if not line.startswith("FROM --") and (":" not in image and " AS " not in line):
            faults.append(f"{image} names no version")
        if image.endswith(":latest"):
            faults.append(f"{image} changes under our feet")
    if not words["USER"] or words["USER"][-1].split()[1] in {"root", "0"}:
        faults.append("the program would run as root")
    faults += [
        f"{line[:40]!r} starts a shell" for word in ("ENTRYPOINT", "CMD") for line in words[word] if "[" not in line
    ]
    faults += [f"{line[:60]!r} installs what is not locked" for line in words["RUN"] if _unlocked(line)]
    return [f"{path.relative_to(ROOT)}: {fault}" for fault in faults]


def _unlocked(line: str) -> bool:
    installs = [part for part in re.split(r"&&|;", line) if "pip install" in part]
    return any("--require-hashes" not in part and "--no-deps" not in part for part in installs)


def main() -> int:
    faults = [fault for path in sorted((ROOT / "requirements").glob("*.txt")) for fault in locked(path)]
    for path in tracked():
        if path.stat().st_size < TEXT_LIMIT and path.name != Path(__file__).name:
            faults += addresses(path, path.read_bytes())
    faults += compose()
    faults += [fault for path in sorted((ROOT / "deploy").glob("*Dockerfile*")) for fault in dockerfile(path)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
