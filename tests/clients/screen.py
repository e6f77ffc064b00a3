"""Runs a program in a terminal of its own and looks at its screen.

The arguments are a number of seconds, words separated by commas, then the command. Writes the screen as JSON,
`{"seen": true, "screen": [...]}`, as soon as every word stands on it, or when the time is over; then waits for the end
of its input, and ends the program as a person does: with `q`.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

import pyte

COLUMNS, ROWS = 240, 60

deadline = time.monotonic() + float(sys.argv[1])
words = [word for word in sys.argv[2].split(",") if word]
screen = pyte.Screen(COLUMNS, ROWS)
stream = pyte.ByteStream(screen)

child, terminal = pty.fork()
if child == 0:
    os.environ.update(TERM="xterm-256color", LANG="en_US.UTF-8")
    # The program asks how large its terminal is when it starts.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    os.execv(sys.argv[3], sys.argv[3:])


def show(wait):
    """Shows on the screen what the program writes within that time; says whether it still runs."""
    if not select.select([terminal], [], [], wait)[0]:
        return True
    try:
        octets = os.read(terminal, 65536)
    except OSError:
        return False
    stream.feed(octets)
    return bool(octets)


running, told = True, False
while not told:
    running = show(0.1)
    seen = all(any(word in line for line in screen.display) for word in words)
    if seen or not running or time.monotonic() > deadline:
        lines = [line.rstrip() for line in screen.display]
        print(json.dumps({"seen": seen, "screen": [line for line in lines if line]}), flush=True)
        told = True

while running and not select.select([sys.stdin], [], [], 0)[0]:
    running = show(0.1)
if running:
    os.write(terminal, b"q")
    while show(1.0):
        pass
os.waitpid(child, 0)
