"""The MQTT side: what devices say comes in here, and what they are owed goes out."""
