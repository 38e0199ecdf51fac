"""What every backend's server holds, whatever serves HTTP and WebSocket on it."""
