package com.rhythmx.ticketing;

import static com.rhythmx.ticketing.Incidents.push;
import static com.rhythmx.ticketing.Refusal.failed;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.rhythmx.ticketing.v1.StreamTicketEventsRequest;
import com.rhythmx.ticketing.v1.TicketEvent;
import com.rhythmx.ticketing.v1.TicketEventKind;
import com.rhythmx.ticketing.v1.TicketingServiceGrpc;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ConnectionFailuresTest {
  private static Fixture fixture;

  @BeforeAll
  static void start() throws Exception {
    fixture = Fixture.start("--", "--bookmark-interval=300ms");
  }

  @AfterAll
  static void stop() {
    if (fixture != null) {
      fixture.close();
    }
  }

  @Behaviour("silently failed connections are replaced")
  void replacesSilentlyFailedConnection() throws Exception {
    try (TicketingClient client = shortKeepAlive();
        TicketingClient watcher = shortKeepAlive();
        Watch watch = new Watch(watcher)) {
      client.getStatus();
      fixture.command("relay drop-bytes");
      pushed("INC-swallowed");
      watch.until("INC-swallowed");
      assertEquals(2, client.getStatus().getConnectionsCount());
    }
  }

  @Behaviour("silent streams are resumed")
  void resumesSilentStreamOverNewConnection() throws Exception {
    try (TicketingClient client = shortKeepAlive();
        Watch watch = new Watch(client)) {
      int before = fixture.connections();
      fixture.command("relay drop-messages");
      pushed("INC-mute");
      watch.until("INC-mute");
      assertEquals(before + 1, fixture.connections());
    }
  }

  @Behaviour("streams ended for a slow subscriber are resumed")
  void resumesStreamEndedForSlowSubscriber() throws Exception {
    fixture.command("relay slow-reader");
    try (TicketingClient client = shortKeepAlive();
        Watch watch = new Watch(client)) {
      // A subscriber that does not resume gets the error.
      var plain = CompletableFuture.supplyAsync(ConnectionFailuresTest::endOfPlainStream);
      for (int n = 0; n < 60; n++) {
        pushed("INC-slow-" + n);
      }
      watch.until("INC-slow-59");
      assertEquals(Code.RESOURCE_EXHAUSTED, plain.get(30, TimeUnit.SECONDS));
    } finally {
      fixture.command("relay ok");
    }
  }

  @Behaviour("unix socket")
  void connectsOverUnixSocket() throws Exception {
    try (Fixture near = Fixture.start("--unix");
        TicketingClient client = near.client();
        Watch watch = new Watch(client)) {
      client.createTicket(push("INC-unix"));
      watch.until("INC-unix");
    }
  }

  @Behaviour("closing")
  void closeCancelsCallsAndSubscriptions() throws Exception {
    TicketingClient client = Fixture.shared().client();
    Events read = client.subscribe();
    Events unread = client.subscribe();
    TicketingClient lost = TicketingClient.connect(unusedAddress());
    var reading = CompletableFuture.supplyAsync(() -> closed(() -> read.iterator().hasNext()));
    var calling = CompletableFuture.supplyAsync(() -> closed(lost::getStatus));
    Thread.sleep(300);
    Instant began = Instant.now();
    client.close();
    lost.close();
    assertTrue(reading.get(30, TimeUnit.SECONDS));
    assertTrue(calling.get(30, TimeUnit.SECONDS));
    closed(() -> unread.iterator().hasNext());
    client.close();
    closed(client::getStatus);
    closed(client::subscribe);
    assertTrue(Duration.between(began, Instant.now()).toMillis() < 2_000);
  }

  @Behaviour("invalid addresses are refused")
  void refusesInvalidAddresses() throws Exception {
    for (String address :
        List.of(
            "", "ticketing", "ticketing:", ":50051", "ticketing:0", "ticketing:65536", "ticketing:1/path", "dns:///a:1",
            "ftp://a:1", "::1:50051", "[a]:1", "unix:", "unix:relative", "http://a", "https://http://a:1", "a b:1", "a@b:1")) {
      var error = assertThrows(IllegalArgumentException.class, () -> TicketingClient.connect(address), address);
      String message = "\"" + address + "\" is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH";
      assertEquals(message, error.getMessage());
    }
    assertThrows(IllegalArgumentException.class, () -> TicketingClient.builder("http://a:1").tls().build());
    for (String address : List.of("[::1]:50051", "a-b.example:443", "https://a.example:1", "unix:/a")) {
      TicketingClient.connect(address).close();
    }
    try (TicketingClient client =
        TicketingClient.connect("http://" + Fixture.shared().address(), Fixture.shared().token("admin"))) {
      client.getStatus();
    }
  }

  @Behaviour("tokens are sent in plaintext only to the local machine")
  void sendsPlaintextTokenOnlyToLocalMachine() throws Exception {
    for (String address : List.of("a.example:1", "10.0.0.1:1", "http://a.example:1", "[::2]:1", "[1::1]:1", "[::11]:1")) {
      assertThrows(IllegalArgumentException.class, () -> TicketingClient.connect(address, "rxt_1"), address);
    }
    for (String address : List.of("localhost:1", "127.3.2.1:1", "[::1]:1", "[0:0:0:0:0:0:0:1]:1", "unix:/a", "https://a:1")) {
      TicketingClient.connect(address, "rxt_1").close();
    }
    assertThrows(IllegalArgumentException.class, () -> TicketingClient.connect("localhost:1", ""));
    String unused = unusedAddress();
    System.setProperty("https.proxyHost", "127.0.0.1");
    System.setProperty("https.proxyPort", unused.substring(unused.indexOf(':') + 1));
    System.setProperty("http.nonProxyHosts", "");
    try (TicketingClient client = Fixture.shared().client()) {
      client.getStatus();
    } finally {
      List.of("https.proxyHost", "https.proxyPort", "http.nonProxyHosts").forEach(System::clearProperty);
    }
  }

  @Behaviour("infinite deadlines")
  void acceptsInfiniteDeadlines() throws Exception {
    try (TicketingClient client = Fixture.shared().client()) {
      TicketingClient unlimited = client.withDeadline(Duration.ofSeconds(Long.MAX_VALUE));
      unlimited.getStatus();
      unlimited.subscribe().close();
      failed(Code.DEADLINE_EXCEEDED, client.withDeadline(Duration.ZERO)::getStatus);
      failed(Code.DEADLINE_EXCEEDED, client.withDeadline(Duration.ofSeconds(Long.MIN_VALUE))::getStatus);
    }
  }

  @Test
  void lateSubscriptionIsDeadlineExceeded() throws Exception {
    try (ServerSocket mute = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        TicketingClient client = TicketingClient.connect("127.0.0.1:" + mute.getLocalPort())) {
      for (int n = 0; n < 30; n++) {
        failed(Code.DEADLINE_EXCEEDED, client.withDeadline(Duration.ofMillis(20))::subscribe);
      }
    }
  }

  @Test
  void errorHasRootCause() throws Exception {
    String unused = unusedAddress();
    try (TicketingClient client = TicketingClient.builder(unused).deadline(Duration.ofSeconds(1)).build()) {
      String message = failed(Code.UNAVAILABLE, client::getStatus).getMessage();
      assertTrue(message.contains("refused") && message.contains(unused), message);
    }
    try (TicketingClient client =
        TicketingClient.builder(Fixture.shared().address()).tls().deadline(Duration.ofSeconds(1)).build()) {
      String message = failed(Code.UNAVAILABLE, client::getStatus).getMessage();
      assertTrue(message.contains("TLS"), message);
    }
    try (Fixture secure = Fixture.start("--tls")) {
      try (TicketingClient client =
          TicketingClient.builder(secure.address()).tls().deadline(Duration.ofSeconds(1)).build()) {
        String message = failed(Code.UNAVAILABLE, client::getStatus).getMessage();
        assertTrue(message.contains("certification path"), message);
      }
      File key = new File(secure.text("client_key"));
      var wrong = TicketingClient.builder(secure.address()).tls(key);
      assertTrue(assertThrows(IllegalArgumentException.class, wrong::build).getMessage().contains("no certificate"));
    }
    File empty = Files.createTempFile("none", ".pem").toFile();
    empty.deleteOnExit();
    var wrong = TicketingClient.builder("127.0.0.1:1").tls(empty);
    assertTrue(assertThrows(IllegalArgumentException.class, wrong::build).getMessage().contains("no certificate"));
  }

  /** A client that detects dead connections within seconds. gRPC does not ping more often. */
  private static TicketingClient shortKeepAlive() {
    return TicketingClient.builder(fixture.text("relay"))
        .token(fixture.token("admin"))
        .keepAlive(Duration.ofSeconds(10), Duration.ofSeconds(1))
        .build();
  }

  private static void pushed(String id) {
    try (TicketingClient client = fixture.client()) {
      client.createTicket(push(id));
    }
  }

  private static Code endOfPlainStream() {
    Metadata headers = new Metadata();
    headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + fixture.token("admin"));
    var channel = ManagedChannelBuilder.forTarget(fixture.text("relay")).usePlaintext().build();
    try {
      var stub = TicketingServiceGrpc.newBlockingStub(channel);
      stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
          .streamTicketEvents(StreamTicketEventsRequest.getDefaultInstance())
          .forEachRemaining(event -> {});
      return Code.OK;
    } catch (StatusRuntimeException ended) {
      return Status.fromThrowable(ended).getCode();
    } finally {
      channel.shutdownNow();
    }
  }

  private static boolean closed(org.junit.jupiter.api.function.Executable call) {
    TicketingException end = failed(Code.CANCELLED, call);
    assertEquals("the client is closed", end.description());
    return true;
  }

  /** An address on which no process listens. */
  private static String unusedAddress() throws Exception {
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return "127.0.0.1:" + free.getLocalPort();
    }
  }

  /** Checks that each event arrives once and in order. */
  private static final class Watch implements AutoCloseable {
    private final Events events;
    private long last;

    Watch(TicketingClient client) {
      events = client.subscribe(StreamTicketEventsRequest.getDefaultInstance(), Duration.ofSeconds(2));
    }

    void until(String id) {
      for (TicketEvent event : events) {
        assertTrue(last == 0 || event.getSequence() == last + 1, event.getSequence() + " after " + last);
        last = event.getSequence();
        boolean delivered = event.getKind() == TicketEventKind.TICKET_EVENT_KIND_DELIVERED;
        if (delivered && event.getIncidentId().equals(id)) {
          return;
        }
      }
      assertFalse(true, "the loop ended");
    }

    @Override
    public void close() {
      events.close();
    }
  }
}
