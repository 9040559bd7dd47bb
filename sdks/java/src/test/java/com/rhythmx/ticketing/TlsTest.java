package com.rhythmx.ticketing;

import static com.rhythmx.ticketing.Refusal.failed;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.grpc.Status.Code;
import java.io.File;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;

class TlsTest {
  private static final Duration SOON = Duration.ofSeconds(3);

  @TempDir Path data;

  @Behaviour("TLS with a custom CA and a client certificate")
  void authenticatesServerAndClient() throws Exception {
    try (Fixture secure = Fixture.start("--tls")) {
      File authorities = new File(secure.text("ca"));
      try (TicketingClient trusting =
              TicketingClient.builder(secure.address()).tls(authorities).token(secure.token("viewer")).build();
          TicketingClient untrusting = TicketingClient.builder(secure.address()).tls().deadline(SOON).build()) {
        assertEquals(2, trusting.getStatus().getConnectionsCount());
        failed(Code.UNAVAILABLE, untrusting::getStatus);
      }
      checkClientCertificate(secure, authorities);
    }
  }

  /** With a server that authenticates clients only by certificates. */
  private void checkClientCertificate(Fixture secure, File authorities) throws Exception {
    String address = "127.0.0.1:" + freePort();
    Process server = startWithCertificates(address, authorities.toPath().getParent());
    File certificate = new File(secure.text("client_cert"));
    File key = new File(secure.text("client_key"));
    try (TicketingClient certified =
            TicketingClient.builder(address).tls(authorities).clientCertificate(certificate, key).build();
        TicketingClient bare = TicketingClient.builder(address).tls(authorities).deadline(SOON).build()) {
      // The client waits until the server has started.
      assertEquals(2, certified.getStatus().getConnectionsCount());
      failed(Code.UNAVAILABLE, bare::getStatus);
    } finally {
      server.destroy();
      server.waitFor();
    }
  }

  private Process startWithCertificates(String address, Path files) throws Exception {
    List<String> command =
        List.of(
            Fixture.binary().resolveSibling("ticketing").toString(),
            "serve",
            "--listen=" + address,
            "--data=" + data,
            "--auth=certificate",
            "--tls-cert=" + files.resolve("server.pem"),
            "--tls-key=" + files.resolve("server.key"),
            "--tls-client-ca=" + files.resolve("ca.pem"),
            "--certificate-roles=spiffe://ticketing.test/trial=admin");
    return new ProcessBuilder(command)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .redirectError(ProcessBuilder.Redirect.DISCARD)
        .start();
  }

  private static int freePort() throws Exception {
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return free.getLocalPort();
    }
  }
}
