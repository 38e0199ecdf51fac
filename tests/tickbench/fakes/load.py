"""A stand-in for a load run: it takes the flags of one, and orders in slots. The scenario says what goes wrong."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("summary.json")
STOLEN = "the hypervisor stole 11.2 % of a measured core (limit 5 %)"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scenario", default=os.environ.get("TICKBENCH_SCENARIO"))
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--warm-up", type=float, default=2)
    parser.add_argument("--duration", type=float, default=10)
    parser.add_argument("--slots", action="store_true")
    asked, _ = parser.parse_known_args()
    slots = carry_out_orders(asked) if asked.slots else None
    if slots is None:
        time.sleep(asked.warm_up + asked.duration)
    if asked.scenario == "broken":
        sys.exit("the load broke")
    if asked.scenario == "misused":
        sys.stderr.write("error: there is no scenario 'misused'; steady would be right\n")
        return 2
    return write_summary(asked, slots)


def write_summary(asked: argparse.Namespace, slots: dict[str, Any] | None) -> int:
    """Write a summary of ``asked.users`` users; return the exit status that goes with it."""
    summary = json.loads(RECORDED.read_text("utf-8")) | ({"slots": slots} if slots else {})
    match asked.scenario:
        case "garbage":
            asked.out.write_text("{", "utf-8")
            return 0
        case "spoiled":
            summary["validity"] = {"ok": False, "reasons": ["steal of 7.1 % on core 0"], "warnings": []}
        case "stolen":
            summary["validity"] = {"ok": False, "reasons": [STOLEN], "warnings": [], "machine": [STOLEN]}
        case "counted" | "losing" | "lacking":
            there, lost = asked.users - (asked.scenario == "lacking"), asked.scenario == "losing"
            summary["connections"] |= {"requested": asked.users, "connected": there, "closed_early": int(lost)}
    asked.out.write_text(json.dumps(summary) + "\n", "utf-8")
    return 0 if summary["validity"]["ok"] else 3


def carry_out_orders(asked: argparse.Namespace) -> dict[str, Any]:
    """Answer as a load run in slots does, until it is told to end; return what its summary says of the slots."""
    kept, made, seconds = 0, 0, 0.0
    say(said="ready", connected=asked.users, requested=asked.users)
    for line in sys.stdin:
        order = json.loads(line)
        match order["order"]:
            case "warm":
                time.sleep(order["seconds"])
                say(said="warm")
            case "users":
                asked.users = order["number"]
                say(said="users", connected=asked.users, requested=asked.users)
            case "slot":
                if asked.scenario == "broken":
                    sys.exit("the load broke")
                if asked.scenario == "silent":
                    time.sleep(60)
                seconds, made = order["seconds"], made + 1
                time.sleep(seconds)
                spoiled = asked.scenario == "stolen" or (asked.scenario == "gusty" and made == 2)
                kept += not spoiled
                answer = "nonsense" if asked.scenario == "confused" else "slot"
                say(said=answer, number=made, spoiled=[STOLEN] if spoiled else [], steal_percent=0.0, core_gap_ms=0.1)
            case "drop":
                kept -= 1
                say(said="dropped")
            case "sum":
                say(said="sum", status=write_summary(asked, slots_said(seconds, made, kept)))
                kept = made = 0
            case "end":
                return slots_said(seconds, made, kept)
    sys.exit("error: its orders ended")


def slots_said(seconds: float, made: int, kept: int) -> dict[str, Any]:
    left_out = {"the hypervisor stole # % of a measured core": made - kept} if made > kept else {}
    return {"slot_s": seconds, "made": made, "kept": kept, "thrown_s": 0.4, "left_out": left_out}


def say(**answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
