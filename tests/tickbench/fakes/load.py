"""A stand-in for a load run: URL OUT SCENARIO SECONDS USERS. The scenario says what goes wrong."""

import json
import shutil
import sys
import time
from pathlib import Path

RECORDED = Path(__file__).with_name("summary.json")


def main() -> int:
    _, _, out, scenario, seconds, users = sys.argv
    time.sleep(float(seconds))
    match scenario:
        case "broken":
            sys.exit("the load broke")
        case "misused":
            sys.stderr.write("error: there is no scenario 'misused'; steady would be right\n")
            return 2
        case "garbage":
            Path(out).write_text("{", "utf-8")
            return 0
        case "spoiled":
            summary = json.loads(RECORDED.read_text("utf-8"))
            summary["validity"] = {"ok": False, "reasons": ["steal of 7.1 % on core 0"], "warnings": []}
            Path(out).write_text(json.dumps(summary), "utf-8")
            return 3
        case "stolen":
            summary = json.loads(RECORDED.read_text("utf-8"))
            reasons = ["the hypervisor stole 11.2 % of a measured core (limit 5 %)"]
            summary["validity"] = {"ok": False, "reasons": reasons, "warnings": [], "machine": reasons}
            Path(out).write_text(json.dumps(summary), "utf-8")
            return 3
        case "counted":
            summary = json.loads(RECORDED.read_text("utf-8"))
            summary["connections"] |= {"requested": int(users), "connected": int(users)}
            Path(out).write_text(json.dumps(summary), "utf-8")
            return 0
        case _:
            shutil.copyfile(RECORDED, out)
            return 0


if __name__ == "__main__":
    sys.exit(main())
