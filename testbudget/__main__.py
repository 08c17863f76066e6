"""``python -m testbudget``."""

import sys

from testbudget.cli.main import main

sys.exit(main())
