"""A line to a server of HTTP that writes down what goes through it.

    line.py PORT LOG    stands before the server on that port of the loopback address, prints its own
                        port, and adds to LOG a line for each request: method, path, bytes of the body

It ends when its standard input does.
"""

import socket
import sys
import threading

PIECE = 1 << 18


def length_of(head):
    """The method and path of a request, and how long its body is."""
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
        if name.lower() == "transfer-encoding":
            sys.exit(f"line.py: cannot count the body of {method} {path}: {line}")
    return method, path, length


def note(log, head):
    method, path, length = length_of(head)
    log.write(f"{method}\t{path}\t{length}\n")
    return length


def pump_requests(client, server, log):
    """From the client to the server, request by request."""
    head, rest = b"", 0
    while piece := client.recv(PIECE):
        server.sendall(piece)
        while piece:
            if rest:
                body, piece = piece[:rest], piece[rest:]
                rest -= len(body)
                continue
            head += piece
            end = head.find(b"\r\n\r\n")
            if end < 0:
                break
            piece = head[end + 4 :]
            rest = note(log, head[:end])
            head = b""
    server.shutdown(socket.SHUT_WR)


def pump_answers(server, client):
    try:
        while piece := server.recv(PIECE):
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # The client did not wait for the end.


def serve(client, port, log):
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = threading.Thread(target=pump_answers, args=(server, client))
        answers.start()
        try:
            pump_requests(client, server, log)
        except OSError:
            pass  # The server hung up, and the client has been told.
        answers.join()


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    log = open(path, "a", buffering=1)

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, port, log), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


main()
