package com.rhythmx.ticketing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.rhythmx.ticketing.v1.ErrorReason;
import io.grpc.Status;
import org.junit.jupiter.api.function.Executable;

/** Assertions for errors. */
final class Refusal {
  private Refusal() {}

  static TicketingException refused(Status.Code code, ErrorReason reason, Executable call) {
    TicketingException failure = assertThrows(TicketingException.class, call);
    assertEquals(code, failure.code(), failure.getMessage());
    assertEquals(reason, failure.reason(), failure.getMessage());
    assertTrue(failure.getMessage().contains(failure.address()), failure.getMessage());
    assertTrue(failure.getMessage().contains(failure.method()), failure.getMessage());
    return failure;
  }

  /** Without a reason from the service. */
  static TicketingException failed(Status.Code code, Executable call) {
    return refused(code, ErrorReason.ERROR_REASON_UNSPECIFIED, call);
  }
}
