"""The short-lived child that alone holds private keys and ``cryptography``.

It verifies signatures against the root in the state folder, opens grants, decrypts payloads into sealed memory and
signs for the device. It has no network and keeps nothing between two requests but the root.
"""
