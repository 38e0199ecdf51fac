"""The game served with asyncio."""
