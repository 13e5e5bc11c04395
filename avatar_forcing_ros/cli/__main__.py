"""The command line, as ``python -m avatar_forcing_ros.cli``."""

import sys

from avatar_forcing_ros.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
