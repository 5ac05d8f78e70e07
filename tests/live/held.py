"""`tape` as a process that ends with the one that started it: killed tests leave no session behind."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cli
from app.lifeline import end_with_starter

if __name__ == "__main__":
    end_with_starter()
    sys.exit(cli.main(sys.argv[1:]))
