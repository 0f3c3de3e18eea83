"""Counts events on standard input, one a line, and how many ids they have."""

import json
import sys

records, ids = 0, set()
for line in sys.stdin.buffer:
    records += 1
    ids.add(json.loads(line)["id"])
print(f"records={records} distinct={len(ids)}")
