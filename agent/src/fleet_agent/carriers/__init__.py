"""How objects reach the device: one interface, and MQTT, the first carrier behind it."""
