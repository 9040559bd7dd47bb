package com.rhythmx.ticketing;

import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Objects;

/** What is set before connecting. Made by {@link TicketingClient#builder}. */
public final class TicketingClientBuilder {
  /** The largest answer in bytes: a page of 500 deliveries with all their attempts fits. */
  private static final int LARGEST_ANSWER = 64 << 20;

  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final String address;
  private String token;
  private Duration deadline = TicketingClient.DEFAULT_DEADLINE;
  private boolean tls;
  private File authorities;
  private File certificate;
  private File key;

  TicketingClientBuilder(String address) {
    this.address = Objects.requireNonNull(address, "address");
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

  /**
   * Makes the client. Nothing is sent before the first call.
   *
   * @throws IllegalArgumentException if the token is none, or would travel to another machine without TLS
   * @throws UncheckedIOException if a file can not be read
   */
  public TicketingClient build() {
    if (token != null && !token.chars().allMatch(c -> c > ' ' && c <= '~')) {
      throw new IllegalArgumentException("the token has characters that no token has");
    }
    if (token != null && !tls && !stays()) {
      throw new IllegalArgumentException("a token is not sent to another machine without TLS: use tls()");
    }
    ManagedChannel channel =
        Grpc.newChannelBuilder(address, credentials())
            .userAgent("rhythmx-ticketing-java/" + version())
            .maxInboundMessageSize(LARGEST_ANSWER)
            // What is repeated, and when, is decided by this package and nowhere else.
            .disableRetry()
            .disableServiceConfigLookUp()
            .build();
    Channel intercepted = channel;
    if (token != null) {
      Metadata headers = new Metadata();
      headers.put(AUTHORIZATION, "Bearer " + token);
      intercepted = ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers));
    }
    return new TicketingClient(new Connection(channel, intercepted, address), deadline);
  }

  private ChannelCredentials credentials() {
    if (!tls) {
      return InsecureChannelCredentials.create();
    }
    try {
      TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
      if (authorities != null) {
        credentials.trustManager(authorities);
      }
      if (certificate != null) {
        credentials.keyManager(certificate, key);
      }
      return credentials.build();
    } catch (IOException unreadable) {
      throw new UncheckedIOException(address + ": " + unreadable.getMessage(), unreadable);
    }
  }

  /** Whether what is sent to the address stays on this machine. */
  private boolean stays() {
    if (address.startsWith("unix:")) {
      return true;
    }
    String host = address.replaceFirst(":\\d+$", "");
    return host.equals("localhost") || host.equals("[::1]") || host.matches("127(\\.\\d{1,3}){3}");
  }

  private static String version() {
    String version = TicketingClient.class.getPackage().getImplementationVersion();
    return version == null ? "unpackaged" : version;
  }
}
