package example;

import java.util.HashSet;
import java.util.Set;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.CloseableIterator;

/** Reads what is in a topic of events with Flink, and says how many they were. Arguments: brokers, topic. */
public final class Flink {
    public static void main(String[] arguments) throws Exception {
        KafkaSource<String> source = KafkaSource.<String>builder()
            .setBootstrapServers(arguments[0])
            .setTopics(arguments[1])
            .setStartingOffsets(OffsetsInitializer.earliest())
            // Ends at what is there now; leave it out for a job that goes on.
            .setBounded(OffsetsInitializer.latest())
            // The client's default is read_uncommitted, and Flink does not change it.
            .setProperty("isolation.level", "read_committed")
            .setValueOnlyDeserializer(new SimpleStringSchema())
            .build();

        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
        // The records' timestamps are the times at which the service processed the events; across partitions they are not in order.
        WatermarkStrategy<String> watermarks = WatermarkStrategy.forMonotonousTimestamps();
        long records = 0;
        Set<String> distinct = new HashSet<>();
        try (CloseableIterator<String> events =
                environment.fromSource(source, watermarks, "events").executeAndCollect()) {
            while (events.hasNext()) {
                records++;
                distinct.add(events.next());
            }
        }
        System.out.println("records=" + records + " distinct=" + distinct.size());
    }
}
