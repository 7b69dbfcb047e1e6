"""`python -m server`."""

import sys

try:
    from server.cli.main import main
except ModuleNotFoundError as error:
    sys.exit(f"{sys.executable} has no {error.name}: `make run` makes an environment, whose Python is .venv/bin/python")

sys.exit(main())
