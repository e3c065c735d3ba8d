"""`python -m recomputing RESULTS`: prints how many numbers were held against the tables."""

import sys
from pathlib import Path

from recomputing.walk import check_comparison, check_report

if __name__ == "__main__":
    wrong = 0
    for name, check in (("comparison.md", check_comparison), ("report.html", check_report)):
        count, problems = check(Path(sys.argv[1]))
        sys.stdout.write("".join(f"{problem}\n" for problem in problems))
        sys.stdout.write(f"{name}: {count} numbers computed again, {len(problems)} wrong\n")
        wrong += len(problems)
    sys.exit(bool(wrong))
