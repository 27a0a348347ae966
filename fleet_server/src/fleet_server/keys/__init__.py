"""The server's keys: director, vault, device CA, and the certificates of its own listeners."""
