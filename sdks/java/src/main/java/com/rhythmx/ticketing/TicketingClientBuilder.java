package com.rhythmx.ticketing;

import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** What is set before connecting. Made by {@link TicketingClient#builder}. */
public final class TicketingClientBuilder {
  /** The largest answer in bytes: a page of 500 deliveries with all their attempts fits. */
  private static final int MAX_ANSWER = 64 << 20;

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** Where a server listens unless it is told otherwise. */
  private static final String DEFAULT_ADDRESS = "127.0.0.1:50051";

  private final String address;
  private String token;
  private Duration deadline = TicketingClient.DEFAULT_DEADLINE;
  private Duration ping = Duration.ofSeconds(20);
  private Duration pong = Duration.ofSeconds(10);
  private boolean tls;
  private File authorities;
  private File certificate;
  private File key;

  TicketingClientBuilder(String address) {
    this.address = Objects.requireNonNull(address, "address");
  }

  /** By these environment variables. */
  static TicketingClientBuilder of(Map<String, String> environment) {
    Function<String, String> variable =
        name -> Optional.ofNullable(environment.get(name)).filter(text -> !text.isEmpty()).orElse(null);
    String address = variable.apply("TICKETING_ADDRESS");
    String authorities = variable.apply("TICKETING_TLS_CA");
    String certificate = variable.apply("TICKETING_TLS_CLIENT_CERT");
    String key = variable.apply("TICKETING_TLS_CLIENT_KEY");
    TicketingClientBuilder builder = new TicketingClientBuilder(address == null ? DEFAULT_ADDRESS : address);
    builder.token(variable.apply("TICKETING_TOKEN"));
    if (authorities != null) {
      builder.tls(new File(authorities));
    }
    if ((certificate == null) != (key == null)) {
      throw new IllegalArgumentException(
          "a client certificate needs both TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY");
    }
    return certificate == null ? builder : builder.clientCertificate(new File(certificate), new File(key));
  }

  /** Sends a bearer token with each call: one of {@code ticketing token create}, or a JSON Web Token. */
  public TicketingClientBuilder token(String token) {
    this.token = token;
    return this;
  }

  /** Bounds each call. Default: 30 s. */
  public TicketingClientBuilder deadline(Duration deadline) {
    this.deadline = Objects.requireNonNull(deadline, "deadline");
    return this;
  }

  /**
   * Speaks TLS, and trusts the system's authorities. Without TLS nothing is encrypted, which servers accept on their own machine
   * only.
   */
  public TicketingClientBuilder tls() {
    tls = true;
    return this;
  }

  /** Speaks TLS, and trusts the authorities whose certificates are in this file, in PEM, instead of the system's. */
  public TicketingClientBuilder tls(File authorities) {
    tls = true;
    this.authorities = Objects.requireNonNull(authorities, "authorities");
    return this;
  }

  /** Speaks TLS, and shows the server this certificate; both files are PEM, the key PKCS #8. */
  public TicketingClientBuilder clientCertificate(File certificate, File key) {
    tls = true;
    this.certificate = Objects.requireNonNull(certificate, "certificate");
    this.key = Objects.requireNonNull(key, "key");
    return this;
  }

  /** How often a connection is asked whether it lives, and how long its answer may take. gRPC asks every 10 s at most. */
  TicketingClientBuilder pings(Duration ping, Duration pong) {
    this.ping = ping;
    this.pong = pong;
    return this;
  }

  /**
   * Makes the client. Nothing is sent before the first call.
   *
   * @throws IllegalArgumentException if the address is none, a file holds no certificate, or if the token is none, or would travel
   *     to another machine without TLS
   * @throws UncheckedIOException if a file cannot be read
   */
  public TicketingClient build() {
    Place place = Place.of(address);
    boolean secure = tls || place.secure();
    if (tls && place.plain()) {
      throw new IllegalArgumentException("http:// is without TLS: say https:// or leave TLS out");
    }
    if (token != null && token.isEmpty()) {
      throw new IllegalArgumentException("the token is empty: leave it out where none is needed");
    }
    if (token != null && !token.chars().allMatch(c -> c > ' ' && c <= '~')) {
      throw new IllegalArgumentException("the token has characters that no token has");
    }
    if (token != null && !secure && !place.here()) {
      throw new IllegalArgumentException("a token is not sent to another machine without TLS: use tls()");
    }
    ChannelCredentials credentials = credentials(secure);
    Connection connection = new Connection(address, () -> channel(place, credentials, secure), interceptors());
    return new TicketingClient(connection, deadline);
  }

  private ManagedChannel channel(Place place, ChannelCredentials credentials, boolean secure) {
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilder(place.target(), credentials)
            .userAgent("rhythmx-ticketing-java/" + version())
            .maxInboundMessageSize(MAX_ANSWER)
            // A connection that died without a word is noticed by its silence.
            .keepAliveTime(ping.toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveTimeout(pong.toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveWithoutCalls(true)
            // What is repeated, and when, is decided by this package and nowhere else.
            .disableRetry()
            .disableServiceConfigLookUp();
    if (place.socket()) {
      // A path is no name of a host.
      builder.overrideAuthority("localhost");
    }
    if (!secure || place.here()) {
      // A proxy would read what is not encrypted, and has no way to what is on this machine.
      builder.proxyDetector(server -> null);
    }
    return builder.build();
  }

  private ClientInterceptor[] interceptors() {
    if (token == null) {
      return new ClientInterceptor[0];
    }
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    return new ClientInterceptor[] {MetadataUtils.newAttachHeadersInterceptor(headers)};
  }

  private ChannelCredentials credentials(boolean secure) {
    if (!secure) {
      return InsecureChannelCredentials.create();
    }
    try {
      TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
      if (authorities != null) {
        expectCertificates(authorities);
        credentials.trustManager(authorities);
      }
      if (certificate != null) {
        expectCertificates(certificate);
        credentials.keyManager(certificate, key);
      }
      return credentials.build();
    } catch (IOException unreadable) {
      throw new UncheckedIOException(address + ": " + unreadable.getMessage(), unreadable);
    }
  }

  private static void expectCertificates(File file) throws IOException {
    try (InputStream in = new FileInputStream(file)) {
      if (!CertificateFactory.getInstance("X.509").generateCertificates(in).isEmpty()) {
        return;
      }
    } catch (CertificateException none) {
      throw new IllegalArgumentException(file + " holds no certificate", none);
    }
    throw new IllegalArgumentException(file + " holds no certificate");
  }

  private static String version() {
    String version = TicketingClient.class.getPackage().getImplementationVersion();
    return version == null ? "unpackaged" : version;
  }
}
