"""The command `python -m orchestrator COMMAND ...`: the console command, from a checkout."""

from transfer_study.__main__ import console

if __name__ == "__main__":
    console()
