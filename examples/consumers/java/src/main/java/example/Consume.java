package example;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads a topic of events until nothing came for ten seconds, and says how many they were. Arguments: brokers, topic, group. */
public final class Consume {
    private static final Duration QUIET = Duration.ofSeconds(10);

    public static void main(String[] arguments) {
        Properties properties = new Properties();
        properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        properties.put(ConsumerConfig.GROUP_ID_CONFIG, arguments[2]);
        // Without this line records of transactions that were aborted are read as well: the default is read_uncommitted.
        properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        // The position is committed by hand, once records were worked on: what is read again after a crash is known by its event id.
        properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        properties.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class.getName());
        // The event's bytes as the service sent them, JSON in UTF-8.
        properties.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class.getName());

        long records = 0;
        Set<String> distinct = new HashSet<>();
        try (KafkaConsumer<String, byte[]> consumer = new KafkaConsumer<>(properties)) {
            consumer.subscribe(List.of(arguments[1]));
            long last = System.nanoTime();
            while (System.nanoTime() - last < QUIET.toNanos()) {
                for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    records++;
                    distinct.add(new String(record.value(), StandardCharsets.UTF_8));
                    last = System.nanoTime();
                }
                consumer.commitSync();
            }
            // With read_committed this is the distance to the last stable offset, so an open transaction is not in it.
            long lag = 0;
            for (TopicPartition partition : consumer.assignment()) {
                lag += consumer.currentLag(partition).orElse(0);
            }
            System.out.println("records=" + records + " distinct=" + distinct.size() + " lag=" + lag);
        }
    }
}
