"""A stand-in for a load run: it takes the flags of one. The scenario says what goes wrong."""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

RECORDED = Path(__file__).with_name("summary.json")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scenario", default=os.environ.get("TICKBENCH_SCENARIO"))
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--warm-up", type=float, default=2)
    parser.add_argument("--duration", type=float, default=10)
    asked, _ = parser.parse_known_args()
    time.sleep(asked.warm_up + asked.duration)
    match asked.scenario:
        case "broken":
            sys.exit("the load broke")
        case "misused":
            sys.stderr.write("error: there is no scenario 'misused'; steady would be right\n")
            return 2
        case "garbage":
            asked.out.write_text("{", "utf-8")
            return 0
        case "spoiled":
            summary = json.loads(RECORDED.read_text("utf-8"))
            summary["validity"] = {"ok": False, "reasons": ["steal of 7.1 % on core 0"], "warnings": []}
            asked.out.write_text(json.dumps(summary), "utf-8")
            return 3
        case "stolen":
            summary = json.loads(RECORDED.read_text("utf-8"))
            reasons = ["the hypervisor stole 11.2 % of a measured core (limit 5 %)"]
            summary["validity"] = {"ok": False, "reasons": reasons, "warnings": [], "machine": reasons}
            asked.out.write_text(json.dumps(summary), "utf-8")
            return 3
        case "counted":
            summary = json.loads(RECORDED.read_text("utf-8"))
            summary["connections"] |= {"requested": asked.users, "connected": asked.users}
            asked.out.write_text(json.dumps(summary), "utf-8")
            return 0
        case _:
            shutil.copyfile(RECORDED, asked.out)
            return 0


if __name__ == "__main__":
    sys.exit(main())
