package com.rhythmx.ticketing;

import io.grpc.Channel;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.function.Supplier;

/** The connection that all calls of a client share. */
final class Connection {
  /** The address as given by the user. */
  final String address;

  /** Counted down when the client is closed. */
  final CountDownLatch closed = new CountDownLatch(1);

  private final Supplier<ManagedChannel> dial;
  private final ClientInterceptor[] interceptors;
  private final ManagedChannel channel;
  private final Set<Events> subscriptions = ConcurrentHashMap.newKeySet();

  /**
   * Creates a connection to an address.
   *
   * @param dial makes a channel
   * @param interceptors add the token to each call
   */
  Connection(String address, Supplier<ManagedChannel> dial, ClientInterceptor... interceptors) {
    this.address = address;
    this.dial = dial;
    this.interceptors = interceptors;
    this.channel = dial.get();
  }

  /** The shared channel. */
  ManagedChannel shared() {
    return channel;
  }

  /** Creates another channel, when the shared one is silent. The caller shuts it down. */
  ManagedChannel create() {
    return dial.get();
  }

  /** Wraps a channel, to add the token to each call. */
  Channel authorized(ManagedChannel channel) {
    return ClientInterceptors.intercept(channel, interceptors);
  }

  boolean isClosed() {
    return closed.getCount() == 0;
  }

  /** Registers a subscription, which is closed with the client. */
  void add(Events events) {
    subscriptions.add(events);
    if (isClosed()) {
      events.drop();
    }
  }

  void remove(Events events) {
    subscriptions.remove(events);
  }

  void close() {
    closed.countDown();
    channel.shutdownNow();
    subscriptions.forEach(Events::wake);
  }
}
