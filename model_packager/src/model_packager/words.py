"""Every word of a recipe, and the type of its value."""

from dunlin_contract.vocabulary import NUMBER, Vocabulary

VOCABULARY: Vocabulary = {
    "": {
        "name": str,
        "version": str,
        "counter": int,
        "valid_days": int,
        "stores": list,
        "labels": str,
        "samples": str,
        "budget": dict,
        "golden": dict,
        "baseline": dict,
        "preprocess": dict,
        "postprocess": dict,
        "variant": list,
    },
    "budget": {"p95_ms": NUMBER, "memory_mb": NUMBER},
    "golden": {"samples": int, "tolerance": NUMBER, "top1_permille": int},
    "baseline": {"samples": str, "bins": int},
    "preprocess": {"height": int, "width": int, "layout": str, "color": str, "mean": list, "std": list},
    "postprocess": {"softmax": bool, "top_k": int},
    "variant": {
        "kind": str,
        "model": str,
        "samples": str,
        "hardware": list,
        "boards": list,
        "arena_kib": NUMBER,
        "min_version": str,
        "budget": dict,
        "golden": dict,
        "baseline": dict,
    },
    "board": {"hardware": str, "arena_kib": NUMBER, "slot_kib": NUMBER},
}
