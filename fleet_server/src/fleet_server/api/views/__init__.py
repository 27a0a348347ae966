"""Rows as JSON: the one shape of each thing, answered by the API and drawn by the pages. Times are unix seconds."""

from fleet_server.api.views.activity import alarm, audit_line, event
from fleet_server.api.views.captures import capture
from fleet_server.api.views.devices import claim_token, device, device_line, device_lines, wipe
from fleet_server.api.views.releases import in_use, release, release_line, versions
from fleet_server.api.views.results import result, result_line
from fleet_server.api.views.rollouts import preview, rollout, rollout_line

__all__ = [
    "alarm",
    "audit_line",
    "capture",
    "claim_token",
    "device",
    "device_line",
    "device_lines",
    "event",
    "in_use",
    "preview",
    "release",
    "release_line",
    "result",
    "result_line",
    "rollout",
    "rollout_line",
    "versions",
    "wipe",
]
