"""What ``tickbench doctor`` does: look at this machine and judge each finding."""

import os
import sys

from shared.system.descriptors import descriptor_limits
from shared.system.quotas import read_quotas
from tickbench.machine import environment, fitness, system
from tickbench.machine.fitness import MachineCheck
from tickbench.machine.other_processes import busiest_others

WATCH_S = 1.0


def examine_machine() -> list[MachineCheck]:
    """Look at everything; takes two seconds, to measure the steal and what other processes take."""
    cores = system.usable_cores()
    return [
        fitness.judge_cores(len(cores)),
        fitness.judge_quotas(read_quotas(), len(cores)),
        fitness.judge_descriptors(descriptor_limits()[1]),
        fitness.judge_clock_source(system.clock_source()),
        fitness.judge_steal(system.steal_percent(WATCH_S)),
        fitness.judge_governors({system.governor(core) for core in cores}),
        fitness.judge_load(os.getloadavg()[0], len(cores)),
        fitness.judge_others(busiest_others(WATCH_S)),
        fitness.judge_ports(system.ephemeral_ports()),
        fitness.judge_timestamps(system.has_kernel_timestamps()),
        _judge_this_python(),
    ]


def _judge_this_python() -> MachineCheck:
    build = environment.python_build()
    return fitness.judge_python(sys.version_info[:3], build.implementation, build.is_debug_build, build.has_gil)
