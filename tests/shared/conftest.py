"""Property tests draw the same examples every time, and none fails because the machine was busy."""

from hypothesis import settings

settings.register_profile("shared", derandomize=True, deadline=None, database=None, max_examples=50)
settings.load_profile("shared")
