"""The loop designs by name, for those, too, who must not import a backend."""

LOOP_CLASSES = {
    "managed": "ManagedLoop",
    "always-on": "AlwaysOnLoop",
    "on-demand": "OnDemandLoop",
    "condition": "ConditionLoop",
    "thread": "ThreadLoop",
    "process": "ProcessLoop",
}
"""For every mode, as ``--mode`` spells it, the class that both backends have in its module; the default first."""

MODES = tuple(LOOP_CLASSES)


def module_of(mode: str) -> str:
    """Return the name of a mode's module in ``backends/*/loops``."""
    return mode.replace("-", "_")
