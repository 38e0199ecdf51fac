"""The game served with monkey-patched gevent."""
