"""
The other end of an exchange, played by scramp: one message a line, in on standard input and out on standard
output. Says which part it plays with its first argument; the last line is 'ok', or 'refused' and why.

It owns no credentials: user, password, salt and iteration count are arguments.
"""

import sys

from scramp import ScramClient, ScramException, ScramMechanism

MECHANISM = "SCRAM-SHA-256"


def say(line):
    print(line, flush=True)


def hear():
    return sys.stdin.readline().rstrip("\n")


def play_client(user, password):
    client = ScramClient([MECHANISM], user, password)
    say(client.get_client_first())
    client.set_server_first(hear())
    say(client.get_client_final())
    client.set_server_final(hear())


def play_server(user, password, salt, iterations):
    mechanism = ScramMechanism(MECHANISM)
    info = mechanism.make_auth_info(password, iteration_count=int(iterations), salt=salt.encode())
    server = mechanism.make_server({user: info}.__getitem__)
    server.set_client_first(hear())
    say(server.get_server_first())
    server.set_client_final(hear())
    say(server.get_server_final())


def show_credentials(password, salt, iterations):
    mechanism = ScramMechanism(MECHANISM)
    _, stored_key, server_key, _ = mechanism.make_auth_info(
        password, iteration_count=int(iterations), salt=salt.encode()
    )
    say(stored_key.hex())
    say(server_key.hex())


PARTS = {"client": play_client, "server": play_server, "credentials": show_credentials}

if __name__ == "__main__":
    try:
        PARTS[sys.argv[1]](*sys.argv[2:])
        say("ok")
    except ScramException as error:
        say(f"refused {error}")
