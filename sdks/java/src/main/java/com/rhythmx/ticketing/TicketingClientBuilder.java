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

/** Settings of a client. Created by {@link TicketingClient#builder}. */
public final class TicketingClientBuilder {
  /** Maximum size of a response in bytes: a page of 500 deliveries with all their attempts fits. */
  private static final int MAX_RESPONSE_SIZE = 64 << 20;

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  /** Default listen address of a server. */
  private static final String DEFAULT_ADDRESS = "127.0.0.1:50051";

  private final String address;
  private String token;
  private Duration deadline = TicketingClient.DEFAULT_DEADLINE;
  private Duration keepAliveInterval = Duration.ofSeconds(20);
  private Duration keepAliveTimeout = Duration.ofSeconds(10);
  private boolean tls;
  private File authorities;
  private File certificate;
  private File key;

  TicketingClientBuilder(String address) {
    this.address = Objects.requireNonNull(address, "address");
  }

  /** Creates a builder from environment variables. */
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

  /** Sets the deadline of each call. Default: 30 s. */
  public TicketingClientBuilder deadline(Duration deadline) {
    this.deadline = Objects.requireNonNull(deadline, "deadline");
    return this;
  }

  /**
   * Enables TLS with the system's authorities. Without TLS the connection is plaintext, which servers accept from their own machine
   * only.
   */
  public TicketingClientBuilder tls() {
    tls = true;
    return this;
  }

  /** Enables TLS with the authorities in this PEM file instead of the system's. */
  public TicketingClientBuilder tls(File authorities) {
    tls = true;
    this.authorities = Objects.requireNonNull(authorities, "authorities");
    return this;
  }

  /** Enables TLS with a client certificate. Both files are PEM, the key is PKCS #8. */
  public TicketingClientBuilder clientCertificate(File certificate, File key) {
    tls = true;
    this.certificate = Objects.requireNonNull(certificate, "certificate");
    this.key = Objects.requireNonNull(key, "key");
    return this;
  }

  /** Sets the interval of keep-alive pings, at least 10 s in gRPC, and the timeout of their acknowledgement. */
  TicketingClientBuilder keepAlive(Duration interval, Duration timeout) {
    this.keepAliveInterval = interval;
    this.keepAliveTimeout = timeout;
    return this;
  }

  /**
   * Creates the client. The first call opens the connection.
   *
   * @throws IllegalArgumentException if the address or the token is invalid, a file has no certificate, or the token would be sent to
   *     another machine without TLS
   * @throws UncheckedIOException if a file cannot be read
   */
  public TicketingClient build() {
    Address parsed = Address.parse(address);
    boolean secure = tls || parsed.secure();
    if (tls && parsed.plain()) {
      throw new IllegalArgumentException("http:// contradicts TLS: use https:// or omit tls()");
    }
    if (token != null && token.isEmpty()) {
      throw new IllegalArgumentException("the token is empty: omit it if the server requires none");
    }
    if (token != null && !token.chars().allMatch(c -> c > ' ' && c <= '~')) {
      throw new IllegalArgumentException("the token has invalid characters");
    }
    if (token != null && !secure && !parsed.local()) {
      throw new IllegalArgumentException("a token is not sent to another machine without TLS: use tls()");
    }
    ChannelCredentials credentials = credentials(secure);
    Connection connection = new Connection(address, () -> channel(parsed, credentials, secure), interceptors());
    return new TicketingClient(connection, deadline);
  }

  private ManagedChannel channel(Address parsed, ChannelCredentials credentials, boolean secure) {
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilder(parsed.target(), credentials)
            .userAgent("rhythmx-ticketing-java/" + version())
            .maxInboundMessageSize(MAX_RESPONSE_SIZE)
            // Pings detect a silently failed connection.
            .keepAliveTime(keepAliveInterval.toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveTimeout(keepAliveTimeout.toNanos(), TimeUnit.NANOSECONDS)
            .keepAliveWithoutCalls(true)
            // This package retries itself.
            .disableRetry()
            .disableServiceConfigLookUp();
    if (parsed.socket()) {
      // A path is not a host name.
      builder.overrideAuthority("localhost");
    }
    if (!secure || parsed.local()) {
      // A proxy would see plaintext, and cannot reach the local machine.
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
    } catch (CertificateException invalid) {
      throw new IllegalArgumentException(file + " holds no certificate", invalid);
    }
    throw new IllegalArgumentException(file + " holds no certificate");
  }

  private static String version() {
    String version = TicketingClient.class.getPackage().getImplementationVersion();
    return version == null ? "unpackaged" : version;
  }
}
