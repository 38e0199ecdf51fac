from dataclasses import dataclass

from shared.measure.histogram import Histogram


@dataclass(frozen=True)
class CoreGap:
    cpu: int
    scheduling: str
    max_gap_us: int
    lateness: Histogram
    cpu_s: float


class CoreProbes:
    def start(self, cpus) -> None:
        pass

    def reset(self) -> None:
        pass

    def report(self):
        return []

    def stop(self) -> None:
        pass
