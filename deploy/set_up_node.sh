#!/usr/bin/env bash
# Sets up the study's environment on a node: the packages of requirements.lock in ~/study-env.
# `ray up` runs it on every node, on workers twice: with the same lock it has nothing to do again.
set -euo pipefail
study=~/study environment=~/study-env made=~/study-env.made

# The same Python on all nodes, whatever their system has: Ray refuses a node whose Python differs,
# and the study one whose torch does. uv fetches it from GitHub and knows its checksum.
python=3.11.18

# For `ray start`, `ray exec`, `ray attach` and submitted jobs: the environment's commands, the study's
# packages, and the token with each call.
if ! grep -qs study-env ~/.bashrc; then
  # shellcheck disable=SC2016  # expanded when a shell starts
  echo 'export PATH="$HOME/study-env/bin:$PATH" PYTHONPATH="$HOME/study" RAY_AUTH_MODE=token' >> ~/.bashrc
fi

if cat "$0" "$study/requirements.lock" | cmp -s - "$made"; then
  exit 0
fi
# uv comes from the lock too, with its hashes: its lines are cut out, pip installs them, and the
# environment gets the others. The system's Python by its full path: `python3` may be the
# environment's, which has no pip.
awk 'BEGIN {file = "study-packages.txt"}
  /^[a-z]/ {file = /^uv==/ ? "study-uv.txt" : "study-packages.txt"}
  {print > (ENVIRON["HOME"] "/" file)}' "$study/requirements.lock"
/usr/bin/python3 -m pip install --quiet --disable-pip-version-check --upgrade --target ~/study-uv \
  --require-hashes -r ~/study-uv.txt
# Made anew: what the last lock had and this one has not would stay.
~/study-uv/bin/uv venv --quiet --clear --managed-python --python "$python" "$environment"
~/study-uv/bin/uv pip install --quiet --python "$environment" --require-hashes -r ~/study-packages.txt
cat "$0" "$study/requirements.lock" > "$made" # last: it exists only where all went well
