package com.rhythmx.ticketing;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.rhythmx.ticketing.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.io.Serializable;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Why a call failed. Its message names the method, the address, the code, the reason and the violations. */
public final class TicketingException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final String DOMAIN = "ticketing.rhythmx";

  private final Details details;
  private final Status.Code code;
  private final String method;
  private final String address;

  /**
   * A rule that the request breaks.
   *
   * @param field a path, for example "incident.firing_rules[3].name"; indices count from 0
   * @param description what is wrong, for people
   */
  public record Violation(String field, String description) implements Serializable {}

  private record Details(
      String description, String reason, Map<String, String> metadata, List<Violation> violations, Duration retryAfter)
      implements Serializable {}

  private TicketingException(Details details, Status.Code code, String method, String address, Throwable cause) {
    super(words(details, code, method, address), cause);
    this.details = details;
    this.code = code;
    this.method = method;
    this.address = address;
  }

  /** gRPC's code. */
  public Status.Code code() {
    return code;
  }

  /**
   * The contract's reason: each of its values says by example when it is given. UNSPECIFIED when the answer has none, or one that
   * is newer than this package; {@link #reasonName} has that.
   */
  public ErrorReason reason() {
    try {
      return ErrorReason.valueOf("ERROR_REASON_" + details.reason);
    } catch (IllegalArgumentException unknown) {
      return ErrorReason.ERROR_REASON_UNSPECIFIED;
    }
  }

  /**
   * The reason as it was sent, for example "INCIDENT_INVALID". Empty when the answer has none: it did not come from the service
   * itself.
   */
  public String reasonName() {
    return details.reason;
  }

  /** What the error is about, for example "delivery_id". The contract's reasons tell which there are. */
  public Map<String, String> metadata() {
    return details.metadata;
  }

  /** All the rules that the request breaks. */
  public List<Violation> violations() {
    return details.violations;
  }

  /** When to try again, if the server said so. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(details.retryAfter);
  }

  /** The server's own words, for people. */
  public String description() {
    return details.description;
  }

  /** What was called, for example "CreateTicket". */
  public String method() {
    return method;
  }

  /** Where, as it was given to {@link TicketingClient#connect}. */
  public String address() {
    return address;
  }

  /** Whatever befalls the calls of a client that is closed, it is that; and of an interrupted thread. */
  static TicketingException of(Throwable failed, String method, Connection connection) {
    Throwable told = failed;
    if (connection.isClosed()) {
      told = Status.CANCELLED.withDescription("the client is closed").withCause(failed).asRuntimeException();
    } else if (Thread.currentThread().isInterrupted()) {
      told = Status.CANCELLED.withDescription("the thread was interrupted").withCause(failed).asRuntimeException();
    }
    Status status = Status.fromThrowable(told);
    String words = connection.isClosed() ? status.getDescription() : description(status);
    return new TicketingException(details(told, words), code(status), method, connection.address, told);
  }

  /** A connection that breaks during a write is sometimes UNKNOWN to gRPC: the status is not from the server. */
  private static Status.Code code(Status status) {
    boolean broke = status.getCode() == Status.Code.UNKNOWN && status.getCause() instanceof IOException;
    return broke ? Status.Code.UNAVAILABLE : status.getCode();
  }

  /** With the root of the trouble: what gRPC says of a connection that failed is "io exception" alone. */
  private static String description(Status status) {
    String description = status.getDescription() == null ? "" : status.getDescription();
    Throwable root = status.getCause();
    while (root != null && root.getCause() != null) {
      root = root.getCause();
    }
    if (root == null || status.getCode() == Status.Code.CANCELLED) {
      return description;
    }
    String words = root.getMessage() == null ? root.getClass().getSimpleName() : root.getMessage();
    return description.contains(words) ? description : description.isEmpty() ? words : description + ": " + words;
  }

  private static Details details(Throwable failed, String description) {
    String reason = "";
    Map<String, String> metadata = Map.of();
    List<Violation> violations = new ArrayList<>();
    Duration retryAfter = null;
    for (Any any : anys(failed)) {
      try {
        if (any.is(ErrorInfo.class)) {
          ErrorInfo info = any.unpack(ErrorInfo.class);
          if (info.getDomain().equals(DOMAIN)) {
            reason = info.getReason();
            metadata = Map.copyOf(info.getMetadataMap());
          }
        } else if (any.is(BadRequest.class)) {
          for (BadRequest.FieldViolation one : any.unpack(BadRequest.class).getFieldViolationsList()) {
            violations.add(new Violation(one.getField(), one.getDescription()));
          }
        } else if (any.is(RetryInfo.class)) {
          com.google.protobuf.Duration delay = any.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      } catch (InvalidProtocolBufferException unreadable) {
        // The code and the words are there all the same.
        continue;
      }
    }
    return new Details(description, reason, metadata, List.copyOf(violations), retryAfter);
  }

  private static List<Any> anys(Throwable failed) {
    boolean told = failed instanceof StatusRuntimeException || failed instanceof StatusException;
    com.google.rpc.Status status = told ? StatusProto.fromThrowable(failed) : null;
    return status == null ? List.of() : status.getDetailsList();
  }

  private static String words(Details details, Status.Code code, String method, String address) {
    StringBuilder words = new StringBuilder(method + " at " + address + ": " + code);
    if (!details.reason.isEmpty()) {
      words.append(" (").append(details.reason).append(")");
    }
    words.append(": ").append(details.description);
    for (Violation violation : details.violations) {
      words.append("; ").append(violation.field).append(" ").append(violation.description);
    }
    return words.toString();
  }
}
