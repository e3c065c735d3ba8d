"""`python -m recomputing RESULTS`: how many numbers were computed again, and which are wrong."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from recomputing.walk import check_comparison, tables_of_json

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:  # a comparison is written anew where it lies
        for path in (folder / "study.json", *folder.glob("*.parquet")):
            shutil.copy(path, place)
        command = [sys.executable, "-m", "orchestrator.compare", place, "--json"]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    count, problems = check_comparison(folder, tables_of_json(json.loads(said)))
    sys.stdout.write("".join(f"{problem}\n" for problem in problems[:20]))
    sys.stdout.write(f"{count} cells computed again, {len(problems)} wrong\n")
    sys.exit(bool(problems))
