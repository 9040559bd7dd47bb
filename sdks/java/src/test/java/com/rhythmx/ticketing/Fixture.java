package com.rhythmx.ticketing;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.Struct;
import com.google.protobuf.util.JsonFormat;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/** The real server with simulated ticket systems. */
final class Fixture implements AutoCloseable {
  private static Fixture shared;

  private final Process process;
  private final PrintStream orders;
  private final BufferedReader answers;
  private final Struct told;

  private Fixture(List<String> flags) throws IOException {
    List<String> command = new ArrayList<>(List.of(binary().toString()));
    command.addAll(flags);
    process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    orders = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
    answers = process.inputReader(StandardCharsets.UTF_8);
    Struct.Builder line = Struct.newBuilder();
    JsonFormat.parser().merge(answers.readLine(), line);
    told = line.build();
  }

  /** The one that the tests share; they run one after the other. It ends with this process. */
  static synchronized Fixture shared() throws IOException {
    if (shared == null) {
      shared = start();
    }
    return shared;
  }

  /** Tests are skipped if there is none and none was named: then a user is installing the package. */
  static Fixture start(String... flags) throws IOException {
    boolean named = System.getenv("TICKETING_FIXTURE") != null;
    Assumptions.assumeTrue(named || Files.isExecutable(binary()), "there is no " + binary());
    return new Fixture(List.of(flags));
  }

  static Path binary() {
    String named = System.getenv("TICKETING_FIXTURE");
    return Path.of(named != null ? named : "../../target/debug/sdk-fixture");
  }

  String address() {
    return text("address");
  }

  /** A text of what it told at its start. */
  String text(String name) {
    return told.getFieldsOrThrow(name).getStringValue();
  }

  String token(String role) {
    return told.getFieldsOrThrow("tokens").getStructValue().getFieldsOrThrow(role).getStringValue();
  }

  String jira(String name) {
    return told.getFieldsOrThrow("jira").getStructValue().getFieldsOrThrow(name).getStringValue();
  }

  /** Has it do something, and waits until it is done. */
  synchronized void order(String order) throws IOException {
    orders.println(order);
    assertEquals("{\"done\":\"" + order + "\"}", answers.readLine());
  }

  /** How many connections the relay has had. */
  synchronized int connections() throws IOException {
    orders.println("relay connections");
    return Integer.parseInt(answers.readLine().replaceAll("\\D", ""));
  }

  TicketingClient client() {
    return TicketingClient.connect(address(), token("admin"));
  }

  @Override
  public void close() {
    orders.close();
    try {
      process.waitFor();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
