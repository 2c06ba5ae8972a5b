"""`python -m querist`: the console command."""

import sys

from querist._cli import main

if __name__ == "__main__":  # a worker process of the demo imports this module too
    sys.exit(main())
