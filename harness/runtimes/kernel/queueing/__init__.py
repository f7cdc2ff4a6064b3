"""The program that the kernel asks what to do with packets: it runs inside the agent container, beside the network, not here.

Kernels can delay packets by themselves (netem), but many are built without that; every kernel can queue packets to a program.
This package is copied into the container and started with ``python3 -m queueing TABLE``. It imports nothing of the harness and
little of Python, so that a minimal installation of it will do.

It reads commands from its stdin, one a line, and answers each with one line on its stdout::

    bends SOURCE TARGET NUMBERS...;SOURCE TARGET NUMBERS...   the whole new state; NUMBERS are the fields of ``Treatment``
    provoke ADDRESS PORT ADDRESS PORT;...                     make the first end of each connection say something to the other
    counts                                                    packets seen, lost, doubled and made late so far, and held now

At the end of its stdin it lets go of what it holds and ends. The kernel lets packets pass where no program is there to ask.
"""
