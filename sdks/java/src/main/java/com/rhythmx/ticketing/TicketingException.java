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
   * A rule that the request violates.
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

  /** The gRPC code. */
  public Status.Code code() {
    return code;
  }

  /**
   * The reason in the contract, which documents each value. UNSPECIFIED if the response has none, or one that this version does not
   * know; {@link #reasonName} still has it.
   */
  public ErrorReason reason() {
    try {
      return ErrorReason.valueOf("ERROR_REASON_" + details.reason);
    } catch (IllegalArgumentException unknown) {
      return ErrorReason.ERROR_REASON_UNSPECIFIED;
    }
  }

  /**
   * The name of the reason, for example "INCIDENT_INVALID". Empty if the response has none, because it is not from the service
   * itself.
   */
  public String reasonName() {
    return details.reason;
  }

  /** Details by name, for example "delivery_id". The contract documents the names for each reason. */
  public Map<String, String> metadata() {
    return details.metadata;
  }

  /** Every rule that the request violates. */
  public List<Violation> violations() {
    return details.violations;
  }

  /** Delay before a retry, if the server sent one. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(details.retryAfter);
  }

  /** The server's message, for people. */
  public String description() {
    return details.description;
  }

  /** The called method, for example "CreateTicket". */
  public String method() {
    return method;
  }

  /** The address of the server, as given to {@link TicketingClient#connect}. */
  public String address() {
    return address;
  }

  /** Converts the error of a call. It is CANCELLED if the client is closed or the thread is interrupted. */
  static TicketingException of(Throwable failed, String method, Connection connection) {
    Throwable error = failed;
    if (connection.isClosed()) {
      error = Status.CANCELLED.withDescription("the client is closed").withCause(failed).asRuntimeException();
    } else if (Thread.currentThread().isInterrupted()) {
      error = Status.CANCELLED.withDescription("the thread was interrupted").withCause(failed).asRuntimeException();
    }
    Status status = Status.fromThrowable(error);
    String description = connection.isClosed() ? status.getDescription() : description(status);
    return new TicketingException(details(error, description), code(status), method, connection.address, error);
  }

  /** gRPC reports a connection that breaks during a write as UNKNOWN sometimes, without a status from the server. */
  private static Status.Code code(Status status) {
    boolean isBroken = status.getCode() == Status.Code.UNKNOWN && status.getCause() instanceof IOException;
    return isBroken ? Status.Code.UNAVAILABLE : status.getCode();
  }

  /** The description with the root cause: for a failed connection gRPC has only "io exception". */
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
        // The code and the description remain.
        continue;
      }
    }
    return new Details(description, reason, metadata, List.copyOf(violations), retryAfter);
  }

  private static List<Any> anys(Throwable failed) {
    boolean hasStatus = failed instanceof StatusRuntimeException || failed instanceof StatusException;
    com.google.rpc.Status status = hasStatus ? StatusProto.fromThrowable(failed) : null;
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
