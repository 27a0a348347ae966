"""What all views share."""

from typing import Any

Json = dict[str, Any]
LISTED = 500
"""Most devices that one list inside an answer names; where there are more, a count says so."""
