"""Put this directory on the path: the test files share `reference`, `layouts` and `child`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
