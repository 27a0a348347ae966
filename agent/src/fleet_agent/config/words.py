"""Every word of ``agent.toml``, and the type of its value."""

from dunlin_contract.vocabulary import NUMBER, Vocabulary

WORDS: Vocabulary = {
    "": {
        "api": dict,
        "worker": dict,
        "model": list,
        "source": list,
        "sink": list,
        "results": dict,
        "capture": dict,
        "power": dict,
        "carriers": dict,
    },
    # The local API.
    "api": {
        "token_file": str,
        "body_bytes": int,
        "queued_requests": int,
        "answer_s": NUMBER,
        "shared_memory": bool,
    },
    # All workers, unless a model says otherwise.
    "worker": {"threads": int, "cpus": list, "memory_mb": int, "delegate": str, "user": str},
    # One model on this device.
    "model": {
        "name": str,
        "workers": int,
        "batch": int,
        "threads": int,
        "cpus": list,
        "memory_mb": int,
        "delegate": str,
    },
    "source": {
        "name": str,
        "kind": str,
        "model": str,
        "sinks": list,
        "per_s": NUMBER,
        "device": str,
        "url": str,
        "folder": str,
        "topic": str,
        "at": str,
        "done": str,
    },
    "sink": {"name": str, "kind": str, "path": str, "url": str, "topic": str, "priority": int, "most_bytes": int},
    "results": {"most_mb": int, "most_age_h": int, "per_hour": int},
    "capture": {"consent": bool, "models": list, "kinds": list, "most_mb": int, "per_day": int},
    "power": {"hot_c": NUMBER, "cool_c": NUMBER, "actions": list, "per_s": NUMBER},
    "carriers": {"http": bool, "usb": str},
}
