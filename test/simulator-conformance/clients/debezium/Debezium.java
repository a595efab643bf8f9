import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.util.RawValue;
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;

/**
 * Runs Debezium's engine. A line with properties (JSON) starts a connector, an empty line stops it. Each event is a line
 * {"topic", "key", "value"}, the end of a connector {"ended": why}.
 */
public final class Debezium {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final PrintStream OUT =
      new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

  public static void main(String[] args) throws Exception {
    var requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    DebeziumEngine<ChangeEvent<String, String>> engine = null;
    CompletableFuture<Void> running = null;
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      if (line.isEmpty()) {
        engine.close();
        running.join();
      } else {
        engine = engine(line);
        running = CompletableFuture.runAsync(engine, task -> new Thread(task).start());
      }
    }
    // Threads of a connector that could not be stopped keep nobody waiting.
    System.exit(0);
  }

  private static DebeziumEngine<ChangeEvent<String, String>> engine(String request) throws Exception {
    var properties = new Properties();
    properties.putAll(JSON.readValue(request, Map.class));
    return DebeziumEngine.create(Json.class)
        .using(properties)
        .notifying(Debezium::tell)
        .using((success, message, error) -> ended(success ? "" : message + " " + error))
        .build();
  }

  private static void tell(ChangeEvent<String, String> event) {
    ObjectNode line = JSON.createObjectNode().put("topic", event.destination());
    line.putRawValue("key", new RawValue(String.valueOf(event.key())));
    line.putRawValue("value", new RawValue(String.valueOf(event.value())));
    print(line);
  }

  private static void ended(String why) {
    print(JSON.createObjectNode().put("ended", why));
  }

  private static synchronized void print(ObjectNode line) {
    OUT.println(line);
  }
}
