"""The game served with monkey-patched gevent, Flask and gevent-websocket."""
