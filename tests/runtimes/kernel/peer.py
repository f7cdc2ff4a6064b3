"""What runs in a peer container: an echo for streams and one for datagrams, and a way for a test to speak from here.

A test connects to port 7002 and sends one line. ``tcp HOST`` joins the test's connection to HOST's echo: what it sends travels on
from here over a connection that lasts as long. ``udp HOST COUNT PAUSE_US`` sends numbered datagrams to HOST's echo and reports
the numbers that came back, in their order. ``heard HERE`` reports how many datagrams this echo has got.
"""

import contextlib
import socket
import struct
import threading
import time

RESET = struct.pack("ii", 1, 0)


def pump(source, target):
    try:
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one end was reset: reset the other
        for end in (source, target):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RD)
            end.close()


def echo(connection):
    try:
        while chunk := connection.recv(1 << 16):
            connection.sendall(chunk)
    except OSError:
        pass
    connection.close()


def datagrams(host, count, pause_us, report):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.settimeout(1.0)
    back = []
    sent = threading.Event()

    def listen():
        while True:
            finished = sent.is_set()
            try:
                back.append(int(sender.recv(2048).split()[0]))
            except TimeoutError:
                if finished:
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    for number in range(count):
        sender.sendto(b"%d " % number + b"." * 100, (host, 7001))
        time.sleep(pause_us / 1e6)
    sent.set()
    listener.join()
    report.sendall(" ".join(map(str, back)).encode())
    report.close()


def control(connection):
    line = b""
    while not line.endswith(b"\n"):
        line += connection.recv(1)
    command, host, *numbers = line.decode().split()
    if command == "udp":
        datagrams(host, *map(int, numbers), connection)
        return
    if command == "heard":
        connection.sendall(str(heard).encode())
        connection.close()
        return
    try:
        onward = socket.create_connection((host, 7000), timeout=1)
    except OSError as error:
        connection.sendall(f"{type(error).__name__}\n".encode())
        connection.close()
        return
    onward.settimeout(None)
    onward.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b"connected\n")
    threading.Thread(target=pump, args=(onward, connection), daemon=True).start()
    pump(connection, onward)


def serve(port, handle):
    listener = socket.create_server(("", port), backlog=64)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=handle, args=(connection,), daemon=True).start()


threading.Thread(target=serve, args=(7000, echo), daemon=True).start()
threading.Thread(target=serve, args=(7002, control), daemon=True).start()
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind(("", 7001))
heard = 0
while True:
    content, sender = sink.recvfrom(2048)
    heard += 1
    sink.sendto(content, sender)
