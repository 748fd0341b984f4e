"""`python -m gateway.config`: the process in which a running gateway reads a large config; see `load_apart`."""

import gc

from gateway.config.apart import answer
from gateway.config.load import LONGEST_READ, told

if __name__ == "__main__":
    gc.disable()
    answer(told, LONGEST_READ)
