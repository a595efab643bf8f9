import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.microsoft.sqlserver.jdbc.ISQLServerBulkData;
import com.microsoft.sqlserver.jdbc.SQLServerBulkCopy;
import com.microsoft.sqlserver.jdbc.SQLServerBulkCopyOptions;
import com.microsoft.sqlserver.jdbc.SQLServerDataSource;
import com.microsoft.sqlserver.jdbc.SQLServerDataTable;
import com.microsoft.sqlserver.jdbc.SQLServerException;
import com.microsoft.sqlserver.jdbc.SQLServerPreparedStatement;
import com.microsoft.sqlserver.jdbc.SQLServerResultSet;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.temporal.ChronoField;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/**
 * Plays scenarios with mssql-jdbc: one request a line on standard input, what it saw a line on standard output. The shapes are those
 * of scenario.ts.
 */
public final class Conformance {
  static final class Target {
    String host, user, password, database, encryption, certificate;
    int port;
  }

  static final class Parameter {
    String name, type, text;
    boolean output;
    Table table;

    String base() {
      return type.replaceFirst("\\(.*", "");
    }

    int precision() {
      var match = Pattern.compile("\\((\\d+)").matcher(type);
      return match.find() ? Integer.parseInt(match.group(1)) : 0;
    }

    int scale() {
      var match = Pattern.compile("\\((?:\\d+,\\s*)?(\\d+)\\)").matcher(type);
      return match.find() ? Integer.parseInt(match.group(1)) : 0;
    }
  }

  static class Rows {
    List<Parameter> columns;
    List<List<String>> rows;
  }

  static final class Table extends Rows {
    String name;
  }

  static final class Turn {
    List<Parameter> parameters;
  }

  static final class Step extends Rows {
    String cursor;
    List<String> moves;
    String sql, isolation, procedure, table;
    List<Parameter> parameters, arguments;
    List<String> options;
    List<Turn> runs;
    @com.google.gson.annotations.SerializedName("do")
    String kind;
  }

  static final class Scenario {
    List<Step> steps;
  }

  static final class Request {
    Target target;
    Scenario scenario;
  }

  static final class Set {
    List<String> columns = new ArrayList<>();
    List<List<String>> rows = new ArrayList<>();
  }

  static final class Failure {
    Integer number, state, severity, line;
    String message;
  }

  static final class Seen {
    List<Set> sets = new ArrayList<>();
    Integer affected, returned;
    List<Failure> errors = new ArrayList<>();
    List<String> messages = new ArrayList<>();
    Map<String, String> outputs;
    Map<String, Integer> cancelled;
  }

  static final class Played {
    Failure refused;
    List<Seen> steps = new ArrayList<>();
  }

  private static final Pattern MARK = Pattern.compile("@p\\d+\\b");

  public static void main(String[] args) throws Exception {
    Gson gson = new GsonBuilder().serializeNulls().create();
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line; (line = lines.readLine()) != null; ) {
      JsonObject answer = gson.toJsonTree(play(gson.fromJson(line, Request.class))).getAsJsonObject();
      if (answer.get("refused").isJsonNull()) answer.remove("refused");
      answer.getAsJsonArray("steps").forEach(step -> dropNull(step.getAsJsonObject(), "cancelled", "outputs"));
      out.println(answer);
    }
  }

  private static void dropNull(JsonObject object, String... names) {
    for (String name : names) if (object.get(name).isJsonNull()) object.remove(name);
  }

  private static Played play(Request request) {
    Played played = new Played();
    Target target = request.target;
    var source = new SQLServerDataSource();
    source.setServerName(target.host);
    source.setPortNumber(target.port);
    source.setDatabaseName(target.database);
    source.setUser(target.user);
    source.setPassword(target.password);
    source.setLoginTimeout(20);
    source.setSendTimeAsDatetime(false);
    source.setSelectMethod(System.getProperty("selectMethod", "direct"));
    source.setEncrypt(Map.of("login", "false", "all", "true", "strict", "strict").get(target.encryption));
    if (target.encryption.equals("strict")) source.setServerCertificate(target.certificate);
    else source.setTrustServerCertificate(true);
    try (Connection connection = source.getConnection()) {
      for (Step step : request.scenario.steps) play(connection, step, played.steps);
      if (!connection.getAutoCommit()) connection.rollback();
    } catch (SQLException failed) {
      if (played.steps.isEmpty()) played.refused = told(failed);
      else played.steps.get(played.steps.size() - 1).errors.add(told(failed));
    }
    return played;
  }

  private static void play(Connection connection, Step step, List<Seen> steps) throws SQLException {
    Seen seen = new Seen();
    if (!step.kind.equals("prepared")) steps.add(seen);
    try {
      switch (step.kind) {
        case "batch" -> {
          if (step.parameters == null) {
            try (Statement statement = connection.createStatement()) {
              read(statement, seen, () -> statement.execute(step.sql));
            }
          } else {
            try (var statement = prepare(connection, step.sql)) {
              bind(statement, step.parameters);
              read(statement, seen, statement::execute);
            }
          }
        }
        case "prepared" -> {
          try (var statement = prepare(connection, step.sql)) {
            for (Turn turn : step.runs) {
              seen = new Seen();
              steps.add(seen);
              bind(statement, turn.parameters);
              read(statement, seen, statement::execute);
            }
          }
        }
        case "scroll" -> scroll(connection, step, seen);
        case "bulk" -> bulk(connection, step, seen);
        case "call" -> call(connection, step, seen);
        case "cancel" -> cancel(connection, step.sql, seen);
        case "describe" -> describe(connection, step.sql, seen);
        case "begin" -> begin(connection, step.isolation);
        case "commit" -> {
          connection.commit();
          connection.setAutoCommit(true);
        }
        case "rollback" -> {
          connection.rollback();
          connection.setAutoCommit(true);
        }
        default -> throw new SQLException("unknown step " + step.kind);
      }
    } catch (SQLException failed) {
      seen.errors.add(told(failed));
    }
  }

  private static void begin(Connection connection, String isolation) throws SQLException {
    if (isolation != null) {
      connection.setTransactionIsolation(
          switch (isolation) {
            case "repeatable read" -> Connection.TRANSACTION_REPEATABLE_READ;
            case "serializable" -> Connection.TRANSACTION_SERIALIZABLE;
            case "snapshot" -> com.microsoft.sqlserver.jdbc.SQLServerConnection.TRANSACTION_SNAPSHOT;
            default -> Connection.TRANSACTION_READ_COMMITTED;
          });
    }
    connection.setAutoCommit(false);
  }

  private static void scroll(Connection connection, Step step, Seen seen) throws SQLException {
    int type =
        switch (step.cursor) {
          case "keyset" -> SQLServerResultSet.TYPE_SS_SCROLL_KEYSET;
          case "dynamic" -> SQLServerResultSet.TYPE_SS_SCROLL_DYNAMIC;
          default -> ResultSet.TYPE_SCROLL_INSENSITIVE;
        };
    int concurrency = step.cursor.equals("static") ? ResultSet.CONCUR_READ_ONLY : ResultSet.CONCUR_UPDATABLE;
    Set set = new Set();
    seen.sets.add(set);
    try (Statement statement = connection.createStatement(type, concurrency);
        ResultSet results = statement.executeQuery(step.sql)) {
      int count = results.getMetaData().getColumnCount();
      for (int i = 1; i <= count; i++) set.columns.add(results.getMetaData().getColumnLabel(i));
      for (String move : step.moves) {
        List<String> row = new ArrayList<>();
        if (move(results, move)) {
          for (int i = 1; i <= count; i++) row.add(text(results.getObject(i)));
        } else row.add(null);
        set.rows.add(row);
      }
    }
  }

  /** Whether it leads to a row. */
  private static boolean move(ResultSet results, String move) throws SQLException {
    String[] words = move.split(" ", 2);
    switch (words[0]) {
      case "first":
        return results.first();
      case "last":
        return results.last();
      case "previous":
        return results.previous();
      case "absolute":
        return results.absolute(Integer.parseInt(words[1]));
      case "relative":
        return results.relative(Integer.parseInt(words[1]));
      case "refresh":
        results.refreshRow();
        return true;
      case "update":
        String[] change = words[1].split("=");
        results.updateString(change[0], change[1]);
        results.updateRow();
        return true;
      case "delete":
        results.deleteRow();
        return false;
      case "insert":
        String[] values = words[1].split(",");
        results.moveToInsertRow();
        for (int i = 0; i < values.length; i++) results.updateString(i + 1, values[i]);
        results.insertRow();
        results.moveToCurrentRow();
        return true;
      default:
        return results.next();
    }
  }

  private static void bulk(Connection connection, Step step, Seen seen) throws SQLException {
    var options = new SQLServerBulkCopyOptions();
    List<String> asked = step.options == null ? List.of() : step.options;
    options.setCheckConstraints(asked.contains("CHECK_CONSTRAINTS"));
    options.setKeepNulls(asked.contains("KEEP_NULLS"));
    options.setTableLock(asked.contains("TABLOCK"));
    try (var copy = new SQLServerBulkCopy(connection)) {
      copy.setBulkCopyOptions(options);
      copy.setDestinationTableName(step.table);
      for (Parameter column : step.columns) copy.addColumnMapping(column.name, column.name);
      copy.writeToServer(new BulkRows(step));
      seen.affected = step.rows.size();
    }
  }

  /** Rows as the driver's bulk copy reads them, the columns counted from 1. */
  record BulkRows(Rows source, java.util.Iterator<List<String>> rows, List<List<String>> current)
      implements ISQLServerBulkData {
    BulkRows(Rows source) {
      this(source, source.rows.iterator(), new ArrayList<>());
    }

    public java.util.Set<Integer> getColumnOrdinals() {
      var ordinals = new java.util.LinkedHashSet<Integer>();
      for (int i = 1; i <= source.columns.size(); i++) ordinals.add(i);
      return ordinals;
    }

    public String getColumnName(int column) {
      return source.columns.get(column - 1).name;
    }

    public int getColumnType(int column) {
      return sqlType(source.columns.get(column - 1));
    }

    // A datetime2's digits are those of the fraction: more than a datetime has are refused.
    public int getPrecision(int column) {
      Parameter type = source.columns.get(column - 1);
      return type.base().equals("datetime") ? 23 : type.precision();
    }

    public int getScale(int column) {
      Parameter type = source.columns.get(column - 1);
      return type.base().equals("datetime") ? 3 : type.scale();
    }

    public Object[] getRowData() {
      return values(source, current.get(0));
    }

    public boolean next() {
      current.clear();
      if (!rows.hasNext()) return false;
      return current.add(rows.next());
    }
  }

  private static int sqlType(Parameter column) {
    return switch (column.base()) {
      case "int" -> Types.INTEGER;
      case "bit" -> Types.BIT;
      case "decimal" -> Types.DECIMAL;
      case "datetime" -> Types.TIMESTAMP;
      default -> Types.NVARCHAR;
    };
  }

  private static Object[] values(Rows source, List<String> row) {
    var values = new Object[row.size()];
    for (int i = 0; i < values.length; i++) {
      String text = row.get(i);
      if (text == null) continue;
      values[i] =
          switch (source.columns.get(i).base()) {
            case "int" -> Integer.valueOf(text);
            case "bit" -> text.equals("1");
            case "decimal" -> new BigDecimal(text);
            case "datetime" -> java.sql.Timestamp.valueOf(LocalDateTime.parse(text));
            default -> text;
          };
    }
    return values;
  }

  private static PreparedStatement prepare(Connection connection, String sql) throws SQLException {
    return connection.prepareStatement(MARK.matcher(sql).replaceAll("?"));
  }

  interface Start {
    boolean run() throws SQLException;
  }

  /** Reads results, counts and errors to the end: the driver goes on after an error with getMoreResults. */
  private static void read(Statement statement, Seen seen, Start start) throws SQLException {
    boolean first = true;
    for (; ; ) {
      try {
        boolean isSet = first ? start.run() : statement.getMoreResults();
        first = false;
        if (isSet) {
          try (ResultSet results = statement.getResultSet()) {
            read(results, seen);
          }
        } else {
          int count = statement.getUpdateCount();
          if (count == -1) break;
          seen.affected = count;
        }
      } catch (SQLException failed) {
        first = false;
        seen.errors.add(told(failed));
        if (failed.getErrorCode() == 0 || statement.isClosed() || statement.getConnection().isClosed()) break;
      }
    }
    for (SQLWarning warning = statement.getWarnings(); warning != null; warning = warning.getNextWarning()) {
      seen.messages.add(warning.getMessage());
    }
  }

  private static void read(ResultSet results, Seen seen) throws SQLException {
    Set set = new Set();
    seen.sets.add(set);
    ResultSetMetaData columns = results.getMetaData();
    for (int i = 1; i <= columns.getColumnCount(); i++) set.columns.add(columns.getColumnLabel(i));
    while (results.next()) {
      List<String> row = new ArrayList<>();
      for (int i = 1; i <= columns.getColumnCount(); i++) {
        row.add(text(results, i, columns.getColumnTypeName(i), columns.getScale(i)));
      }
      set.rows.add(row);
    }
  }

  private static String text(ResultSet results, int i, String type, int scale) throws SQLException {
    switch (type) {
      case "date": {
        LocalDate date = results.getObject(i, LocalDate.class);
        return date == null ? null : date.toString();
      }
      case "time": {
        LocalTime time = results.getObject(i, LocalTime.class);
        return time == null ? null : time.format(format("HH:mm:ss", scale));
      }
      case "smalldatetime":
      case "datetime":
      case "datetime2": {
        LocalDateTime time = results.getObject(i, LocalDateTime.class);
        int digits = type.equals("datetime2") ? scale : type.equals("datetime") ? 3 : 0;
        return time == null ? null : time.format(format("uuuu-MM-dd'T'HH:mm:ss", digits));
      }
      case "datetimeoffset": {
        OffsetDateTime time = results.getObject(i, OffsetDateTime.class);
        return time == null
            ? null
            : time.format(format("uuuu-MM-dd'T'HH:mm:ss", scale)) + time.format(DateTimeFormatter.ofPattern("xxx"));
      }
      default:
        return text(results.getObject(i));
    }
  }

  private static DateTimeFormatter format(String pattern, int digits) {
    var builder = new DateTimeFormatterBuilder().appendPattern(pattern);
    if (digits > 0) builder.appendFraction(ChronoField.NANO_OF_SECOND, digits, digits, true);
    return builder.toFormatter(Locale.ROOT);
  }

  private static String text(Object value) {
    if (value == null) return null;
    if (value instanceof Boolean flag) return flag ? "1" : "0";
    if (value instanceof byte[] bytes) return "0x" + HexFormat.of().withUpperCase().formatHex(bytes);
    if (value instanceof BigDecimal decimal) return decimal.toPlainString();
    if (value instanceof java.sql.Timestamp time) {
      return time.toLocalDateTime().format(format("uuuu-MM-dd'T'HH:mm:ss", 3));
    }
    return value.toString();
  }

  private static void bind(PreparedStatement plain, List<Parameter> parameters) throws SQLException {
    var statement = plain.unwrap(SQLServerPreparedStatement.class);
    for (int i = 0; i < parameters.size(); i++) bind(statement, i + 1, parameters.get(i));
  }

  private static void bind(SQLServerPreparedStatement statement, int i, Parameter parameter) throws SQLException {
    if (parameter.table != null) {
      var table = new SQLServerDataTable();
      for (Parameter column : parameter.table.columns) table.addColumnMetadata(column.name, sqlType(column));
      for (List<String> row : parameter.table.rows) table.addRow(values(parameter.table, row));
      statement.setStructured(i, parameter.table.name, table);
      return;
    }
    String text = parameter.text;
    switch (parameter.base()) {
      case "bit" -> statement.setObject(i, text == null ? null : text.equals("1"), Types.BIT);
      case "tinyint" -> statement.setObject(i, text == null ? null : Short.valueOf(text), Types.TINYINT);
      case "smallint" -> statement.setObject(i, text == null ? null : Short.valueOf(text), Types.SMALLINT);
      case "int" -> statement.setObject(i, text == null ? null : Integer.valueOf(text), Types.INTEGER);
      case "bigint" -> statement.setObject(i, text == null ? null : Long.valueOf(text), Types.BIGINT);
      case "float" -> statement.setObject(i, text == null ? null : Double.valueOf(text), Types.DOUBLE);
      case "real" -> statement.setObject(i, text == null ? null : Float.valueOf(text), Types.REAL);
      case "decimal", "numeric" -> statement.setObject(
          i, text == null ? null : new BigDecimal(text), Types.DECIMAL, 38, parameter.scale());
      case "money" -> statement.setMoney(i, text == null ? null : new BigDecimal(text));
      case "smallmoney" -> statement.setSmallMoney(i, text == null ? null : new BigDecimal(text));
      case "date" -> statement.setObject(i, text == null ? null : LocalDate.parse(text), Types.DATE);
      case "time" -> statement.setObject(i, text == null ? null : LocalTime.parse(text), Types.TIME);
      case "datetime" -> statement.setObject(
          i, text == null ? null : java.sql.Timestamp.valueOf(LocalDateTime.parse(text)), microsoft.sql.Types.DATETIME);
      case "smalldatetime" -> statement.setObject(
          i,
          text == null ? null : java.sql.Timestamp.valueOf(LocalDateTime.parse(text)),
          microsoft.sql.Types.SMALLDATETIME);
      case "datetime2" -> statement.setObject(i, text == null ? null : LocalDateTime.parse(text), Types.TIMESTAMP);
      case "datetimeoffset" -> statement.setObject(
          i, text == null ? null : OffsetDateTime.parse(text), Types.TIMESTAMP_WITH_TIMEZONE);
      case "char", "varchar" -> statement.setObject(i, text, Types.VARCHAR);
      case "text" -> statement.setObject(i, text, Types.LONGVARCHAR);
      case "nchar", "nvarchar" -> statement.setNString(i, text);
      case "ntext" -> statement.setObject(i, text, Types.LONGNVARCHAR);
      case "xml" -> {
        var xml = statement.getConnection().createSQLXML();
        if (text == null) statement.setNull(i, Types.SQLXML);
        else {
          xml.setString(text);
          statement.setSQLXML(i, xml);
        }
      }
      case "uniqueidentifier" -> statement.setUniqueIdentifier(i, text);
      case "binary", "varbinary", "image" -> statement.setBytes(
          i, text == null ? null : HexFormat.of().parseHex(text.substring(2)));
      default -> throw new SQLException("no parameter of type " + parameter.type);
    }
  }

  private static void call(Connection connection, Step step, Seen seen) throws SQLException {
    var text = new StringBuilder("{? = call " + step.procedure + "(");
    for (int i = 0; i < step.arguments.size(); i++) text.append(i == 0 ? "?" : ", ?");
    try (CallableStatement statement = connection.prepareCall(text.append(")}").toString())) {
      statement.registerOutParameter(1, Types.INTEGER);
      for (int i = 0; i < step.arguments.size(); i++) {
        Parameter argument = step.arguments.get(i);
        if (argument.output) statement.registerOutParameter(i + 2, Types.INTEGER);
        else bind(statement.unwrap(SQLServerPreparedStatement.class), i + 2, argument);
      }
      read(statement, seen, statement::execute);
      seen.returned = statement.getInt(1);
      seen.outputs = new LinkedHashMap<>();
      for (int i = 0; i < step.arguments.size(); i++) {
        if (step.arguments.get(i).output) {
          seen.outputs.put(step.arguments.get(i).name, text(statement.getObject(i + 2)));
        }
      }
    }
  }

  private static void describe(Connection connection, String sql, Seen seen) throws SQLException {
    try (PreparedStatement statement = prepare(connection, sql)) {
      ParameterMetaData parameters = statement.getParameterMetaData();
      Set set = new Set();
      seen.sets.add(set);
      for (int i = 1; i <= parameters.getParameterCount(); i++) {
        set.rows.add(
            List.of(
                parameters.getParameterTypeName(i),
                String.valueOf(parameters.getPrecision(i)),
                String.valueOf(parameters.getScale(i))));
      }
    }
  }

  private static void cancel(Connection connection, String sql, Seen seen) throws SQLException {
    int rows = 0;
    try (Statement statement = connection.createStatement()) {
      // Messages are told when execute() comes back.
      var ended = new CountDownLatch(1);
      Thread asking =
          new Thread(
              () -> {
                try {
                  while (!ended.await(50, TimeUnit.MILLISECONDS)) statement.cancel();
                } catch (InterruptedException | SQLException ignored) {
                  // The scenario sees that nothing was cancelled.
                }
              });
      boolean first = sql.startsWith("WITH");
      if (!first) asking.start();
      try {
        if (statement.execute(sql)) {
          try (ResultSet results = statement.getResultSet()) {
            while (results.next()) if (++rows == 1 && first) asking.start();
          }
        }
        while (statement.getMoreResults() || statement.getUpdateCount() != -1) rows++;
      } catch (SQLException failed) {
        if (!failed.getMessage().contains("cancel")) throw failed;
        seen.cancelled = Map.of("rows", rows);
      } finally {
        ended.countDown();
        asking.join();
      }
    } catch (InterruptedException interrupted) {
      throw new SQLException(interrupted);
    }
  }

  private static Failure told(SQLException failed) {
    Failure failure = new Failure();
    failure.message = failed.getMessage();
    if (failed instanceof SQLServerException exception && exception.getSQLServerError() != null) {
      var error = exception.getSQLServerError();
      failure.number = error.getErrorNumber();
      failure.state = error.getErrorState();
      failure.severity = error.getErrorSeverity();
      failure.line = (int) error.getLineNumber();
      failure.message = error.getErrorMessage();
    } else if (failed.getErrorCode() != 0) {
      failure.number = failed.getErrorCode();
    }
    return failure;
  }
}
