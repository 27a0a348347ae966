"""What the server does, one module a thing. Services know the database and the contract, and nothing of HTTP or MQTT.

Most functions take `(session, ctx, ..., now)`: they run inside the caller's transaction, so that a change, its
directive, its outbox rows and its audit row are committed together or not at all. `now` is unix seconds.
"""
