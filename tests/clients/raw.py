"""Sends raw bytes at a proxy, whole and in pieces, and reads the answers with http.client.

    raw.py HOST PORT

Behind the proxy stands a service that answers each request with {"method", "target", "body"} as it
arrived. A connection that is to stay open is asked one thing more, so that an answer that is late or one
too many is seen, and nothing here waits for silence. Prints how many requests were served.
"""

import http.client
import io
import json
import socket
import sys
import time

HOST = b"Host: shop.example.com\r\n"
# The bytes that a refused request hides, or that follow it: nobody may ever answer them.
HIDDEN = b"GET /hidden HTTP/1.1\r\n" + HOST + b"\r\n"
PROBE = b"GET /probe HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
# Longest wait for anything, in seconds.
PATIENCE = 10


def get(target, lines=b""):
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + lines + b"\r\n"


def post(lines, body=b""):
    return b"POST /form HTTP/1.1\r\n" + HOST + lines + b"\r\n" + body


def length(body):
    return post(b"Content-Length: %d\r\n" % len(body), body)


def chunked(*chunks, end=b"0\r\n\r\n"):
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return post(b"Transfer-Encoding: chunked\r\n", pieces + end)


A, B, FORM = ("GET", "/a", ""), ("GET", "/b", ""), ("POST", "/form", "ok")

# Name, bytes, what the service gets; the connection stays open.
SERVED = [
    ("one request", get(b"/a"), [A]),
    ("two in one write", get(b"/a") + get(b"/b"), [A, B]),
    ("a length, then another", length(b"ok") + get(b"/b"), [FORM, B]),
    ("zeros before a length", post(b"Content-Length: 002\r\n", b"ok") + get(b"/b"), [FORM, B]),
    ("white space around a length", post(b"Content-Length:\t 2 \t\r\n", b"ok"), [FORM]),
    ("no length, so no body", post(b"") + get(b"/b"), [("POST", "/form", ""), B]),
    ("GET with a body", get(b"/a", b"Content-Length: 2\r\n") + b"ok", [("GET", "/a", "ok")]),
    ("chunks, then another", chunked(b"o", b"k") + get(b"/b"), [FORM, B]),
    ("a coding in capitals", post(b"transfer-encoding:CHUNKED\r\n", b"2\r\nok\r\n0\r\n\r\n"), [FORM]),
    ("zeros before a chunk's size", chunked(end=b"0002\r\nok\r\n000\r\n\r\n"), [FORM]),
    ("trailers", chunked(b"ok", end=b"0\r\nx-sum: 1\r\n\r\n") + get(b"/b"), [FORM, B]),
    ("an empty line between two", length(b"ok") + b"\r\n" + get(b"/b"), [FORM, B]),
    ("a request as a body", length(HIDDEN) + get(b"/b"), [("POST", "/form", HIDDEN.decode()), B]),
    ("a request as a chunk", chunked(HIDDEN) + get(b"/b"), [("POST", "/form", HIDDEN.decode()), B]),
    ("a coding in a value", get(b"/a", b"x: Transfer-Encoding: chunked\r\n"), [A]),
    ("an underscore in a name", get(b"/a", b"Content_Length: 99\r\n"), [A]),
    ("HEAD, then GET", get(b"/a").replace(b"GET", b"HEAD") + get(b"/b"), [("HEAD", "/a", ""), B]),
    ("100-continue", post(b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"ok"), [FORM]),
    ("absolute form", get(b"http://shop.example.com/a"), [A]),
]

# The same, and the connection ends after them, whatever follows.
LAST = [
    ("close", get(b"/a", b"Connection: close\r\n") + HIDDEN, [A]),
    ("close among others", get(b"/a", b"Connection: x, Close\r\n") + HIDDEN, [A]),
    ("HTTP/1.0", b"GET /a HTTP/1.0\r\n" + HOST + b"\r\n" + HIDDEN, [A]),
]

# Name, bytes: refused with 400 or what stands here, closed, and nothing of it served.
REFUSED = [
    ("a length and a coding", post(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")),
    ("a coding and a length", post(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"0\r\n\r\n")),
    ("chunked twice", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n")),
    ("two codings", post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n")),
    ("an unknown coding", post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n")),
    ("a tab in a coding", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n")),
    ("space before a colon", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n")),
    ("a coding in HTTP/1.0", chunked(b"ok").replace(b"1.1", b"1.0")),
    ("equal lengths", post(b"Content-Length: 2\r\nContent-Length: 2\r\n", b"ok")),
    ("other lengths", post(b"Content-Length: 0\r\nContent-Length: 55\r\n")),
    ("a list of lengths", post(b"Content-Length: 2, 2\r\n", b"ok")),
    ("a plus", post(b"Content-Length: +2\r\n", b"ok")),
    ("a minus", post(b"Content-Length: -2\r\n", b"ok")),
    ("hexadecimal", post(b"Content-Length: 0x2\r\n", b"ok")),
    ("a length past 64 bits", post(b"Content-Length: 18446744073709551618\r\n", b"ok")),
    ("an empty length", post(b"Content-Length: \r\n")),
    ("a line feed alone", get(b"/a", b"x: 1\n")),
    ("a carriage return alone", get(b"/a", b"x: 1\rContent-Length: 55\r\n")),
    ("a folded line", get(b"/a", b"x: 1\r\n Content-Length: 55\r\n")),
    ("a folded first line", b"GET /a HTTP/1.1\r\n x: 1\r\n" + HOST + b"\r\n"),
    ("a zero byte", get(b"/a", b"x: 1\x00\r\n")),
    ("no colon", get(b"/a", b"Content-Length 55\r\n")),
    ("no host", b"GET /a HTTP/1.1\r\n\r\n"),
    ("two hosts", get(b"/a", HOST)),
    ("another host in the target", get(b"http://other.example.com/a")),
    ("no version", b"GET /a\r\n" + HOST + b"\r\n"),
    ("a space in the target", get(b"/a b")),
    ("a chunk without a size", chunked(end=b"\r\nok\r\n0\r\n\r\n")),
    ("a chunk of no number", chunked(end=b"0x2\r\nok\r\n0\r\n\r\n")),
    ("a chunk of a negative size", chunked(end=b"-2\r\nok\r\n0\r\n\r\n")),
    ("a chunk past 64 bits", chunked(end=b"10000000000000002\r\nok\r\n0\r\n\r\n")),
    ("a chunk's line feed alone", chunked(end=b"2\nok\r\n0\r\n\r\n")),
    ("a chunk that goes on", chunked(end=b"2\r\nokk\r\n0\r\n\r\n")),
]


class Answers:
    """What http.client takes for a socket: one answer after the other from the same bytes."""

    def __init__(self, received):
        self.bytes = io.BytesIO(received)
        # http.client closes what it has read to the end.
        self.bytes.close = lambda: None

    def makefile(self, *_args):
        return self.bytes

    def is_empty(self):
        return self.bytes.tell() == len(self.bytes.getbuffer())

    def next(self, method):
        answer = http.client.HTTPResponse(self, method=method)
        answer.begin()
        return answer.status, answer.read()


def exchange(address, pieces):
    """Sends the pieces one by one; all bytes that come back until the other side closes."""
    with socket.create_connection(address, timeout=PATIENCE) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(0.001)  # So that two pieces are two packets, usually.
            try:
                stream.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break  # Refused before the end.
        received = b""
        while more := stream.recv(65536):
            received += more
        return received


def pieces_of(text):
    """In one write, byte by byte, and in a few of uneven length."""
    yield [text]
    yield [text[at : at + 1] for at in range(len(text))]
    yield [text[at : at + 7] for at in range(0, len(text), 7)]


def read(received, expected):
    """Why these answers are not the expected ones, if they are not."""
    answers = Answers(received)
    for method, target, body in expected:
        status, told = answers.next(method)
        if status != 200:
            return f"status {status} to {target}"
        if method != "HEAD" and json.loads(told) != {"method": method, "target": target, "body": body}:
            return f"{target} arrived as {told!r}"
    return None if answers.is_empty() else "one answer too many"


def read_refusal(received):
    answers = Answers(received)
    status, _ = answers.next("GET")
    if status != 400:
        return f"status {status}"
    return None if answers.is_empty() else "one answer too many"


def main():
    address = (sys.argv[1], int(sys.argv[2]))
    probe = [("GET", "/probe", "")]
    served, failures = 0, []
    cases = [(name, text + PROBE, expected + probe) for name, text, expected in SERVED]
    cases += LAST
    cases += [(name, text + HIDDEN, None) for name, text in REFUSED]
    for name, text, expected in cases:
        for pieces in pieces_of(text):
            served += len(expected or [])
            try:
                received = exchange(address, pieces)
                fault = read_refusal(received) if expected is None else read(received, expected)
            except (OSError, http.client.HTTPException, ValueError) as error:
                fault = repr(error)
            if fault:
                failures.append(f"{name}, in {len(pieces)} pieces: {fault}")
    print(served)
    sys.exit("\n".join(failures) or None)


main()
