"""``python services NAME PROVIDER_URL``: play the scenarios of one SDK, in an environment that has it."""

import importlib
import sys

from stage import Stage

importlib.import_module(sys.argv[1]).run(Stage(sys.argv[2]))
