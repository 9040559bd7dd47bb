package com.rhythmx.ticketing;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A parsed server address.
 *
 * @param target the target in gRPC's syntax
 * @param secure whether the scheme is https
 * @param plain whether the scheme is http
 * @param local whether the server is on this machine
 * @param socket whether it is a Unix socket
 */
record Address(String target, boolean secure, boolean plain, boolean local, boolean socket) {
  /** A host and a port, the host by name, as IPv4 or in brackets as IPv6. */
  private static final Pattern AUTHORITY =
      Pattern.compile("(?:\\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\\]|([A-Za-z0-9._-]+)):([0-9]{1,5})");

  /** Parses an address. */
  static Address parse(String address) {
    if (address.startsWith("unix:/") && address.length() > "unix:/".length()) {
      return new Address(address, false, false, true, true);
    }
    boolean secure = address.startsWith("https://");
    boolean plain = address.startsWith("http://");
    String bare = address.substring(secure ? "https://".length() : plain ? "http://".length() : 0);
    Matcher parts = AUTHORITY.matcher(bare);
    if (!parts.matches() || Integer.parseInt(parts.group(3)) < 1 || Integer.parseInt(parts.group(3)) > 65_535) {
      throw new IllegalArgumentException(
          "\"" + address + "\" is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH");
    }
    return new Address(bare, secure, plain, isLoopback(parts.group(1), parts.group(2)), false);
  }

  private static boolean isLoopback(String ipv6, String host) {
    if (ipv6 != null) {
      return ipv6.matches("(0*:)*:?0*1") && !ipv6.matches("0*1");
    }
    return host.equalsIgnoreCase("localhost") || host.matches("127(\\.\\d{1,3}){3}");
  }
}
