"""Writes the test vectors: ``python -m contract.vectors.generate``; with ``--check`` compares instead of writing."""  # noqa: INP001 - run from the repository's root; the folder holds data, not a package

import argparse
import json
import sys
from pathlib import Path

from contract.vectors import bundles, links, messages, quality
from contract.vectors import material as m

HERE = Path(__file__).parent


def files() -> dict[str, str]:
    """Content of every generated file, by its name."""
    out = m.Collector()
    for add in (*messages.KINDS, *bundles.KINDS, *links.KINDS, *quality.KINDS):
        add(out)
    fixtures = {
        "keys": {
            name: {
                "secret": m.private(name).private_numbers().private_value.to_bytes(32, "big").hex(),
                "spki": m.spki(name).hex(),
                "kid": m.kid(name).hex(),
            }
            for name in (*m.SIGNERS, *m.OTHERS)
        },
        "roots": m.plain(m.ROOTS),
    }
    result = {f"{kind}.json": vectors for kind, vectors in sorted(out.kinds.items())}
    return {name: json.dumps(body, indent=1) + "\n" for name, body in {"fixtures.json": fixtures, **result}.items()}


def main() -> int:
    """Write the files, or with ``--check`` say which differ."""
    parser = argparse.ArgumentParser(prog="generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed files instead of writing")
    arguments = parser.parse_args()
    wanted = files()
    present = {path.name: path.read_text() for path in HERE.glob("*.json")}
    if arguments.check:
        stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        print("\n".join(f"differs: {name}" for name in stale) or "the committed vectors are what this program makes")
        return bool(stale)
    for name in present.keys() - wanted.keys():
        (HERE / name).unlink()
    for name, text in wanted.items():
        (HERE / name).write_text(text)
    print(f"{sum(len(json.loads(text)) for name, text in wanted.items() if name != 'fixtures.json')} vectors written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
