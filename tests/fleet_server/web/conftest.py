"""The pages are served by the same application as the API, so they share its fixtures."""

from tests.fleet_server.api.conftest import address, app, browser, fleet, nobody, operator, people, viewer

__all__ = ["address", "app", "browser", "fleet", "nobody", "operator", "people", "viewer"]
