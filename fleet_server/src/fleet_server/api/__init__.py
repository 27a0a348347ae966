"""The operators' listener: REST under /api/v1, described by /api/v1/openapi.json, with the pages of `web` beside it."""
