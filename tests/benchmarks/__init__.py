"""What the gateway can do, measured beside what else there is, and what it survives."""
