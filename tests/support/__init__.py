"""What several test packages need: worlds of keys, certificates, brokers and running programs."""
