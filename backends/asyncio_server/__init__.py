"""The game served with asyncio and aiohttp."""
