"""``python -m rlaif.cli``: the same as ``rlaif``."""

from rlaif.cli import main

if __name__ == "__main__":
    main(prog_name="rlaif")
