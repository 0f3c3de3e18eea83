"""Reads events with Airship's official Python client, unchanged, and says what came.

    python3 -m venv target/official_clients/python
    target/official_clients/python/bin/pip install uaconnect==1.0.2
    target/official_clients/python/bin/python tests/official_clients/read.py http://127.0.0.1:8080 1000

Arguments: base address without a path, number of events, optionally the token. Prints one line of JSON; `ids_sha256`
is over the ids in order of arrival, each followed by a line feed. Exit code: 0, or 1 if an event came twice or its
offset did not rise, or 2 after a minute without all events.
"""

import hashlib
import json
import signal
import sys

import uaconnect


class MemoryRecorder(uaconnect.Recorder):
    """The client's own recorders write a file for each event."""

    offset = None

    def read_offset(self):
        return self.offset

    def write_offset(self, offset):
        self.offset = offset


def main():
    base, count = sys.argv[1], int(sys.argv[2])
    token = sys.argv[3] if len(sys.argv) > 3 else "token"
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(2))
    signal.alarm(60)

    # The client joins this with "api/events", so the slash must be there.
    consumer = uaconnect.EventConsumer("app", token, MemoryRecorder(), url=base.rstrip("/") + "/")
    # connect() without arguments always raises in 1.0.2.
    consumer.connect(start="EARLIEST")

    digest, ids, types, offsets, keep_alives = hashlib.sha256(), set(), set(), [], 0
    for event in consumer.read():
        if event is None:
            keep_alives += 1
            continue
        # Each event is acknowledged before the next is read: ack() fails otherwise.
        consumer.ack(event)
        digest.update(event.id.encode() + b"\n")
        ids.add(event.id)
        types.add(event.event_type)
        offsets.append(int(event.offset))
        if len(offsets) == count:
            break
    consumer.connection.close()

    rising = all(left < right for left, right in zip(offsets, offsets[1:]))
    print(
        json.dumps(
            {
                "client": "uaconnect",
                "events": len(offsets),
                "ids": len(ids),
                "types": len(types),
                "keep_alives": keep_alives,
                "offsets_rise": rising,
                "ids_sha256": digest.hexdigest(),
            }
        )
    )
    return 0 if len(ids) == count and rising else 1


if __name__ == "__main__":
    sys.exit(main())
