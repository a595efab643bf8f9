import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Prints what a topic holds for a reader of the given isolation level, one line a record: partition, id and body. Kafka's own client. */
class ReadCommitted {
  public static void main(String[] args) {
    var settings = new Properties();
    settings.put("bootstrap.servers", args[0]);
    settings.put("isolation.level", args[2]);
    var bytes = new ByteArrayDeserializer();
    try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
      var partitions = new ArrayList<TopicPartition>();
      for (var each : consumer.partitionsFor(args[1])) partitions.add(new TopicPartition(args[1], each.partition()));
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      var ends = consumer.endOffsets(partitions);
      while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue()))
        for (var record : consumer.poll(Duration.ofMillis(200)))
          System.out.println(record.partition() + "\t" + new String(record.headers().lastHeader("dstream-id").value()) + "\t" + new String(record.value()));
    }
  }
}
