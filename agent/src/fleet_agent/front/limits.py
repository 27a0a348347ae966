"""What one local client may take of the device."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, with their units in their names."""

    connections: int = 256
    head_bytes: int = 16_384
    body_bytes: int = 32 * 1024 * 1024
    json_bytes: int = 8 * 1024 * 1024
    image_bytes: int = 16 * 1024 * 1024
    held_bytes: int = 96 * 1024 * 1024  # bodies of all requests together
    queued_requests: int = 64  # per worker, the one that runs included
    receive_s: float = 20.0  # from a request's first byte to its last
    send_s: float = 20.0  # for a client to take what was sent
    answer_s: float = 30.0  # for a worker to answer; one that gives no answer for so long is killed
    reroute_s: float = 2.0  # for the supervisor to replace a lost worker
    idle_s: float = 600.0  # a quiet connection is kept this long
    streams: int = 16  # of results, at once
    regions: int = 64  # of shared memory, registered at once
    region_bytes: int = 1 << 30


LIMITS = Limits()
