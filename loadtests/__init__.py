"""The load: Locust users that are one WebSocket connection each, and the instrument that times what they receive."""
