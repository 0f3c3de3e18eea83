"""Prints the value of each record of a topic, one a line, up to the end of each partition. Arguments: brokers, topic."""

import sys

from confluent_kafka import Consumer, KafkaError, TopicPartition

brokers, topic = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": brokers,
    "group.id": f"{topic}-values",
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
})
found = consumer.list_topics(topic, timeout=30).topics[topic]
if found.error is not None:
    sys.exit(str(found.error))
partitions = set(found.partitions)
consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
out = sys.stdout.buffer
while partitions:
    for message in consumer.consume(num_messages=10_000, timeout=1.0):
        error = message.error()
        if error is None:
            out.write(message.value() + b"\n")
        elif error.code() == KafkaError._PARTITION_EOF:
            partitions.discard(message.partition())
        else:
            sys.exit(str(error))
consumer.close()
