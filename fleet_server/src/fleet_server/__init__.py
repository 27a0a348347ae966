"""Dunlin's fleet server: enrolment, releases, rollouts, signed directives, ingest and the operators' pages."""

__version__ = "0.1.0"
