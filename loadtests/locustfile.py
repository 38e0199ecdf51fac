"""
The file that Locust loads: it gives Locust the user class of each scenario.

    locust -f loadtests/locustfile.py --host ws://127.0.0.1:8000

``--scenario`` chooses one; each is a module in ``loadtests/scenarios``.
"""

import sys
from pathlib import Path

# Locust puts its working directory first on the path, where somebody's numpy.py or folder "shared" would be imported
# instead of ours. All that is needed is beside this folder, or installed.
sys.path[:] = [str(Path(__file__).resolve().parents[1]) if folder == str(Path.cwd()) else folder for folder in sys.path]

from locust import events

from shared.system.packages import needed_by

with needed_by("the load test", "load"):
    from loadtests.locust_hooks import install
    from loadtests.scenarios import all_scenarios

install(events, all_scenarios())

# Locust looks for user classes among the names of this module.
globals().update({scenario.user.__name__: scenario.user for scenario in all_scenarios().values()})
