package com.rhythmx.ticketing;

import com.rhythmx.ticketing.v1.CancelDeliveryRequest;
import com.rhythmx.ticketing.v1.CancelDeliveryResponse;
import com.rhythmx.ticketing.v1.ConfigureRequest;
import com.rhythmx.ticketing.v1.ConfigureResponse;
import com.rhythmx.ticketing.v1.CreateTicketRequest;
import com.rhythmx.ticketing.v1.CreateTicketResponse;
import com.rhythmx.ticketing.v1.GetDeliveryRequest;
import com.rhythmx.ticketing.v1.GetDeliveryResponse;
import com.rhythmx.ticketing.v1.GetStatusRequest;
import com.rhythmx.ticketing.v1.GetStatusResponse;
import com.rhythmx.ticketing.v1.ListAuditEntriesRequest;
import com.rhythmx.ticketing.v1.ListAuditEntriesResponse;
import com.rhythmx.ticketing.v1.ListDeliveriesRequest;
import com.rhythmx.ticketing.v1.ListDeliveriesResponse;
import com.rhythmx.ticketing.v1.PreviewTicketRequest;
import com.rhythmx.ticketing.v1.PreviewTicketResponse;
import com.rhythmx.ticketing.v1.ResolveDeliveryRequest;
import com.rhythmx.ticketing.v1.ResolveDeliveryResponse;
import com.rhythmx.ticketing.v1.RetryDeliveriesRequest;
import com.rhythmx.ticketing.v1.RetryDeliveriesResponse;
import com.rhythmx.ticketing.v1.RetryDeliveryRequest;
import com.rhythmx.ticketing.v1.RetryDeliveryResponse;
import com.rhythmx.ticketing.v1.StreamTicketEventsRequest;
import com.rhythmx.ticketing.v1.SubmitIncidentRequest;
import com.rhythmx.ticketing.v1.SubmitIncidentResponse;
import com.rhythmx.ticketing.v1.TestConnectionRequest;
import com.rhythmx.ticketing.v1.TestConnectionResponse;
import com.rhythmx.ticketing.v1.TicketingServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Deadline;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.time.Duration;

/**
 * Calls the service. Safe for use by several threads, which share one connection. The first call opens it, and it reconnects
 * automatically.
 *
 * <pre>{@code
 * try (var client = TicketingClient.connect("127.0.0.1:50051", "rxt_...")) {
 *   var request = CreateTicketRequest.newBuilder().setIncident(incident).setConnection("jira").build();
 *   System.out.println(client.createTicket(request).getMessage());
 * }
 * }</pre>
 *
 * <p><b>Deadlines.</b> The deadline of a call is 30 s, or that of {@link #withDeadline}. It is sent with the call: the server waits
 * for the first attempt of a push until then. An interrupted thread, or a cancelled {@link io.grpc.Context}, ends the call with
 * CANCELLED.
 *
 * <p><b>Errors.</b> A call that fails throws a {@link TicketingException}. A failed delivery is not an error: the push was
 * accepted, and the delivery has its state and attempts.
 *
 * <p><b>Retries.</b> Every unary call of the service is idempotent: there is one delivery for an incident and a connection, and
 * settings merge by presence. A call that fails with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a retry delay, is retried up to five
 * times, for about 6 s, and never beyond its deadline. The exception is {@link #retryDelivery} with {@code create_anyway}, which
 * ignores an unknown outcome: sent twice, it may create two tickets, so it is never retried.
 *
 * <p>The documentation of messages and fields is generated from the contract.
 */
public final class TicketingClient implements AutoCloseable {
  /** Deadline of a call unless {@link #withDeadline} sets another. */
  public static final Duration DEFAULT_DEADLINE = Duration.ofSeconds(30);

  private final Connection connection;
  private final Duration deadline;

  TicketingClient(Connection connection, Duration deadline) {
    this.connection = connection;
    this.deadline = deadline;
  }

  /**
   * Creates a client without TLS and token, for a server on the same machine.
   *
   * @param address "HOST:PORT", "[IPV6]:PORT", or "unix:/PATH" for a Unix socket
   */
  public static TicketingClient connect(String address) {
    return builder(address).build();
  }

  /**
   * Creates a client without TLS, for a server on the same machine.
   *
   * @param address "HOST:PORT", "[IPV6]:PORT", or "unix:/PATH" for a Unix socket
   * @param token one of {@code ticketing token create}, or a JSON Web Token
   */
  public static TicketingClient connect(String address, String token) {
    return builder(address).token(token).build();
  }

  /**
   * Creates a client from environment variables, for example in a container: TICKETING_ADDRESS is the address, by default 127.0.0.1:50051;
   * TICKETING_TOKEN the bearer token. TICKETING_TLS_CA names a PEM file with the authorities to trust, and TICKETING_TLS_CLIENT_CERT
   * and TICKETING_TLS_CLIENT_KEY the client's certificate and its key: any of them enables TLS. Empty variables count as unset.
   */
  public static TicketingClient connectFromEnvironment() {
    return TicketingClientBuilder.of(System.getenv()).build();
  }

  /**
   * Returns a builder for TLS, token and deadline.
   *
   * @param address "HOST:PORT", "[IPV6]:PORT", or "unix:/PATH" for a Unix socket; "http://HOST:PORT" means
   *     "HOST:PORT", and "https://HOST:PORT" uses TLS, with the system's authorities unless the builder has others
   */
  public static TicketingClientBuilder builder(String address) {
    return new TicketingClientBuilder(address);
  }

  /** Returns this client with another deadline, over the same connection. For subscriptions it limits only the start. */
  public TicketingClient withDeadline(Duration deadline) {
    return new TicketingClient(connection, deadline);
  }

  /** Changes settings; absent fields keep their values. */
  public ConfigureResponse configure(ConfigureRequest request) {
    return call(TicketingServiceGrpc.getConfigureMethod(), request);
  }

  /** Checks authentication and access, with saved or unsaved settings. */
  public TestConnectionResponse testConnection(TestConnectionRequest request) {
    return call(TicketingServiceGrpc.getTestConnectionMethod(), request);
  }

  /** Returns the status of every connection. */
  public GetStatusResponse getStatus() {
    return call(TicketingServiceGrpc.getGetStatusMethod(), GetStatusRequest.getDefaultInstance());
  }

  /** Renders the ticket of an incident without creating it. */
  public PreviewTicketResponse previewTicket(PreviewTicketRequest request) {
    return call(TicketingServiceGrpc.getPreviewTicketMethod(), request);
  }

  /** Pushes an incident to one connection and waits for the first attempt. */
  public CreateTicketResponse createTicket(CreateTicketRequest request) {
    return call(TicketingServiceGrpc.getCreateTicketMethod(), request);
  }

  /** Submits an incident to auto-push. */
  public SubmitIncidentResponse submitIncident(SubmitIncidentRequest request) {
    return call(TicketingServiceGrpc.getSubmitIncidentMethod(), request);
  }

  /** Returns a delivery with its attempts. */
  public GetDeliveryResponse getDelivery(GetDeliveryRequest request) {
    return call(TicketingServiceGrpc.getGetDeliveryMethod(), request);
  }

  /** Returns a page of deliveries, the newest first. */
  public ListDeliveriesResponse listDeliveries(ListDeliveriesRequest request) {
    return call(TicketingServiceGrpc.getListDeliveriesMethod(), request);
  }

  /** Retries a waiting, failed or cancelled delivery now and waits for the attempt. */
  public RetryDeliveryResponse retryDelivery(RetryDeliveryRequest request) {
    return call(TicketingServiceGrpc.getRetryDeliveryMethod(), request);
  }

  /** Retries one page of the deliveries that match a filter, without waiting for their attempts. */
  public RetryDeliveriesResponse retryDeliveries(RetryDeliveriesRequest request) {
    return call(TicketingServiceGrpc.getRetryDeliveriesMethod(), request);
  }

  /** Cancels a delivery. */
  public CancelDeliveryResponse cancelDelivery(CancelDeliveryRequest request) {
    return call(TicketingServiceGrpc.getCancelDeliveryMethod(), request);
  }

  /** Records which ticket a delivery has, or that it has none. */
  public ResolveDeliveryResponse resolveDelivery(ResolveDeliveryRequest request) {
    return call(TicketingServiceGrpc.getResolveDeliveryMethod(), request);
  }

  /** Returns a page of the audit log, the newest entry first. */
  public ListAuditEntriesResponse listAuditEntries(ListAuditEntriesRequest request) {
    return call(TicketingServiceGrpc.getListAuditEntriesMethod(), request);
  }

  /** {@link #subscribe(StreamTicketEventsRequest)} to every event after this call. */
  public Events subscribe() {
    return subscribe(StreamTicketEventsRequest.getDefaultInstance());
  }

  /**
   * Opens a stream of events. It returns once the server has started it. Every later event is returned, whenever the loop starts.
   *
   * @throws TicketingException if the stream does not start within the deadline of this client, or is refused
   */
  public Events subscribe(StreamTicketEventsRequest request) {
    return subscribe(request, Events.STREAM_TIMEOUT);
  }

  Events subscribe(StreamTicketEventsRequest request, Duration streamTimeout) {
    return new Events(connection, request, deadline, streamTimeout);
  }

  /** Closes the connection and cancels all calls and subscriptions with CANCELLED. Closing it again has no effect. */
  @Override
  public void close() {
    connection.close();
  }

  private <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
    Deadline end = Retry.after(deadline);
    CallOptions options = CallOptions.DEFAULT.withDeadline(end);
    String name = method.getBareMethodName();
    for (int attempts = 1; ; attempts++) {
      try {
        return ClientCalls.blockingUnaryCall(connection.authorized(connection.shared()), method, options, request);
      } catch (StatusRuntimeException failed) {
        TicketingException failure = TicketingException.of(failed, name, connection);
        boolean shouldRetry = Retry.isIdempotent(request) && Retry.shouldRetry(failure, attempts);
        if (!shouldRetry || !Retry.await(Retry.delay(failure, attempts), end, connection.closed)) {
          throw connection.isClosed() ? TicketingException.of(failed, name, connection) : failure;
        }
        connection.shared().resetConnectBackoff();
      }
    }
  }
}
