"""Vectors of the link: frames, streams of them, the messages inside, and the claim that a gateway offers."""  # noqa: INP001 - run from the repository's root; the folder holds data, not a package

import struct
from typing import Any

from contract.vectors import material as m
from contract.vectors.material import Collector

NAME = m.RELEASE
HELLO = b"\x01\x01\x01" + m.NONCE + b"\x05mcu-7"


def frames(out: Collector) -> None:
    def good(name: str, body: bytes) -> None:
        out.add("frame", f"frame-{name}", "ok", bytes=m.frame(body), body=body, written=True)

    def add(name: str, expect: str, data: bytes, **more: Any) -> None:
        out.add("frame", f"frame-{name}", expect, bytes=data, **more)

    good("hello", HELLO)
    good("one-byte", b"\x85")
    good("one-zero", b"\x00")
    good("zeros", bytes(256))
    good("longest", m.fill("longest body", 256))
    for length in (249, 250, 251, 252, 253, 254, 255, 256):
        good(f"{length}-bytes-without-a-zero", bytes([7]) * length)
    # 250 bytes and their check sum are one full block; an encoder may close it with an empty one.
    body = bytes([7]) * 250
    add("full-block-then-an-empty-one", "ok", m.frame(body) + b"\x01", body=body, written=False)
    frame = m.frame(HELLO)
    add("empty", "frame", b"")
    add("of-a-check-sum-alone", "frame", m.stuffed(m.crc(b"")))
    add("of-257-bytes", "frame", m.frame(bytes(257)))
    add("longer-than-any", "frame", m.frame(bytes([7]) * 300))
    add("cut-short", "frame", frame[:-1])
    add("a-byte-more", "frame", frame + b"\x02")
    add("bit-flipped", "frame", m.flipped(frame, 9, 3))
    add("first-code-flipped", "frame", m.flipped(frame, 0, 1))
    add("check-sum-little-endian", "frame", m.stuffed(HELLO + m.crc(HELLO)[::-1]))
    # Only these checks tell: what they decode to has the right check sum.
    raw = bytes(4) + m.crc(bytes(4))
    add("zero-inside", "frame", bytes([len(raw) + 1]) + raw)
    full = b"\x85\x01\x02\x03\x04"
    block = m.frame(full)
    add("block-longer-than-the-frame", "frame", bytes([block[0] + 1]) + block[1:])


def streams(out: Collector) -> None:
    def add(name: str, data: bytes, bodies: list[bytes], errors: int) -> None:
        out.add("link-stream", f"link-stream-{name}", "ok", bytes=data, bodies=bodies, errors=errors)

    took, got = b"\x04" + NAME, struct.pack(">BHH", 0x85, 3, 1024)
    one, two, three = (m.frame(body) + b"\x00" for body in (HELLO, took, got))
    add("three-frames", one + two + three, [HELLO, took, got], 0)
    add("delimiters-between", b"\x00" * 5 + one + b"\x00\x00" + two, [HELLO, took], 0)
    add("not-ended", one + two[:-1], [HELLO], 0)
    add("starts-inside-a-frame", one[7:] + two, [took], 1)
    # Without a 00 in front, what was on the line before costs the next frame.
    add("noise-joins-the-first", b"\x55\xaa\x13" + one + two, [took], 1)
    add("noise-then-delimiter", b"\x55\xaa\x13\x00" + one, [HELLO], 1)
    add("byte-lost", one[:9] + one[10:] + two, [took], 1)
    add("byte-more", one[:9] + b"\x41" + one[9:] + two, [took], 1)
    add("delimiter-lost", one[:-1] + two + three, [got], 1)
    add("delimiter-inside", one[:9] + b"\x00" + one[9:] + two, [took], 2)
    add("endless", b"\x41" * 10_000 + b"\x00" + one, [HELLO], 1)
    add("reset-in-a-frame", one[:12] + b"\x00" + one + two, [HELLO, took], 1)


def messages(out: Collector) -> None:
    def add(label: str, body: bytes, message: str, **fields: Any) -> None:
        out.add("link-message", f"link-message-{label}", "ok", bytes=body, message=message, fields=fields)

    def bad(name: str, body: bytes, rule: str = "frame") -> None:
        out.add("link-message", f"link-message-{name}", rule, bytes=body)

    add("hello", HELLO, "hello", enrolled=True, boot_nonce=m.NONCE, device="mcu-7")
    new = b"\x01\x01\x00" + m.NONCE + b"\x00"
    add("hello-not-enrolled", new, "hello", enrolled=False, boot_nonce=m.NONCE, device="")
    bad("hello-of-version-2", b"\x01\x02" + HELLO[2:], "version")
    bad("hello-flag-unknown", b"\x01\x01\x02" + HELLO[3:])
    bad("hello-cut-short", HELLO[:-1])
    bad("hello-a-byte-more", HELLO + b"\x00")
    bad("hello-device-slash", HELLO[:-1] + b"/")
    bad("hello-device-not-ascii", HELLO[:-1] + b"\xe9")
    bad("hello-device-of-37", HELLO[:19] + b"\x25" + b"a" * 37)

    add("get", b"\x02" + NAME + struct.pack(">IH", 70_000, 1024), "get", name=NAME, offset=70_000, length=1024)
    bad("get-nothing", b"\x02" + NAME + struct.pack(">IH", 0, 0))
    bad("get-1025", b"\x02" + NAME + struct.pack(">IH", 0, 1025))
    bad("get-cut-short", b"\x02" + NAME + bytes(5))

    def up(kind: int, offset: int, total: int, data: bytes) -> bytes:
        return struct.pack(">BBHHH", 3, kind, 258, offset, total) + data

    piece = m.fill("piece", 240)
    add("up", up(2, 240, 481, piece), "up", kind=2, id=258, offset=240, total=481, data=piece)
    add("up-enrol-last-byte", up(3, 4095, 4096, b"z"), "up", kind=3, id=258, offset=4095, total=4096, data=b"z")
    bad("up-kind-zero", up(0, 0, 4, b"data"))
    bad("up-kind-unknown", up(4, 0, 4, b"data"))
    bad("up-total-zero", up(1, 0, 0, b""))
    bad("up-total-4097", up(1, 0, 4097, b"data"))
    bad("up-without-data", up(1, 0, 4, b""))
    bad("up-241-bytes", up(1, 0, 300, piece + b"z"))
    bad("up-beyond-its-total", up(1, 1, 4, b"data"))

    add("took", b"\x04" + NAME, "took", name=NAME)
    bad("took-cut-short", b"\x04" + NAME[:-1])
    add("welcome", b"\x81\x01\x04gw-1", "welcome", gateway="gw-1")
    bad("welcome-without-a-name", b"\x81\x01\x00")
    bad("welcome-of-version-2", b"\x81\x02\x04gw-1", "version")

    for kind, word in enumerate(("desired", "ack", "enrol", "claim"), 1):
        offer = struct.pack(">BBH", 0x82, kind, 4096) + NAME
        add(f"offer-{word}", offer, "offer", kind=kind, length=4096, name=NAME)
    bad("offer-kind-unknown", struct.pack(">BBH", 0x82, 5, 4096) + NAME)
    bad("offer-of-nothing", struct.pack(">BBH", 0x82, 1, 0) + NAME)

    head = b"\x83" + NAME[:8] + struct.pack(">I", 4000)
    add("data", head + piece, "data", prefix=NAME[:8], offset=4000, data=piece)
    add("data-at-the-end", head, "data", prefix=NAME[:8], offset=4000, data=b"")
    bad("data-241-bytes", head + piece + b"z")
    add("nothing", b"\x84" + NAME[:8], "nothing", prefix=NAME[:8])
    bad("nothing-a-byte-more", b"\x84" + NAME[:9])
    add("got", struct.pack(">BHH", 0x85, 258, 481), "got", id=258, next=481)
    bad("got-4097", struct.pack(">BHH", 0x85, 258, 4097))
    bad("type-zero", b"\x00")
    bad("type-unknown", b"\x05" + bytes(32))
    bad("empty", b"")


def claims(out: Collector) -> None:
    def add(name: str, expect: str, data: bytes, **more: Any) -> None:
        out.add("link-claim", f"link-claim-{name}", expect, bytes=data, **more)

    token = m.token_text(m.TOKEN)
    add("good", "ok", b"\x05mcu-7" + token.encode(), device="mcu-7", token=token)
    add("empty", "frame", b"")
    add("without-a-token", "frame", b"\x05mcu-7")
    add("without-a-name", "frame", b"\x00" + token.encode())
    add("name-reserved", "frame", b"\x03obj" + token.encode())
    add("name-cut-short", "frame", b"\x05mcu")
    add("token-of-513", "frame", b"\x05mcu-7" + b"d" * 513)
    add("token-not-ascii", "frame", b"\x05mcu-7\xc3\xa9")


KINDS = (frames, streams, messages, claims)
