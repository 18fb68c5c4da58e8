"""``python -m simulators`` is the command ``simulate``."""

from simulators.cli import main

if __name__ == "__main__":
    main()
