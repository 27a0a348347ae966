"""What holds for every test."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long a loaded machine takes says nothing of the code.
settings.register_profile("dunlin", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dunlin")

BROWSER = Path(__file__).parent / "browser"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if BROWSER in item.path.parents:
            # Playwright keeps an event loop running in the thread of its tests, where no asyncio test could then run.
            item.add_marker(pytest.mark.serial)
