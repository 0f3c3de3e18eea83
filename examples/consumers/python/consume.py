"""Reads a topic of events until nothing came for ten seconds, and says how many they were.

Arguments: brokers, topic, group. Needs confluent-kafka.
"""

import sys
import time

from confluent_kafka import Consumer, TopicPartition

QUIET = 10.0

brokers, topic, group = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": brokers,
    "group.id": group,
    # librdkafka's default, written down since all depends on it.
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    # The position is committed by hand, once events were worked on: what is read again after a crash is known by its event id.
    "enable.auto.commit": False,
})
consumer.subscribe([topic])

records, distinct, last = 0, set(), time.monotonic()
try:
    while time.monotonic() - last < QUIET:
        messages = consumer.consume(num_messages=1000, timeout=0.5)
        for message in messages:
            if message.error():
                raise SystemExit(str(message.error()))
            records += 1
            distinct.add(message.value())
            last = time.monotonic()
        if messages:
            consumer.commit(asynchronous=False)
    # The high watermark is beyond the last event: each transaction leaves a marker, which has an offset and is never delivered.
    markers = 0
    for place in consumer.position(consumer.assignment()):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, place.partition))
        markers += high - place.offset if place.offset >= 0 else 0
    print(f"records={records} distinct={len(distinct)} beyond={markers}")
finally:
    consumer.close()
