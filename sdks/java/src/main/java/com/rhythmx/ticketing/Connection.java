package com.rhythmx.ticketing;

import io.grpc.Channel;
import io.grpc.ManagedChannel;

/**
 * What the calls of a client share.
 *
 * @param channel the connection itself
 * @param intercepted the channel that adds the token to each call
 * @param address as it was given by the user
 */
record Connection(ManagedChannel channel, Channel intercepted, String address) {}
