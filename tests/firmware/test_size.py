"""What `firmware_tflm/tools/size` reads from a linker map and a call graph."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "firmware_tflm" / "tools" / "size"

MAP = """
Memory Configuration

Linker script and memory map

.text           0x00000000     0x1000
 .text.dl_update
                0x00000010       0x64 libdunlin.a(update.c.obj)
 .text.gone     0x00000000        0x0 libdunlin.a(update.c.obj)
 *fill*         0x00000074        0x4
 .rodata.reasons 0x00000078      0x20 libdunlin_generated.a(dunlin_records.c.obj)
 .text.ecp      0x00000098       0x30 libmbedcrypto.a(ecp.c.obj)
 .text.send     0x000000c8       0x10 libdunlin_infer.a(lent_infer.c.obj)

.bss            0x20000000      0x200
 .bss.device    0x20000000      0x100 common/libdunlin_port.a(application.c.obj)
 .bss.state     0x20000100       0x08 libdunlin.a(serve.c.obj)

.debug_info     0x00000000      0x999
 .debug_info    0x00000000      0x999 libdunlin.a(update.c.obj)
"""


@pytest.fixture(scope="module")
def size() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("firmware_size", str(TOOL))
    spec = importlib.util.spec_from_loader("firmware_size", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["firmware_size"] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


def test_the_map_is_read_by_part(size: ModuleType) -> None:
    memory = size.read_map(MAP)
    assert dict(memory.flash) == {"core": 0x64 + 0x20, "crypto": 0x30, "port": 0x10}
    assert dict(memory.ram) == {"core": 0x08, "port": 0x100}
    assert memory.variables["device of libdunlin_port.a(application.c.obj)"] == 0x100


def graph(folder: Path, size: ModuleType, text: str) -> dict[str, object]:
    (folder / "a.ci").write_text(text)
    calls: dict[str, object] = size.read_calls(folder)
    return calls


def node(name: str, frame: int) -> str:
    return f'node: {{ title: "{name}" label: "{name}\\\\na.c:1:1\\\\n{frame} bytes (static)" }}\n'


def edge(source: str, target: str) -> str:
    return f'edge: {{ sourcename: "{source}" targetname: "{target}" }}\n'


def test_the_deepest_path_counts_every_frame_once(size: ModuleType, tmp_path: Path) -> None:
    text = node("a", 10) + node("b", 100) + node("c", 40) + node("d", 70)
    text += edge("a", "b") + edge("a", "c") + edge("c", "d") + edge("c", "memcpy")
    stack = size.Stack(graph(tmp_path, size, text), {}, {})
    depth = stack.depth("a")
    assert depth.bytes == 120
    assert depth.path == ("a", "c", "d")


def test_a_call_through_a_pointer_is_followed_or_named(size: ModuleType, tmp_path: Path) -> None:
    text = node("a", 10) + node("port_read", 30) + edge("a", "__indirect_call")
    calls = graph(tmp_path, size, text)
    assert size.Stack(calls, {"^a$": ["^port_"]}, {}).depth("a").bytes == 40
    unknown = size.Stack(calls, {}, {})
    unknown.depth("a")
    assert unknown.unresolved == {"a"}


def test_recursion_is_counted_or_named(size: ModuleType, tmp_path: Path) -> None:
    calls = graph(tmp_path, size, node("a", 10) + edge("a", "a"))
    assert size.Stack(calls, {}, {"^a$": 3}).depth("a").bytes == 30
    unknown = size.Stack(calls, {}, {})
    unknown.depth("a")
    assert unknown.cycles == {"a -> a"}
