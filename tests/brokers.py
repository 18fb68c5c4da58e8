"""Real MQTT brokers on free ports."""
