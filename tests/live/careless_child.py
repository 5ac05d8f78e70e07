"""A process that does not look whether its starter is gone: what every other one must not be."""

import time

if __name__ == "__main__":
    time.sleep(3600)
