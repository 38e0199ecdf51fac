"""The load generator: Locust users, each one WebSocket connection, and the code that times the frames they get."""
