"""Message sources: MQTT brokers."""
