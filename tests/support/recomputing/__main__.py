"""`python -m recomputing RESULTS`: how many numbers were computed again, and which are wrong."""

import sys
from pathlib import Path

from recomputing.walk import check_comparison, check_report

if __name__ == "__main__":
    folder, wrong = Path(sys.argv[1]), 0
    for name, check in (("comparison.md", check_comparison), ("report.html", check_report)):
        if not (folder / name).is_file():
            sys.stdout.write(f"{name}: there is none\n")
            continue
        count, problems = check(folder)
        sys.stdout.write("".join(f"{problem}\n" for problem in problems))
        sys.stdout.write(f"{name}: {count} numbers computed again, {len(problems)} wrong\n")
        wrong += len(problems)
    sys.exit(bool(wrong))
