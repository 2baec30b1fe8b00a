"""A process that asks a server about people until it is killed.

``python -m tests.bench.kill_reader PORT TOKEN SEED`` reads the questions, a
JSON list of ``[subject, body]``, from standard input, and prints one line of
JSON for each answer that has fully arrived. It imports nothing of the
platform, so that it starts at once.
"""

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Sequence

CLIENTS = 4
_HOST = "127.0.0.1"
_PAUSE = 0.05


def main(arguments: Sequence[str]) -> None:
    """Ask on."""
    port, token, seed = int(arguments[0]), arguments[1], int(arguments[2])
    questions = json.load(sys.stdin)
    writing = threading.Lock()

    def ask_on(number: int) -> None:
        draw = random.Random(seed * CLIENTS + number)  # noqa: S311 - load, not keys
        while True:
            door = http.client.HTTPConnection(_HOST, port, timeout=60)
            try:
                while True:
                    line = json.dumps(
                        _ask(door, token, *draw.choice(questions))
                    )
                    with writing:
                        sys.stdout.write(line + "\n")
                        sys.stdout.flush()
            except (OSError, http.client.HTTPException, ValueError):
                # The server, or the worker that had this connection, died.
                time.sleep(_PAUSE)
            finally:
                door.close()

    asking = [
        threading.Thread(target=ask_on, args=(number,))
        for number in range(CLIENTS)
    ]
    for one in asking:
        one.start()


def _ask(
    door: http.client.HTTPConnection, token: str, subject: str, body: str
) -> dict[str, object]:
    started = time.monotonic()
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
    }
    door.request("POST", "/v1/profile-requests", body, headers)
    answer = door.getresponse()
    text = answer.read()
    if answer.status != http.HTTPStatus.OK:
        return {"what": "refused", "status": answer.status}
    found = json.loads(text)
    return {
        "what": "answer",
        "subject": subject,
        "started": started,
        "decision": found["decision"],
        "index": found["ledger_index"],
        "promise": found["inclusion_promise"],
        "released": any(
            one["value"] is not None for one in found["attributes"].values()
        ),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
