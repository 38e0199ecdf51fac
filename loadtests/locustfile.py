"""
Who comes to the game, and what they do there.

    locust -f loadtests/locustfile.py --host ws://127.0.0.1:8000

Which of them come is the scenario's choice (``--scenario``): each is a story in ``loadtests/scenarios``. They know
nothing of how frames are timed.
"""

import sys
from pathlib import Path

# Locust puts the folder that it was started in first on the path, where a numpy.py or a folder "shared" of somebody's
# would come before those that are meant. What is needed stands beside this folder, or is installed.
sys.path[:] = [str(Path(__file__).resolve().parents[1]) if folder == str(Path.cwd()) else folder for folder in sys.path]

from locust import events

from shared.system.packages import needed_by

with needed_by("the load test", "load"):
    from loadtests.locust_hooks import install
    from loadtests.scenarios import all_scenarios

install(events, all_scenarios())

# Locust takes for a user class what it finds in this module by its name.
globals().update({scenario.user.__name__: scenario.user for scenario in all_scenarios().values()})
