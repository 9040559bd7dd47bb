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
 * Calls the service. Safe for use by several threads, which share one connection; that is made at the first call, and again by
 * itself when it is lost.
 *
 * <pre>{@code
 * try (var client = TicketingClient.connect("127.0.0.1:50051", "rxt_...")) {
 *   var request = CreateTicketRequest.newBuilder().setIncident(incident).setConnection("jira").build();
 *   System.out.println(client.createTicket(request).getMessage());
 * }
 * }</pre>
 *
 * <p><b>Time.</b> A call ends after 30 s, or what {@link #withDeadline} says. The deadline travels with it: a push waits on the
 * server for its first attempt as long as the caller does. An interrupted thread, or a cancelled {@link io.grpc.Context}, ends
 * it with CANCELLED.
 *
 * <p><b>Errors.</b> A call that fails throws a {@link TicketingException}. A failed delivery is no error: the push was accepted,
 * and the delivery tells its story.
 *
 * <p><b>Repeated calls.</b> Every unary call of the service may be repeated: there is one delivery for an incident and a connection,
 * and settings merge by presence. So a call that fails with UNAVAILABLE, or with RESOURCE_EXHAUSTED and the time to come back,
 * is repeated: up to five times, for about 6 s, and never beyond its deadline. The exception is {@link #retryDelivery} with
 * {@code create_anyway}, which puts a doubt aside: asked twice, it may make two tickets, so it is sent once.
 *
 * <p>What a message or field means, its own documentation says; it is generated from the contract.
 */
public final class TicketingClient implements AutoCloseable {
  /** How long a call may take unless {@link #withDeadline} says otherwise. */
  public static final Duration DEFAULT_DEADLINE = Duration.ofSeconds(30);

  private final Connection connection;
  private final Duration deadline;

  TicketingClient(Connection connection, Duration deadline) {
    this.connection = connection;
    this.deadline = deadline;
  }

  /**
   * A client without TLS and token, for a server on the same machine.
   *
   * @param address "HOST:PORT", "[IPV6]:PORT", or "unix:/PATH" for a Unix socket
   */
  public static TicketingClient connect(String address) {
    return builder(address).build();
  }

  /**
   * A client without TLS, for a server on the same machine.
   *
   * @param address "HOST:PORT", "[IPV6]:PORT", or "unix:/PATH" for a Unix socket
   * @param token one of {@code ticketing token create}, or a JSON Web Token
   */
  public static TicketingClient connect(String address, String token) {
    return builder(address).token(token).build();
  }

  /**
   * A client by the environment, for example in a container: TICKETING_ADDRESS is the address, by default 127.0.0.1:50051;
   * TICKETING_TOKEN the bearer token. TICKETING_TLS_CA names a PEM file with the authorities to trust, and TICKETING_TLS_CLIENT_CERT
   * and TICKETING_TLS_CLIENT_KEY the client's certificate and its key: any of them means TLS. What is empty or not set is left out.
   */
  public static TicketingClient connectFromEnvironment() {
    return TicketingClientBuilder.of(System.getenv()).build();
  }

  /**
   * What is set before connecting: TLS, token, deadline.
   *
   * @param address "HOST:PORT", "[IPV6]:PORT", or "unix:/PATH" for a Unix socket; "http://HOST:PORT" is the first, and
   *     "https://HOST:PORT" speaks TLS, with the system's authorities unless the builder has others
   */
  public static TicketingClientBuilder builder(String address) {
    return new TicketingClientBuilder(address);
  }

  /** The same client, over the same connection, with another deadline for each call. Subscriptions have none. */
  public TicketingClient withDeadline(Duration deadline) {
    return new TicketingClient(connection, deadline);
  }

  /** Changes settings; what is absent stays. */
  public ConfigureResponse configure(ConfigureRequest request) {
    return call(TicketingServiceGrpc.getConfigureMethod(), request);
  }

  /** Proves authentication and access, with saved or unsaved settings. */
  public TestConnectionResponse testConnection(TestConnectionRequest request) {
    return call(TicketingServiceGrpc.getTestConnectionMethod(), request);
  }

  /** Returns the status of every connection. */
  public GetStatusResponse getStatus() {
    return call(TicketingServiceGrpc.getGetStatusMethod(), GetStatusRequest.getDefaultInstance());
  }

  /** The ticket as it would be pushed. */
  public PreviewTicketResponse previewTicket(PreviewTicketRequest request) {
    return call(TicketingServiceGrpc.getPreviewTicketMethod(), request);
  }

  /** Pushes an incident to one connection and waits for the first attempt. */
  public CreateTicketResponse createTicket(CreateTicketRequest request) {
    return call(TicketingServiceGrpc.getCreateTicketMethod(), request);
  }

  /** Offers an incident to auto-push. */
  public SubmitIncidentResponse submitIncident(SubmitIncidentRequest request) {
    return call(TicketingServiceGrpc.getSubmitIncidentMethod(), request);
  }

  /** One delivery with its attempts. */
  public GetDeliveryResponse getDelivery(GetDeliveryRequest request) {
    return call(TicketingServiceGrpc.getGetDeliveryMethod(), request);
  }

  /** A page of deliveries, the newest first. */
  public ListDeliveriesResponse listDeliveries(ListDeliveriesRequest request) {
    return call(TicketingServiceGrpc.getListDeliveriesMethod(), request);
  }

  /** Tries a waiting, failed or cancelled delivery now and waits for the attempt. */
  public RetryDeliveryResponse retryDelivery(RetryDeliveryRequest request) {
    return call(TicketingServiceGrpc.getRetryDeliveryMethod(), request);
  }

  /** Tries one page of the deliveries that fit a filter now, without waiting for their attempts. */
  public RetryDeliveriesResponse retryDeliveries(RetryDeliveriesRequest request) {
    return call(TicketingServiceGrpc.getRetryDeliveriesMethod(), request);
  }

  /** Gives a delivery up. */
  public CancelDeliveryResponse cancelDelivery(CancelDeliveryRequest request) {
    return call(TicketingServiceGrpc.getCancelDeliveryMethod(), request);
  }

  /** Tells which ticket a delivery has. */
  public ResolveDeliveryResponse resolveDelivery(ResolveDeliveryRequest request) {
    return call(TicketingServiceGrpc.getResolveDeliveryMethod(), request);
  }

  /** A page of who did what, the newest first. */
  public ListAuditEntriesResponse listAuditEntries(ListAuditEntriesRequest request) {
    return call(TicketingServiceGrpc.getListAuditEntriesMethod(), request);
  }

  /** {@link #subscribe(StreamTicketEventsRequest)} to every event after this call. */
  public Events subscribe() {
    return subscribe(StreamTicketEventsRequest.getDefaultInstance());
  }

  /**
   * Opens a stream of events, and returns once the server has begun it: what happens from then on is handed over, whenever the
   * loop begins.
   *
   * @throws TicketingException if it cannot be opened within the deadline of this client, or is refused
   */
  public Events subscribe(StreamTicketEventsRequest request) {
    return subscribe(request, Events.SILENCE);
  }

  Events subscribe(StreamTicketEventsRequest request, Duration silence) {
    return new Events(connection, request, deadline, silence);
  }

  /** Ends the connection, and with it every call and subscription: with CANCELLED. Closing twice is fine. */
  @Override
  public void close() {
    connection.close();
  }

  private <Q, A> A call(MethodDescriptor<Q, A> method, Q request) {
    Deadline end = Repeat.after(deadline);
    CallOptions options = CallOptions.DEFAULT.withDeadline(end);
    String name = method.getBareMethodName();
    for (int sent = 1; ; sent++) {
      try {
        return ClientCalls.blockingUnaryCall(connection.over(connection.shared()), method, options, request);
      } catch (StatusRuntimeException failed) {
        TicketingException failure = TicketingException.of(failed, name, connection);
        boolean again = Repeat.safe(request) && Repeat.worthwhile(failure, sent);
        if (!again || !Repeat.rest(Repeat.pause(failure, sent), end, connection.closed)) {
          throw connection.isClosed() ? TicketingException.of(failed, name, connection) : failure;
        }
        connection.shared().resetConnectBackoff();
      }
    }
  }
}
