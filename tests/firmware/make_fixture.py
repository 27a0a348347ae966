"""Files for the C tests of the microcontroller's update: what a server would send to one device.

``python -m tests.firmware.make_fixture FOLDER`` writes keys, a claim, the reply, directives, and every object that they
name, made with the contract's own test material. Models are those of tests/unit/fake_infer.c.
"""

import struct
import sys
import zlib
from pathlib import Path
from typing import Any

from contract.vectors import material as m
from dunlin_contract.slot import slot_bytes

DEVICE = "mcu-1"
NAME = "digits"
HARDWARE = "test-board"
MAGIC = 0x454B4146
Map = dict[Any, Any]


def model(seed: str, length: int, operator: int = 1, arena: int = 1024) -> bytes:
    """A model of fake_infer.c."""
    body = struct.pack("<III", MAGIC, operator, arena) + m.fill(seed, length - 16)
    return body + struct.pack("<I", zlib.crc32(body))


def golden(plain: bytes, *, wrong: bool = False) -> bytes:
    """Samples that hold fake_infer.c to this very model."""
    samples = []
    for k in range(3):
        inputs = m.fill(f"input {k}", 4)
        output = struct.pack("<I", zlib.crc32(inputs, zlib.crc32(plain)))
        samples.append(
            {
                0: [{0: "image", 1: "int8", 2: [1, 4], 3: inputs}],
                1: [{0: "scores", 1: "int8", 2: [1, 4], 3: bytes(4) if wrong else output}],
            }
        )
    return m.enc({0: 1, 1: samples})


class Release:
    """One signed release: its manifest and every object of it."""

    def __init__(
        self,
        seed: str,
        plain: bytes,
        *,
        counter: int,
        hardware: str = HARDWARE,
        operator: str = "CONV_2D",
        arena: int = 1024,
        samples: bytes | None = None,
    ) -> None:
        self.cek = m.fill(f"cek {seed}", 32)
        self.objects: list[bytes] = []
        payloads: list[Map] = []
        leaves: list[bytes] = []
        contents = (("model", "tflm", plain), ("golden", "cbor", samples or golden(plain)))
        for role, form, data in contents:
            payload_id = m.fill(f"payload {seed} {role}", 16)
            chunks = m.sealed_chunks(self.cek, payload_id, data, 12)
            hashes = [m.leaf(chunk) for chunk in chunks]
            leaves += hashes
            self.objects += chunks
            payloads.append(
                {
                    0: payload_id,
                    1: role,
                    2: form,
                    3: 0,
                    5: len(data),
                    6: m.sha(data),
                    7: len(data),
                    8: sum(map(len, chunks)),
                    9: 12,
                    10: len(chunks),
                    11: m.tree(hashes),
                    12: 24,
                }
            )
        fit = {
            0: "tflm",
            1: [0, 0, 0],
            2: [{0: operator, 1: 1}],
            3: arena,
            4: slot_bytes([len(data) for *_, data in contents], len(leaves)),
            6: [hardware],
        }
        io = {0: [{0: "image", 1: "int8", 2: [1, 4]}], 1: [{0: "scores", 1: "int8", 2: [1, 4]}]}
        manifest = {
            0: 1,
            1: NAME,
            2: "1.0.0",
            3: counter,
            4: m.NOW,
            5: m.LATER,
            6: [{0: "tflm-int8", 1: fit, 2: io, 3: [0, 1], 4: {0: 2000}, 5: {0: 1, 1: 0.0, 2: 1000}}],
            7: payloads,
        }
        self.digest = m.sha(m.enc(manifest))
        self.envelope = m.signed(m.enc(manifest), ["release-1"], "dnb/v1/release")
        self.page = b"".join(leaves)

    def desired(self, floor: int = 0, lease: Map | None = None) -> Map:
        """Entry of a directive."""
        return {
            0: self.digest,
            1: floor,
            2: m.grant("device-kem", self.digest, DEVICE, self.cek),
            3: lease or {0: 86_400, 1: "warn"},
            4: m.sha(self.envelope),
            5: [m.sha(self.page)],
        }


def directive(seq: int, models: Map, **more: Any) -> bytes:
    """A directive signed by the director; ``more``: wipe, root, settings, nonce, issued, expires, epoch, signer."""
    record = {
        0: 1,
        1: more.get("device", DEVICE),
        2: more.get("epoch", 1),
        3: seq,
        4: more.get("issued", m.NOW + min(seq, 1000)),
        5: more.get("expires", m.LATER),
        6: models,
    }
    for key, name in ((7, "settings"), (8, "wipe"), (9, "nonce"), (10, "root")):
        if name in more:
            record[key] = more[name]
    return m.signed1(m.enc(record), more.get("signer", "director"), "dnb/v1/directive")


def hostile_messages(releases: dict[str, Release], named: Map, wipe: bytes) -> tuple[dict[str, bytes], list[bytes]]:
    """Messages that only make sense after others, or come from a stolen key; and the objects that they name."""
    one, two, old = releases["one"], releases["two"], releases["old"]
    other = {0: 1, 1: DEVICE, 2: m.fill("other", 16), 3: ["other"], 4: m.NOW}
    wipe_other = m.signed(m.enc(other), ["ops-1", "ops-2"], "dnb/v1/wipe")
    next_root = m.ROOTS["root-2"]
    third_root = m.signed(m.enc({**m.ROOT_2, 1: 3}), ["root-1", "root-2"], "dnb/v1/root")
    false_root = m.signed(m.enc({**m.ROOT_2, 1: 2, 3: m.LATER - 1}), ["root-2"], "dnb/v1/root")
    messages = {
        "refused": m.enc({0: 1, 1: "refused", 7: "no"}),
        "low-old": directive(100, {NAME: old.desired()}, **named),
        "low-old-epoch": directive(2, {NAME: old.desired()}, epoch=2, **named),
        "high-one": directive(101, {NAME: one.desired(floor=2)}, **named),
        "many-pages": directive(102, {NAME: {**two.desired(), 5: [m.sha(two.page)] * 5}}, **named),
        "zebra-floor": directive(103, {"zebra": two.desired(floor=5)}, **named),
        "wipe-other-one": directive(110, {NAME: one.desired()}, wipe=wipe_other, **named),
        "wipe-other-two": directive(110, {NAME: two.desired()}, wipe=wipe_other, **named),
        "wipe-other-zebra": directive(110, {"zebra": two.desired()}, wipe=wipe_other, **named),
        "wipe-late": directive(113, {}, wipe=wipe, **named),
        "forged-lost-root": directive(1 << 50, {}, signer="stranger", root=m.fill("nowhere", 32), **named),
        "forged-third-root": directive(1 << 50, {}, signer="stranger", root=m.sha(third_root), **named),
        "next-root": directive(120, {NAME: one.desired()}, root=m.sha(next_root), **named),
        "third-root": directive(121, {NAME: one.desired()}, root=m.sha(third_root), **named),
        "false-root": directive(122, {NAME: one.desired()}, root=m.sha(false_root), **named),
        "two-late": directive(130, {NAME: two.desired()}, **named),
        "expired-late": directive(140, {NAME: one.desired()}, issued=m.NOW + 1, expires=m.NOW + 100, **named),
        "nonce": directive(
            141, {NAME: one.desired()}, issued=m.NOW + 1, expires=m.NOW + 2, nonce=m.fill("nonce", 16), **named
        ),
    }
    return messages, [next_root, third_root, false_root]


def main(folder: Path) -> None:
    """Write everything to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    root = m.ROOTS["root-1"]
    root_2 = m.signed(m.enc({**m.ROOT_2, 4: 2}), ["root-1", "root-2"], "dnb/v1/root")
    settings = m.enc({0: 1, 4: 5, 5: 2, 6: 3, 7: 30})  # time-out 5 s; probation of 2 s and 3 requests, at most 30 s
    one = Release("one", model("one", 9_000), counter=1)
    two = Release("two", model("two", 18_000), counter=2)
    releases = {
        "one": one,
        "two": two,
        "hardware": Release("hardware", model("hw", 5_000), counter=3, hardware="another-board"),
        "operator": Release("operator", model("op", 5_000), counter=3, operator="SOFTMAX"),
        "unknown-op": Release("unknown-op", model("uo", 5_000, operator=2), counter=3),
        "arena": Release("arena", model("ar", 5_000, arena=1 << 30), counter=3),
        "big": Release("big", model("big", 200_000), counter=3),
        "golden": Release("golden", model("go", 5_000), counter=3, samples=golden(model("go", 5_000), wrong=True)),
        "old": Release("old", model("old", 5_000), counter=0),
    }
    named = {"settings": m.sha(settings)}
    order = {0: 1, 1: DEVICE, 2: m.fill("order", 16), 3: [NAME], 4: m.NOW}
    wipe = m.signed(m.enc(order), ["ops-1", "ops-2"], "dnb/v1/wipe")
    wipe_all = m.signed(m.enc({0: 1, 1: DEVICE, 2: m.fill("all", 16), 4: m.NOW}), ["ops-1", "ops-2"], "dnb/v1/wipe")
    lone = m.signed(m.enc(order), ["ops-1"], "dnb/v1/wipe")
    messages = {
        "claim": bytes([len(DEVICE)]) + DEVICE.encode() + m.token_text(m.TOKEN).encode(),
        "pending": m.enc({0: 1, 1: "pending", 5: 2}),
        "reply": m.enc({0: 1, 1: "issued", 6: root}),
        "reply-other-root": m.enc({0: 1, 1: "issued", 6: m.ROOTS["root-2"]}),
        "one": directive(1, {NAME: one.desired()}, **named),
        "two": directive(2, {NAME: two.desired()}, **named),
        "one-again": directive(3, {NAME: one.desired()}, **named),
        "two-floor": directive(4, {NAME: two.desired(floor=2)}, **named),
        "old": directive(5, {NAME: releases["old"].desired(floor=2)}, **named),
        "nothing": directive(6, {}, **named),
        "two-models": directive(7, {NAME: one.desired(), "zebra": two.desired()}, **named),
        "wipe": directive(8, {}, wipe=wipe, **named),
        "wipe-again": directive(9, {}, wipe=wipe, **named),
        "wipe-all": directive(10, {}, wipe=wipe_all),
        "wipe-lone": directive(11, {NAME: one.desired()}, wipe=lone, **named),
        "wipe-desired": directive(12, {NAME: one.desired()}, wipe=wipe_all, **named),
        "root": directive(13, {NAME: one.desired()}, root=m.sha(root_2), **named),
        "fast-forward": directive(1 << 52, {NAME: one.desired()}, **named),
        "epoch-2": directive(1, {NAME: two.desired()}, epoch=2, root=m.sha(root_2), **named),
        "lease": directive(14, {NAME: one.desired(lease={0: 60, 1: "stop"})}, **named),
        "stranger": directive(15, {NAME: two.desired()}, signer="stranger", **named),
        "other-device": directive(16, {NAME: two.desired()}, device="mcu-2", **named),
        "expired": directive(17, {NAME: two.desired()}, expires=m.NOW + 18, **named),
    }
    lost = m.fill("lost root", 32)
    messages |= {
        "lost-root": directive(60, {NAME: two.desired()}, root=lost, **named),
        "lost-root-epoch": directive(1, {NAME: two.desired()}, epoch=3, root=m.fill("another", 32), **named),
        "after-lost-root": directive(61, {NAME: one.desired()}, **named),
    }
    for name in ("hardware", "operator", "unknown-op", "arena", "big", "golden"):
        messages[name] = directive(20 + len(messages), {NAME: releases[name].desired()}, **named)
    hostile, roots = hostile_messages(releases, named, wipe)
    messages |= hostile
    objects = [settings, root_2, *roots]
    for release in releases.values():
        objects += [release.envelope, release.page]
    chunks = [chunk for release in releases.values() for chunk in release.objects]
    named_objects = [(m.sha(data), data) for data in objects] + [(m.leaf(chunk), chunk) for chunk in chunks]
    (folder / "objects").write_bytes(
        b"".join(name + struct.pack("<I", len(data)) + data for name, data in named_objects)
    )
    for name, message in messages.items():
        (folder / name).write_bytes(message)
    (folder / "director.kid").write_bytes(m.kid("director"))
    for name in ("device", "device-kem", "director"):
        secret = m.private(name).private_numbers().private_value
        (folder / f"{name}.key").write_bytes(secret.to_bytes(32, "big"))
    for name, release in releases.items():
        (folder / f"{name}.digest").write_bytes(release.digest)
    (folder / "claim.secret").write_bytes(m.TOKEN[4])
    (folder / "two.cek").write_bytes(two.cek)
    (folder / "nonce.bytes").write_bytes(m.fill("nonce", 16))
    (folder / "one.model").write_bytes(model("one", 9_000))
    (folder / "two.model").write_bytes(model("two", 18_000))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
