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
  private final PrintStream stdin;
  private final BufferedReader answers;
  private final Struct output;

  private Fixture(List<String> flags) throws IOException {
    List<String> command = new ArrayList<>(List.of(binary().toString()));
    command.addAll(flags);
    process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    stdin = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
    answers = process.inputReader(StandardCharsets.UTF_8);
    Struct.Builder line = Struct.newBuilder();
    JsonFormat.parser().merge(answers.readLine(), line);
    output = line.build();
  }

  /** The fixture of all tests, which run sequentially. It ends with this process. */
  static synchronized Fixture shared() throws IOException {
    if (shared == null) {
      shared = start();
    }
    return shared;
  }

  /** Starts a fixture. Tests are skipped if there is none and TICKETING_FIXTURE is unset, when a user installs the package. */
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

  /** A value of its output. */
  String text(String name) {
    return output.getFieldsOrThrow(name).getStringValue();
  }

  String token(String role) {
    return output.getFieldsOrThrow("tokens").getStructValue().getFieldsOrThrow(role).getStringValue();
  }

  String jira(String name) {
    return output.getFieldsOrThrow("jira").getStructValue().getFieldsOrThrow(name).getStringValue();
  }

  /** Sends a command and waits until it is done. */
  synchronized void command(String command) throws IOException {
    stdin.println(command);
    assertEquals("{\"done\":\"" + command + "\"}", answers.readLine());
  }

  /** The number of connections that the relay has accepted. */
  synchronized int connections() throws IOException {
    stdin.println("relay connections");
    return Integer.parseInt(answers.readLine().replaceAll("\\D", ""));
  }

  TicketingClient client() {
    return TicketingClient.connect(address(), token("admin"));
  }

  @Override
  public void close() {
    stdin.close();
    try {
      process.waitFor();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
