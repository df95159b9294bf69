"""Performs the actions that standard input names, one JSON array a line: the name, then the arguments.

Prints JSON lines: what the SDK's callbacks delivered, and the end of each action.
"""

import json
import logging
import sys
import threading

# Seconds to wait for what must come.
PATIENCE = 20

_printing = threading.Lock()


def tell(**line):
    with _printing:
        print(json.dumps(line), flush=True)


def delivered(name, value=None):
    """A callback of the SDK was called."""
    tell(delivered=name, value=value)


def perform(actions, publish):
    """Runs actions until standard input ends. `publish` sends to a topic, behind what was sent before.

    A third argument of the program is such a topic, to say that an action has sent all that it sends.
    """
    barrier = sys.argv[3:]
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            result = actions[name](*arguments)
        except Exception as error:  # What an SDK raises is part of what it does.
            result = {"raised": type(error).__name__}
        for topic in barrier:
            publish(topic)
        tell(done=name, result=result)


def address():
    """The server's host and port."""
    return sys.argv[1], int(sys.argv[2])
