"""The dashboard: pages rendered here, kept live by htmx and server-sent events. No build step, nothing from elsewhere.

Every page is drawn from plain JSON data, and the same address with `.json` behind it (or `Accept: application/json`)
answers with that data: its twin.
"""
