"""The small process that decides: one inbox, one journal, one connection. No request of an app passes through it."""
