"""Says at the end at how many points something was killed: a count that shrinks is a test that looks away."""

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    killed: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            where, _, what = name.partition(": ")
            if where == "killed":
                killed[what] += int(value)
    for what, count in sorted(killed.items()):
        terminalreporter.write_line(f"killed at {count} points: {what}")
