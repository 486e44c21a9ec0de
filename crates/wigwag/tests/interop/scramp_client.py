"""Logs in to a broker over MQTT 5 with SCRAM-SHA-256, once in CONNECT and once more while connected.

The SCRAM is scramp's; the few packets of MQTT are put together and taken apart here. `line USER PASSWORD` prints
a line for a password file instead, `login PORT USER PASSWORD` prints the Reason Code of each answer.
"""

import base64
import socket
import struct
import sys

from scramp import ScramClient, ScramException, ScramMechanism

MECHANISM = "SCRAM-SHA-256"
CONNACK, AUTH = 0x20, 0xF0
CONTINUE, RE_AUTHENTICATE = 0x18, 0x19
METHOD, DATA = 0x15, 0x16
# Properties of CONNACK before those two: how long the value is, or that it says so itself.
LENGTHS = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}


def line(user, password):
    salt, stored_key, server_key, iterations = ScramMechanism(MECHANISM).make_auth_info(password)
    salt, stored_key, server_key = (
        base64.b64encode(part).decode() for part in (salt, stored_key, server_key)
    )
    print(f"{user}:{MECHANISM}${iterations}:{salt}${stored_key}:{server_key}")


def field(data):
    return struct.pack(">H", len(data)) + data


def properties(data):
    return bytes([METHOD]) + field(MECHANISM.encode()) + bytes([DATA]) + field(data.encode())


def packet(first_byte, body):
    return bytes([first_byte]) + with_length(body)


def with_length(data):
    assert len(data) < 16384
    low, high = len(data) & 0x7F, len(data) >> 7
    return bytes([low | 0x80, high] if high else [low]) + data


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.socket.makefile("rb")

    def connect(self, data):
        header = field(b"MQTT") + bytes([5, 2]) + struct.pack(">H", 60)
        body = header + with_length(properties(data)) + field(b"scramp")
        self.socket.sendall(packet(0x10, body))

    def auth(self, reason, data):
        self.socket.sendall(packet(AUTH, bytes([reason]) + with_length(properties(data))))

    def receive(self):
        """First byte, Reason Code and Authentication Data of the next packet."""
        first_byte = self.file.read(1)[0]
        body = self.file.read(self.variable_length())
        reason = body[1] if first_byte == CONNACK else body[0]
        rest = body[2:] if first_byte == CONNACK else body[1:]
        print(f"{first_byte:02x} {reason:02x}", flush=True)
        return reason, authentication_data(rest)

    def variable_length(self):
        length = shift = 0
        while True:
            byte = self.file.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return length


def authentication_data(rest):
    at = 1 if rest and rest[0] < 0x80 else 2
    while at < len(rest):
        identifier, at = rest[at], at + 1
        if identifier in LENGTHS:
            at += LENGTHS[identifier]
            continue
        (length,) = struct.unpack_from(">H", rest, at)
        value, at = rest[at + 2 : at + 2 + length], at + 2 + length
        if identifier == METHOD:
            assert value == MECHANISM.encode(), value
        if identifier == DATA:
            return value.decode()
    return None


def exchange(connection, begin, user, password):
    client = ScramClient([MECHANISM], user, password)
    begin(client.get_client_first())
    reason, data = connection.receive()
    if reason != CONTINUE:
        return False
    client.set_server_first(data)
    connection.auth(CONTINUE, client.get_client_final())
    reason, data = connection.receive()
    if reason != 0:
        return False
    client.set_server_final(data)
    return True


def login(port, user, password):
    connection = Connection(int(port))
    if exchange(connection, connection.connect, user, password):
        exchange(connection, lambda data: connection.auth(RE_AUTHENTICATE, data), user, password)


PARTS = {"line": line, "login": login}

if __name__ == "__main__":
    try:
        PARTS[sys.argv[1]](*sys.argv[2:])
        print("ok")
    except ScramException as error:
        print(f"scramp refuses: {error}")
