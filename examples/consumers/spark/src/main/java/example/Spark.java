package example;

import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Reads what is in a topic of events with Spark, and says how many they were. Arguments: brokers, topic. */
public final class Spark {
    public static void main(String[] arguments) {
        SparkSession spark = SparkSession.builder().appName("events").getOrCreate();
        spark.sparkContext().setLogLevel("ERROR");
        Dataset<Row> events = spark.read()
            .format("kafka")
            .option("kafka.bootstrap.servers", arguments[0])
            .option("subscribe", arguments[1])
            // What begins with `kafka.` is the client's; its default is read_uncommitted, and Spark does not change it.
            .option("kafka.isolation.level", "read_committed")
            .option("startingOffsets", "earliest")
            .load()
            .selectExpr("CAST(key AS STRING)", "CAST(value AS STRING)", "timestamp");
        long distinct = events.select("value").distinct().count();
        System.out.println("records=" + events.count() + " distinct=" + distinct);
        spark.stop();
    }
}
