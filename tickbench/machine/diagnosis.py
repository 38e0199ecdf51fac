"""``doctor``: looks at this machine and has each finding judged. Knows nothing of how findings are shown."""

import os
import sys

from shared.measure.quota import read_quotas
from tickbench.machine.other_processes import busiest_others
from tickbench.machine.system import environment
from tickbench.machine.system import system as machine
from tickbench.verdict import trust as checks
from tickbench.verdict.trust import MachineCheck

WATCH_S = 1.0


def examine_machine() -> list[MachineCheck]:
    """Look at everything; takes two seconds, to see the steal and who else computes."""
    cores = machine.usable_cores()
    return [
        checks.judge_cores(len(cores)),
        checks.judge_quotas(read_quotas(), len(cores)),
        checks.judge_descriptors(machine.descriptor_limits()[1]),
        checks.judge_clock_source(machine.clock_source()),
        checks.judge_steal(machine.steal_percent(WATCH_S)),
        checks.judge_governors({machine.governor(core) for core in cores}),
        checks.judge_load(os.getloadavg()[0], len(cores)),
        checks.judge_others(busiest_others(WATCH_S)),
        checks.judge_ports(machine.ephemeral_ports()),
        checks.judge_timestamps(machine.has_kernel_timestamps()),
        _judge_this_python(),
    ]


def _judge_this_python() -> MachineCheck:
    build = environment.python_build()
    return checks.judge_python(sys.version_info[:3], build.implementation, build.is_debug_build, build.has_gil)
