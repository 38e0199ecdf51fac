import msgspec

from shared.measure.histogram import Histogram
from shared.measure.machine_figures import CoreGapFigures, MachineFigures, ThrottledFigures


def test_what_older_files_do_not_say_is_not_known() -> None:
    found = msgspec.json.decode(b"{}", type=MachineFigures)
    assert found == MachineFigures(steal_percent=None, foreign_cpu_percent=None, core_gaps=[], throttled=[])


def test_they_come_back_as_they_were_written() -> None:
    gap = CoreGapFigures(cpu=0, scheduling="fifo", max_gap_ms=1.5, lateness_ms=Histogram().summary())
    quota = ThrottledFigures(who="server", group="/pod", cores=0.5, periods=3, ms=12.5)
    figures = MachineFigures(steal_percent=0.5, cpus_server=[0], core_gaps=[gap], throttled=[quota])
    assert msgspec.json.decode(msgspec.json.encode(figures), type=MachineFigures) == figures
