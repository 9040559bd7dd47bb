package com.rhythmx.ticketing.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Creates tickets for RhythmX incidents in Jira (Cloud and Data Center) and ServiceNow, effectively once: an accepted push is
 * never lost, and a repeated call never creates a second ticket.
 * A connection is a ticket system with the login and the place (project, table) of its tickets, by name. Configure adds as many as
 * needed; "jira" and "servicenow" are there from the beginning. A request with one destination takes the name in `connection`, or
 * the ticket system in `system`, which means the connection that is named after it. A name that no connection has gets NOT_FOUND
 * (CONNECTION_NOT_FOUND).
 * Errors have `google.rpc` details. Every refusal has an `ErrorInfo` with the `domain` "ticketing.rhythmx" and a `reason` that is
 * a value of `ErrorReason` without its prefix, for example "CONNECTION_NOT_ENABLED". INVALID_ARGUMENT has a `BadRequest` with
 * every violation at once, each under its field path, for example `incident.firing_rules[3].name` (indices count from 0). A
 * failed delivery is not an RPC error: the push was accepted, and `Delivery` says what happened.
 * A call that exceeds its deadline gets DEADLINE_EXCEEDED; what it had accepted by then continues. A request of more than 2 MiB
 * gets OUT_OF_RANGE (REQUEST_TOO_LARGE), and a request that cannot be decoded gets INVALID_ARGUMENT (REQUEST_MALFORMED). A caller
 * may name its request in the metadata `x-request-id` (at most 64 letters, digits and "-_.:"); the response and every log line of
 * the server about it have that ID, or one that the server generated.
 * If the server requires credentials, every call has one: a bearer token in the metadata `authorization` ("Bearer rxt_..."), or a
 * client certificate. Without a valid one a call gets UNAUTHENTICATED (CREDENTIAL_MISSING, CREDENTIAL_INVALID); a call that the
 * caller's role does not permit gets PERMISSION_DENIED (ROLE_INSUFFICIENT); a call over a limit gets RESOURCE_EXHAUSTED
 * (RATE_LIMITED, TOO_MANY_STREAMS) with `RetryInfo`. A credential has a namespace, by default "default": producers act only on
 * incidents of their own namespace. A stream ends with UNAUTHENTICATED when its credential is revoked or expires.
 * Times are UTC. Clients must accept enum values that they do not know.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class TicketingServiceGrpc {

  private TicketingServiceGrpc() {}

  public static final java.lang.String SERVICE_NAME = "rhythmx.ticketing.v1.TicketingService";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ConfigureRequest,
      com.rhythmx.ticketing.v1.ConfigureResponse> getConfigureMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Configure",
      requestType = com.rhythmx.ticketing.v1.ConfigureRequest.class,
      responseType = com.rhythmx.ticketing.v1.ConfigureResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ConfigureRequest,
      com.rhythmx.ticketing.v1.ConfigureResponse> getConfigureMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ConfigureRequest, com.rhythmx.ticketing.v1.ConfigureResponse> getConfigureMethod;
    if ((getConfigureMethod = TicketingServiceGrpc.getConfigureMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getConfigureMethod = TicketingServiceGrpc.getConfigureMethod) == null) {
          TicketingServiceGrpc.getConfigureMethod = getConfigureMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.ConfigureRequest, com.rhythmx.ticketing.v1.ConfigureResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Configure"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.ConfigureRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.ConfigureResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("Configure"))
              .build();
        }
      }
    }
    return getConfigureMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.TestConnectionRequest,
      com.rhythmx.ticketing.v1.TestConnectionResponse> getTestConnectionMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "TestConnection",
      requestType = com.rhythmx.ticketing.v1.TestConnectionRequest.class,
      responseType = com.rhythmx.ticketing.v1.TestConnectionResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.TestConnectionRequest,
      com.rhythmx.ticketing.v1.TestConnectionResponse> getTestConnectionMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.TestConnectionRequest, com.rhythmx.ticketing.v1.TestConnectionResponse> getTestConnectionMethod;
    if ((getTestConnectionMethod = TicketingServiceGrpc.getTestConnectionMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getTestConnectionMethod = TicketingServiceGrpc.getTestConnectionMethod) == null) {
          TicketingServiceGrpc.getTestConnectionMethod = getTestConnectionMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.TestConnectionRequest, com.rhythmx.ticketing.v1.TestConnectionResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "TestConnection"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.TestConnectionRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.TestConnectionResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("TestConnection"))
              .build();
        }
      }
    }
    return getTestConnectionMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.GetStatusRequest,
      com.rhythmx.ticketing.v1.GetStatusResponse> getGetStatusMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetStatus",
      requestType = com.rhythmx.ticketing.v1.GetStatusRequest.class,
      responseType = com.rhythmx.ticketing.v1.GetStatusResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.GetStatusRequest,
      com.rhythmx.ticketing.v1.GetStatusResponse> getGetStatusMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.GetStatusRequest, com.rhythmx.ticketing.v1.GetStatusResponse> getGetStatusMethod;
    if ((getGetStatusMethod = TicketingServiceGrpc.getGetStatusMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getGetStatusMethod = TicketingServiceGrpc.getGetStatusMethod) == null) {
          TicketingServiceGrpc.getGetStatusMethod = getGetStatusMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.GetStatusRequest, com.rhythmx.ticketing.v1.GetStatusResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetStatus"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.GetStatusRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.GetStatusResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("GetStatus"))
              .build();
        }
      }
    }
    return getGetStatusMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.PreviewTicketRequest,
      com.rhythmx.ticketing.v1.PreviewTicketResponse> getPreviewTicketMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "PreviewTicket",
      requestType = com.rhythmx.ticketing.v1.PreviewTicketRequest.class,
      responseType = com.rhythmx.ticketing.v1.PreviewTicketResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.PreviewTicketRequest,
      com.rhythmx.ticketing.v1.PreviewTicketResponse> getPreviewTicketMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.PreviewTicketRequest, com.rhythmx.ticketing.v1.PreviewTicketResponse> getPreviewTicketMethod;
    if ((getPreviewTicketMethod = TicketingServiceGrpc.getPreviewTicketMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getPreviewTicketMethod = TicketingServiceGrpc.getPreviewTicketMethod) == null) {
          TicketingServiceGrpc.getPreviewTicketMethod = getPreviewTicketMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.PreviewTicketRequest, com.rhythmx.ticketing.v1.PreviewTicketResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "PreviewTicket"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.PreviewTicketRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.PreviewTicketResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("PreviewTicket"))
              .build();
        }
      }
    }
    return getPreviewTicketMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.CreateTicketRequest,
      com.rhythmx.ticketing.v1.CreateTicketResponse> getCreateTicketMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CreateTicket",
      requestType = com.rhythmx.ticketing.v1.CreateTicketRequest.class,
      responseType = com.rhythmx.ticketing.v1.CreateTicketResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.CreateTicketRequest,
      com.rhythmx.ticketing.v1.CreateTicketResponse> getCreateTicketMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.CreateTicketRequest, com.rhythmx.ticketing.v1.CreateTicketResponse> getCreateTicketMethod;
    if ((getCreateTicketMethod = TicketingServiceGrpc.getCreateTicketMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getCreateTicketMethod = TicketingServiceGrpc.getCreateTicketMethod) == null) {
          TicketingServiceGrpc.getCreateTicketMethod = getCreateTicketMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.CreateTicketRequest, com.rhythmx.ticketing.v1.CreateTicketResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CreateTicket"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.CreateTicketRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.CreateTicketResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("CreateTicket"))
              .build();
        }
      }
    }
    return getCreateTicketMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.SubmitIncidentRequest,
      com.rhythmx.ticketing.v1.SubmitIncidentResponse> getSubmitIncidentMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "SubmitIncident",
      requestType = com.rhythmx.ticketing.v1.SubmitIncidentRequest.class,
      responseType = com.rhythmx.ticketing.v1.SubmitIncidentResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.SubmitIncidentRequest,
      com.rhythmx.ticketing.v1.SubmitIncidentResponse> getSubmitIncidentMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.SubmitIncidentRequest, com.rhythmx.ticketing.v1.SubmitIncidentResponse> getSubmitIncidentMethod;
    if ((getSubmitIncidentMethod = TicketingServiceGrpc.getSubmitIncidentMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getSubmitIncidentMethod = TicketingServiceGrpc.getSubmitIncidentMethod) == null) {
          TicketingServiceGrpc.getSubmitIncidentMethod = getSubmitIncidentMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.SubmitIncidentRequest, com.rhythmx.ticketing.v1.SubmitIncidentResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "SubmitIncident"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.SubmitIncidentRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.SubmitIncidentResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("SubmitIncident"))
              .build();
        }
      }
    }
    return getSubmitIncidentMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.StreamTicketEventsRequest,
      com.rhythmx.ticketing.v1.StreamTicketEventsResponse> getStreamTicketEventsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "StreamTicketEvents",
      requestType = com.rhythmx.ticketing.v1.StreamTicketEventsRequest.class,
      responseType = com.rhythmx.ticketing.v1.StreamTicketEventsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.StreamTicketEventsRequest,
      com.rhythmx.ticketing.v1.StreamTicketEventsResponse> getStreamTicketEventsMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.StreamTicketEventsRequest, com.rhythmx.ticketing.v1.StreamTicketEventsResponse> getStreamTicketEventsMethod;
    if ((getStreamTicketEventsMethod = TicketingServiceGrpc.getStreamTicketEventsMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getStreamTicketEventsMethod = TicketingServiceGrpc.getStreamTicketEventsMethod) == null) {
          TicketingServiceGrpc.getStreamTicketEventsMethod = getStreamTicketEventsMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.StreamTicketEventsRequest, com.rhythmx.ticketing.v1.StreamTicketEventsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "StreamTicketEvents"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.StreamTicketEventsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.StreamTicketEventsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("StreamTicketEvents"))
              .build();
        }
      }
    }
    return getStreamTicketEventsMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.GetDeliveryRequest,
      com.rhythmx.ticketing.v1.GetDeliveryResponse> getGetDeliveryMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "GetDelivery",
      requestType = com.rhythmx.ticketing.v1.GetDeliveryRequest.class,
      responseType = com.rhythmx.ticketing.v1.GetDeliveryResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.GetDeliveryRequest,
      com.rhythmx.ticketing.v1.GetDeliveryResponse> getGetDeliveryMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.GetDeliveryRequest, com.rhythmx.ticketing.v1.GetDeliveryResponse> getGetDeliveryMethod;
    if ((getGetDeliveryMethod = TicketingServiceGrpc.getGetDeliveryMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getGetDeliveryMethod = TicketingServiceGrpc.getGetDeliveryMethod) == null) {
          TicketingServiceGrpc.getGetDeliveryMethod = getGetDeliveryMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.GetDeliveryRequest, com.rhythmx.ticketing.v1.GetDeliveryResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "GetDelivery"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.GetDeliveryRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.GetDeliveryResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("GetDelivery"))
              .build();
        }
      }
    }
    return getGetDeliveryMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ListDeliveriesRequest,
      com.rhythmx.ticketing.v1.ListDeliveriesResponse> getListDeliveriesMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListDeliveries",
      requestType = com.rhythmx.ticketing.v1.ListDeliveriesRequest.class,
      responseType = com.rhythmx.ticketing.v1.ListDeliveriesResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ListDeliveriesRequest,
      com.rhythmx.ticketing.v1.ListDeliveriesResponse> getListDeliveriesMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ListDeliveriesRequest, com.rhythmx.ticketing.v1.ListDeliveriesResponse> getListDeliveriesMethod;
    if ((getListDeliveriesMethod = TicketingServiceGrpc.getListDeliveriesMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getListDeliveriesMethod = TicketingServiceGrpc.getListDeliveriesMethod) == null) {
          TicketingServiceGrpc.getListDeliveriesMethod = getListDeliveriesMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.ListDeliveriesRequest, com.rhythmx.ticketing.v1.ListDeliveriesResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListDeliveries"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.ListDeliveriesRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.ListDeliveriesResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("ListDeliveries"))
              .build();
        }
      }
    }
    return getListDeliveriesMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.RetryDeliveryRequest,
      com.rhythmx.ticketing.v1.RetryDeliveryResponse> getRetryDeliveryMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "RetryDelivery",
      requestType = com.rhythmx.ticketing.v1.RetryDeliveryRequest.class,
      responseType = com.rhythmx.ticketing.v1.RetryDeliveryResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.RetryDeliveryRequest,
      com.rhythmx.ticketing.v1.RetryDeliveryResponse> getRetryDeliveryMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.RetryDeliveryRequest, com.rhythmx.ticketing.v1.RetryDeliveryResponse> getRetryDeliveryMethod;
    if ((getRetryDeliveryMethod = TicketingServiceGrpc.getRetryDeliveryMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getRetryDeliveryMethod = TicketingServiceGrpc.getRetryDeliveryMethod) == null) {
          TicketingServiceGrpc.getRetryDeliveryMethod = getRetryDeliveryMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.RetryDeliveryRequest, com.rhythmx.ticketing.v1.RetryDeliveryResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "RetryDelivery"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.RetryDeliveryRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.RetryDeliveryResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("RetryDelivery"))
              .build();
        }
      }
    }
    return getRetryDeliveryMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.RetryDeliveriesRequest,
      com.rhythmx.ticketing.v1.RetryDeliveriesResponse> getRetryDeliveriesMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "RetryDeliveries",
      requestType = com.rhythmx.ticketing.v1.RetryDeliveriesRequest.class,
      responseType = com.rhythmx.ticketing.v1.RetryDeliveriesResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.RetryDeliveriesRequest,
      com.rhythmx.ticketing.v1.RetryDeliveriesResponse> getRetryDeliveriesMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.RetryDeliveriesRequest, com.rhythmx.ticketing.v1.RetryDeliveriesResponse> getRetryDeliveriesMethod;
    if ((getRetryDeliveriesMethod = TicketingServiceGrpc.getRetryDeliveriesMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getRetryDeliveriesMethod = TicketingServiceGrpc.getRetryDeliveriesMethod) == null) {
          TicketingServiceGrpc.getRetryDeliveriesMethod = getRetryDeliveriesMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.RetryDeliveriesRequest, com.rhythmx.ticketing.v1.RetryDeliveriesResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "RetryDeliveries"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.RetryDeliveriesRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.RetryDeliveriesResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("RetryDeliveries"))
              .build();
        }
      }
    }
    return getRetryDeliveriesMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.CancelDeliveryRequest,
      com.rhythmx.ticketing.v1.CancelDeliveryResponse> getCancelDeliveryMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "CancelDelivery",
      requestType = com.rhythmx.ticketing.v1.CancelDeliveryRequest.class,
      responseType = com.rhythmx.ticketing.v1.CancelDeliveryResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.CancelDeliveryRequest,
      com.rhythmx.ticketing.v1.CancelDeliveryResponse> getCancelDeliveryMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.CancelDeliveryRequest, com.rhythmx.ticketing.v1.CancelDeliveryResponse> getCancelDeliveryMethod;
    if ((getCancelDeliveryMethod = TicketingServiceGrpc.getCancelDeliveryMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getCancelDeliveryMethod = TicketingServiceGrpc.getCancelDeliveryMethod) == null) {
          TicketingServiceGrpc.getCancelDeliveryMethod = getCancelDeliveryMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.CancelDeliveryRequest, com.rhythmx.ticketing.v1.CancelDeliveryResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "CancelDelivery"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.CancelDeliveryRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.CancelDeliveryResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("CancelDelivery"))
              .build();
        }
      }
    }
    return getCancelDeliveryMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ResolveDeliveryRequest,
      com.rhythmx.ticketing.v1.ResolveDeliveryResponse> getResolveDeliveryMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ResolveDelivery",
      requestType = com.rhythmx.ticketing.v1.ResolveDeliveryRequest.class,
      responseType = com.rhythmx.ticketing.v1.ResolveDeliveryResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ResolveDeliveryRequest,
      com.rhythmx.ticketing.v1.ResolveDeliveryResponse> getResolveDeliveryMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ResolveDeliveryRequest, com.rhythmx.ticketing.v1.ResolveDeliveryResponse> getResolveDeliveryMethod;
    if ((getResolveDeliveryMethod = TicketingServiceGrpc.getResolveDeliveryMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getResolveDeliveryMethod = TicketingServiceGrpc.getResolveDeliveryMethod) == null) {
          TicketingServiceGrpc.getResolveDeliveryMethod = getResolveDeliveryMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.ResolveDeliveryRequest, com.rhythmx.ticketing.v1.ResolveDeliveryResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ResolveDelivery"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.ResolveDeliveryRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.ResolveDeliveryResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("ResolveDelivery"))
              .build();
        }
      }
    }
    return getResolveDeliveryMethod;
  }

  private static volatile io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ListAuditEntriesRequest,
      com.rhythmx.ticketing.v1.ListAuditEntriesResponse> getListAuditEntriesMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "ListAuditEntries",
      requestType = com.rhythmx.ticketing.v1.ListAuditEntriesRequest.class,
      responseType = com.rhythmx.ticketing.v1.ListAuditEntriesResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ListAuditEntriesRequest,
      com.rhythmx.ticketing.v1.ListAuditEntriesResponse> getListAuditEntriesMethod() {
    io.grpc.MethodDescriptor<com.rhythmx.ticketing.v1.ListAuditEntriesRequest, com.rhythmx.ticketing.v1.ListAuditEntriesResponse> getListAuditEntriesMethod;
    if ((getListAuditEntriesMethod = TicketingServiceGrpc.getListAuditEntriesMethod) == null) {
      synchronized (TicketingServiceGrpc.class) {
        if ((getListAuditEntriesMethod = TicketingServiceGrpc.getListAuditEntriesMethod) == null) {
          TicketingServiceGrpc.getListAuditEntriesMethod = getListAuditEntriesMethod =
              io.grpc.MethodDescriptor.<com.rhythmx.ticketing.v1.ListAuditEntriesRequest, com.rhythmx.ticketing.v1.ListAuditEntriesResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "ListAuditEntries"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.ListAuditEntriesRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  com.rhythmx.ticketing.v1.ListAuditEntriesResponse.getDefaultInstance()))
              .setSchemaDescriptor(new TicketingServiceMethodDescriptorSupplier("ListAuditEntries"))
              .build();
        }
      }
    }
    return getListAuditEntriesMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static TicketingServiceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<TicketingServiceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<TicketingServiceStub>() {
        @java.lang.Override
        public TicketingServiceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new TicketingServiceStub(channel, callOptions);
        }
      };
    return TicketingServiceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static TicketingServiceBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<TicketingServiceBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<TicketingServiceBlockingV2Stub>() {
        @java.lang.Override
        public TicketingServiceBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new TicketingServiceBlockingV2Stub(channel, callOptions);
        }
      };
    return TicketingServiceBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static TicketingServiceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<TicketingServiceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<TicketingServiceBlockingStub>() {
        @java.lang.Override
        public TicketingServiceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new TicketingServiceBlockingStub(channel, callOptions);
        }
      };
    return TicketingServiceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static TicketingServiceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<TicketingServiceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<TicketingServiceFutureStub>() {
        @java.lang.Override
        public TicketingServiceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new TicketingServiceFutureStub(channel, callOptions);
        }
      };
    return TicketingServiceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Creates tickets for RhythmX incidents in Jira (Cloud and Data Center) and ServiceNow, effectively once: an accepted push is
   * never lost, and a repeated call never creates a second ticket.
   * A connection is a ticket system with the login and the place (project, table) of its tickets, by name. Configure adds as many as
   * needed; "jira" and "servicenow" are there from the beginning. A request with one destination takes the name in `connection`, or
   * the ticket system in `system`, which means the connection that is named after it. A name that no connection has gets NOT_FOUND
   * (CONNECTION_NOT_FOUND).
   * Errors have `google.rpc` details. Every refusal has an `ErrorInfo` with the `domain` "ticketing.rhythmx" and a `reason` that is
   * a value of `ErrorReason` without its prefix, for example "CONNECTION_NOT_ENABLED". INVALID_ARGUMENT has a `BadRequest` with
   * every violation at once, each under its field path, for example `incident.firing_rules[3].name` (indices count from 0). A
   * failed delivery is not an RPC error: the push was accepted, and `Delivery` says what happened.
   * A call that exceeds its deadline gets DEADLINE_EXCEEDED; what it had accepted by then continues. A request of more than 2 MiB
   * gets OUT_OF_RANGE (REQUEST_TOO_LARGE), and a request that cannot be decoded gets INVALID_ARGUMENT (REQUEST_MALFORMED). A caller
   * may name its request in the metadata `x-request-id` (at most 64 letters, digits and "-_.:"); the response and every log line of
   * the server about it have that ID, or one that the server generated.
   * If the server requires credentials, every call has one: a bearer token in the metadata `authorization` ("Bearer rxt_..."), or a
   * client certificate. Without a valid one a call gets UNAUTHENTICATED (CREDENTIAL_MISSING, CREDENTIAL_INVALID); a call that the
   * caller's role does not permit gets PERMISSION_DENIED (ROLE_INSUFFICIENT); a call over a limit gets RESOURCE_EXHAUSTED
   * (RATE_LIMITED, TOO_MANY_STREAMS) with `RetryInfo`. A credential has a namespace, by default "default": producers act only on
   * incidents of their own namespace. A stream ends with UNAUTHENTICATED when its credential is revoked or expires.
   * Times are UTC. Clients must accept enum values that they do not know.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * Changes settings. A field that is set replaces the stored value, a field that is absent keeps it: `{"jira":{"enabled":true}}`
     * is a toggle. The whole request is validated, and either all of it is stored or nothing. When the settings of a connection
     * change, its waiting deliveries become due at once. A connection is added by its first settings, and removed by its name.
     * Errors: INVALID_ARGUMENT (SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND, to be removed),
     * FAILED_PRECONDITION (CONNECTION_IN_USE), ABORTED (SETTINGS_CHANGED).
     * </pre>
     */
    default void configure(com.rhythmx.ticketing.v1.ConfigureRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ConfigureResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getConfigureMethod(), responseObserver);
    }

    /**
     * <pre>
     * Makes a few calls to the ticket system that prove authentication and access (project, issue type and create permission; table
     * and assignment group) and create nothing. Accepts unsaved settings, which are merged over the saved ones. A failed check is
     * part of the response and not an error. Time and outcome of a test of saved settings are stored.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED), RESOURCE_EXHAUSTED (RATE_LIMITED; by default after 30 tests a minute, of all
     * callers together).
     * </pre>
     */
    default void testConnection(com.rhythmx.ticketing.v1.TestConnectionRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.TestConnectionResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getTestConnectionMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns for each connection whether it is configured and enabled, its last test, the number of its deliveries in each state
     * and its condition; and the auto-push and retry settings in force.
     * </pre>
     */
    default void getStatus(com.rhythmx.ticketing.v1.GetStatusRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.GetStatusResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetStatusMethod(), responseObserver);
    }

    /**
     * <pre>
     * Renders the ticket exactly as it would be pushed, and lists what was cut or left out. Stores nothing and creates nothing. Reads
     * from the ticket system what it offers (issue types, priorities, groups); if the connection is not configured or cannot be
     * queried, `adjustments` lists what could not be checked.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND).
     * </pre>
     */
    default void previewTicket(com.rhythmx.ticketing.v1.PreviewTicketRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.PreviewTicketResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getPreviewTicketMethod(), responseObserver);
    }

    /**
     * <pre>
     * Pushes an incident to one connection. The push is durable before the first byte is sent to the ticket system. The call then
     * waits for the first attempt until its deadline (30 s if it has none), and returns the ticket, or when and why the push will be
     * retried. There is one delivery for an incident and a connection: if the ticket exists, the call returns it with
     * `already_existed`; if the delivery waits or failed, it is tried now. The same incident ID with different content replaces the
     * content of the next attempt, as long as nothing was sent.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED, DELIVERY_STATE for a cancelled delivery:
     * RetryDelivery retries it).
     * </pre>
     */
    default void createTicket(com.rhythmx.ticketing.v1.CreateTicketRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.CreateTicketResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCreateTicketMethod(), responseObserver);
    }

    /**
     * <pre>
     * Submits a new incident to auto-push: its severity is compared with the minimum severity, and it is pushed to each selected
     * connection at once. Returns the decision for every connection as soon as the deliveries are durable, without waiting for the
     * ticket systems. Submitting the same incident again is safe.
     * An incident belongs to the namespace of the credential that pushed it first. A producer with a credential of another namespace
     * is refused, and the refusal says nothing about the incident.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER).
     * </pre>
     */
    default void submitIncident(com.rhythmx.ticketing.v1.SubmitIncidentRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.SubmitIncidentResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getSubmitIncidentMethod(), responseObserver);
    }

    /**
     * <pre>
     * Streams the events of deliveries and connections. Within a stream events are ordered, unique and gap-free; across reconnects
     * every event is received at least once if the client resumes with the last token that it has processed. Bookmarks arrive every
     * 10 s, so that the token of a filtered stream advances too. The stream does not end by itself. A producer receives only the
     * events of incidents of its namespace that it requested first.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, RESUME_TOKEN_INVALID), OUT_OF_RANGE (RESUME_TOKEN_EXPIRED),
     * RESOURCE_EXHAUSTED (SUBSCRIBER_TOO_SLOW), UNAVAILABLE (SHUTTING_DOWN).
     * </pre>
     */
    default void streamTicketEvents(com.rhythmx.ticketing.v1.StreamTicketEventsRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.StreamTicketEventsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getStreamTicketEventsMethod(), responseObserver);
    }

    /**
     * <pre>
     * Returns one delivery with its attempts, the newest 200 at most.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND).
     * </pre>
     */
    default void getDelivery(com.rhythmx.ticketing.v1.GetDeliveryRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.GetDeliveryResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetDeliveryMethod(), responseObserver);
    }

    /**
     * <pre>
     * Lists deliveries, the newest first, page by page. Each call examines a bounded number of deliveries and returns at most 1 MiB,
     * so a page may be short or empty though it is not the last: continue until `next_page_token` is empty.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    default void listDeliveries(com.rhythmx.ticketing.v1.ListDeliveriesRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ListDeliveriesResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListDeliveriesMethod(), responseObserver);
    }

    /**
     * <pre>
     * Tries a WAITING, FAILED or CANCELLED delivery now, and makes the look-up of a RECONCILING one due now; a PENDING one is tried
     * shortly anyway. Restores the retries of a FAILED or CANCELLED delivery. Waits for the attempt like CreateTicket.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * CONTENT_REMOVED, CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED).
     * </pre>
     */
    default void retryDelivery(com.rhythmx.ticketing.v1.RetryDeliveryRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.RetryDeliveryResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getRetryDeliveryMethod(), responseObserver);
    }

    /**
     * <pre>
     * Retries the deliveries that match a filter, like RetryDelivery and without waiting for their attempts, one bounded page a call.
     * Call again with `next_page_token` until it is empty; the same page may be requested twice. If the outcome of an earlier send is
     * unknown, the ticket is looked up, never created anyway. Each call adds one audit entry.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    default void retryDeliveries(com.rhythmx.ticketing.v1.RetryDeliveriesRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.RetryDeliveriesResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getRetryDeliveriesMethod(), responseObserver);
    }

    /**
     * <pre>
     * Cancels a PENDING, WAITING, RECONCILING or FAILED delivery. It is kept and not retried automatically; sends with an unknown
     * outcome are kept too, so that a later RetryDelivery looks for their ticket first. A cancelled delivery is returned unchanged.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE).
     * </pre>
     */
    default void cancelDelivery(com.rhythmx.ticketing.v1.CancelDeliveryRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.CancelDeliveryResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCancelDeliveryMethod(), responseObserver);
    }

    /**
     * <pre>
     * Names the ticket of a delivery. The ticket is read first: it must exist in the place where the connection creates tickets, and
     * must not be another incident's. Key, ID and address are taken from the ticket. The delivery becomes DELIVERED. A later call
     * with another ticket corrects a ticket that an operator named; a ticket that the service created or found stays. Earlier sends
     * with an unknown outcome are kept, and duplicate scans search for them later.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * TICKET_NOT_FOUND, TICKET_IN_USE; TICKET_UNVERIFIED if the ticket system could not be queried and `allow_unverified` is not
     * set).
     * </pre>
     */
    default void resolveDelivery(com.rhythmx.ticketing.v1.ResolveDeliveryRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ResolveDeliveryResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getResolveDeliveryMethod(), responseObserver);
    }

    /**
     * <pre>
     * Lists the audit log, the newest entry first, page by page: changes of settings, deliveries and tokens, tests of unsaved
     * credentials, and refused changes.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    default void listAuditEntries(com.rhythmx.ticketing.v1.ListAuditEntriesRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ListAuditEntriesResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListAuditEntriesMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service TicketingService.
   * <pre>
   * Creates tickets for RhythmX incidents in Jira (Cloud and Data Center) and ServiceNow, effectively once: an accepted push is
   * never lost, and a repeated call never creates a second ticket.
   * A connection is a ticket system with the login and the place (project, table) of its tickets, by name. Configure adds as many as
   * needed; "jira" and "servicenow" are there from the beginning. A request with one destination takes the name in `connection`, or
   * the ticket system in `system`, which means the connection that is named after it. A name that no connection has gets NOT_FOUND
   * (CONNECTION_NOT_FOUND).
   * Errors have `google.rpc` details. Every refusal has an `ErrorInfo` with the `domain` "ticketing.rhythmx" and a `reason` that is
   * a value of `ErrorReason` without its prefix, for example "CONNECTION_NOT_ENABLED". INVALID_ARGUMENT has a `BadRequest` with
   * every violation at once, each under its field path, for example `incident.firing_rules[3].name` (indices count from 0). A
   * failed delivery is not an RPC error: the push was accepted, and `Delivery` says what happened.
   * A call that exceeds its deadline gets DEADLINE_EXCEEDED; what it had accepted by then continues. A request of more than 2 MiB
   * gets OUT_OF_RANGE (REQUEST_TOO_LARGE), and a request that cannot be decoded gets INVALID_ARGUMENT (REQUEST_MALFORMED). A caller
   * may name its request in the metadata `x-request-id` (at most 64 letters, digits and "-_.:"); the response and every log line of
   * the server about it have that ID, or one that the server generated.
   * If the server requires credentials, every call has one: a bearer token in the metadata `authorization` ("Bearer rxt_..."), or a
   * client certificate. Without a valid one a call gets UNAUTHENTICATED (CREDENTIAL_MISSING, CREDENTIAL_INVALID); a call that the
   * caller's role does not permit gets PERMISSION_DENIED (ROLE_INSUFFICIENT); a call over a limit gets RESOURCE_EXHAUSTED
   * (RATE_LIMITED, TOO_MANY_STREAMS) with `RetryInfo`. A credential has a namespace, by default "default": producers act only on
   * incidents of their own namespace. A stream ends with UNAUTHENTICATED when its credential is revoked or expires.
   * Times are UTC. Clients must accept enum values that they do not know.
   * </pre>
   */
  public static abstract class TicketingServiceImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return TicketingServiceGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service TicketingService.
   * <pre>
   * Creates tickets for RhythmX incidents in Jira (Cloud and Data Center) and ServiceNow, effectively once: an accepted push is
   * never lost, and a repeated call never creates a second ticket.
   * A connection is a ticket system with the login and the place (project, table) of its tickets, by name. Configure adds as many as
   * needed; "jira" and "servicenow" are there from the beginning. A request with one destination takes the name in `connection`, or
   * the ticket system in `system`, which means the connection that is named after it. A name that no connection has gets NOT_FOUND
   * (CONNECTION_NOT_FOUND).
   * Errors have `google.rpc` details. Every refusal has an `ErrorInfo` with the `domain` "ticketing.rhythmx" and a `reason` that is
   * a value of `ErrorReason` without its prefix, for example "CONNECTION_NOT_ENABLED". INVALID_ARGUMENT has a `BadRequest` with
   * every violation at once, each under its field path, for example `incident.firing_rules[3].name` (indices count from 0). A
   * failed delivery is not an RPC error: the push was accepted, and `Delivery` says what happened.
   * A call that exceeds its deadline gets DEADLINE_EXCEEDED; what it had accepted by then continues. A request of more than 2 MiB
   * gets OUT_OF_RANGE (REQUEST_TOO_LARGE), and a request that cannot be decoded gets INVALID_ARGUMENT (REQUEST_MALFORMED). A caller
   * may name its request in the metadata `x-request-id` (at most 64 letters, digits and "-_.:"); the response and every log line of
   * the server about it have that ID, or one that the server generated.
   * If the server requires credentials, every call has one: a bearer token in the metadata `authorization` ("Bearer rxt_..."), or a
   * client certificate. Without a valid one a call gets UNAUTHENTICATED (CREDENTIAL_MISSING, CREDENTIAL_INVALID); a call that the
   * caller's role does not permit gets PERMISSION_DENIED (ROLE_INSUFFICIENT); a call over a limit gets RESOURCE_EXHAUSTED
   * (RATE_LIMITED, TOO_MANY_STREAMS) with `RetryInfo`. A credential has a namespace, by default "default": producers act only on
   * incidents of their own namespace. A stream ends with UNAUTHENTICATED when its credential is revoked or expires.
   * Times are UTC. Clients must accept enum values that they do not know.
   * </pre>
   */
  public static final class TicketingServiceStub
      extends io.grpc.stub.AbstractAsyncStub<TicketingServiceStub> {
    private TicketingServiceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected TicketingServiceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new TicketingServiceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Changes settings. A field that is set replaces the stored value, a field that is absent keeps it: `{"jira":{"enabled":true}}`
     * is a toggle. The whole request is validated, and either all of it is stored or nothing. When the settings of a connection
     * change, its waiting deliveries become due at once. A connection is added by its first settings, and removed by its name.
     * Errors: INVALID_ARGUMENT (SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND, to be removed),
     * FAILED_PRECONDITION (CONNECTION_IN_USE), ABORTED (SETTINGS_CHANGED).
     * </pre>
     */
    public void configure(com.rhythmx.ticketing.v1.ConfigureRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ConfigureResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getConfigureMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Makes a few calls to the ticket system that prove authentication and access (project, issue type and create permission; table
     * and assignment group) and create nothing. Accepts unsaved settings, which are merged over the saved ones. A failed check is
     * part of the response and not an error. Time and outcome of a test of saved settings are stored.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED), RESOURCE_EXHAUSTED (RATE_LIMITED; by default after 30 tests a minute, of all
     * callers together).
     * </pre>
     */
    public void testConnection(com.rhythmx.ticketing.v1.TestConnectionRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.TestConnectionResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getTestConnectionMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns for each connection whether it is configured and enabled, its last test, the number of its deliveries in each state
     * and its condition; and the auto-push and retry settings in force.
     * </pre>
     */
    public void getStatus(com.rhythmx.ticketing.v1.GetStatusRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.GetStatusResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetStatusMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Renders the ticket exactly as it would be pushed, and lists what was cut or left out. Stores nothing and creates nothing. Reads
     * from the ticket system what it offers (issue types, priorities, groups); if the connection is not configured or cannot be
     * queried, `adjustments` lists what could not be checked.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND).
     * </pre>
     */
    public void previewTicket(com.rhythmx.ticketing.v1.PreviewTicketRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.PreviewTicketResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getPreviewTicketMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Pushes an incident to one connection. The push is durable before the first byte is sent to the ticket system. The call then
     * waits for the first attempt until its deadline (30 s if it has none), and returns the ticket, or when and why the push will be
     * retried. There is one delivery for an incident and a connection: if the ticket exists, the call returns it with
     * `already_existed`; if the delivery waits or failed, it is tried now. The same incident ID with different content replaces the
     * content of the next attempt, as long as nothing was sent.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED, DELIVERY_STATE for a cancelled delivery:
     * RetryDelivery retries it).
     * </pre>
     */
    public void createTicket(com.rhythmx.ticketing.v1.CreateTicketRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.CreateTicketResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCreateTicketMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Submits a new incident to auto-push: its severity is compared with the minimum severity, and it is pushed to each selected
     * connection at once. Returns the decision for every connection as soon as the deliveries are durable, without waiting for the
     * ticket systems. Submitting the same incident again is safe.
     * An incident belongs to the namespace of the credential that pushed it first. A producer with a credential of another namespace
     * is refused, and the refusal says nothing about the incident.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER).
     * </pre>
     */
    public void submitIncident(com.rhythmx.ticketing.v1.SubmitIncidentRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.SubmitIncidentResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getSubmitIncidentMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Streams the events of deliveries and connections. Within a stream events are ordered, unique and gap-free; across reconnects
     * every event is received at least once if the client resumes with the last token that it has processed. Bookmarks arrive every
     * 10 s, so that the token of a filtered stream advances too. The stream does not end by itself. A producer receives only the
     * events of incidents of its namespace that it requested first.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, RESUME_TOKEN_INVALID), OUT_OF_RANGE (RESUME_TOKEN_EXPIRED),
     * RESOURCE_EXHAUSTED (SUBSCRIBER_TOO_SLOW), UNAVAILABLE (SHUTTING_DOWN).
     * </pre>
     */
    public void streamTicketEvents(com.rhythmx.ticketing.v1.StreamTicketEventsRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.StreamTicketEventsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getStreamTicketEventsMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Returns one delivery with its attempts, the newest 200 at most.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND).
     * </pre>
     */
    public void getDelivery(com.rhythmx.ticketing.v1.GetDeliveryRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.GetDeliveryResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getGetDeliveryMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Lists deliveries, the newest first, page by page. Each call examines a bounded number of deliveries and returns at most 1 MiB,
     * so a page may be short or empty though it is not the last: continue until `next_page_token` is empty.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public void listDeliveries(com.rhythmx.ticketing.v1.ListDeliveriesRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ListDeliveriesResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListDeliveriesMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Tries a WAITING, FAILED or CANCELLED delivery now, and makes the look-up of a RECONCILING one due now; a PENDING one is tried
     * shortly anyway. Restores the retries of a FAILED or CANCELLED delivery. Waits for the attempt like CreateTicket.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * CONTENT_REMOVED, CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED).
     * </pre>
     */
    public void retryDelivery(com.rhythmx.ticketing.v1.RetryDeliveryRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.RetryDeliveryResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getRetryDeliveryMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Retries the deliveries that match a filter, like RetryDelivery and without waiting for their attempts, one bounded page a call.
     * Call again with `next_page_token` until it is empty; the same page may be requested twice. If the outcome of an earlier send is
     * unknown, the ticket is looked up, never created anyway. Each call adds one audit entry.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public void retryDeliveries(com.rhythmx.ticketing.v1.RetryDeliveriesRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.RetryDeliveriesResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getRetryDeliveriesMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Cancels a PENDING, WAITING, RECONCILING or FAILED delivery. It is kept and not retried automatically; sends with an unknown
     * outcome are kept too, so that a later RetryDelivery looks for their ticket first. A cancelled delivery is returned unchanged.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE).
     * </pre>
     */
    public void cancelDelivery(com.rhythmx.ticketing.v1.CancelDeliveryRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.CancelDeliveryResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCancelDeliveryMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Names the ticket of a delivery. The ticket is read first: it must exist in the place where the connection creates tickets, and
     * must not be another incident's. Key, ID and address are taken from the ticket. The delivery becomes DELIVERED. A later call
     * with another ticket corrects a ticket that an operator named; a ticket that the service created or found stays. Earlier sends
     * with an unknown outcome are kept, and duplicate scans search for them later.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * TICKET_NOT_FOUND, TICKET_IN_USE; TICKET_UNVERIFIED if the ticket system could not be queried and `allow_unverified` is not
     * set).
     * </pre>
     */
    public void resolveDelivery(com.rhythmx.ticketing.v1.ResolveDeliveryRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ResolveDeliveryResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getResolveDeliveryMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Lists the audit log, the newest entry first, page by page: changes of settings, deliveries and tokens, tests of unsaved
     * credentials, and refused changes.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public void listAuditEntries(com.rhythmx.ticketing.v1.ListAuditEntriesRequest request,
        io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ListAuditEntriesResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getListAuditEntriesMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service TicketingService.
   * <pre>
   * Creates tickets for RhythmX incidents in Jira (Cloud and Data Center) and ServiceNow, effectively once: an accepted push is
   * never lost, and a repeated call never creates a second ticket.
   * A connection is a ticket system with the login and the place (project, table) of its tickets, by name. Configure adds as many as
   * needed; "jira" and "servicenow" are there from the beginning. A request with one destination takes the name in `connection`, or
   * the ticket system in `system`, which means the connection that is named after it. A name that no connection has gets NOT_FOUND
   * (CONNECTION_NOT_FOUND).
   * Errors have `google.rpc` details. Every refusal has an `ErrorInfo` with the `domain` "ticketing.rhythmx" and a `reason` that is
   * a value of `ErrorReason` without its prefix, for example "CONNECTION_NOT_ENABLED". INVALID_ARGUMENT has a `BadRequest` with
   * every violation at once, each under its field path, for example `incident.firing_rules[3].name` (indices count from 0). A
   * failed delivery is not an RPC error: the push was accepted, and `Delivery` says what happened.
   * A call that exceeds its deadline gets DEADLINE_EXCEEDED; what it had accepted by then continues. A request of more than 2 MiB
   * gets OUT_OF_RANGE (REQUEST_TOO_LARGE), and a request that cannot be decoded gets INVALID_ARGUMENT (REQUEST_MALFORMED). A caller
   * may name its request in the metadata `x-request-id` (at most 64 letters, digits and "-_.:"); the response and every log line of
   * the server about it have that ID, or one that the server generated.
   * If the server requires credentials, every call has one: a bearer token in the metadata `authorization` ("Bearer rxt_..."), or a
   * client certificate. Without a valid one a call gets UNAUTHENTICATED (CREDENTIAL_MISSING, CREDENTIAL_INVALID); a call that the
   * caller's role does not permit gets PERMISSION_DENIED (ROLE_INSUFFICIENT); a call over a limit gets RESOURCE_EXHAUSTED
   * (RATE_LIMITED, TOO_MANY_STREAMS) with `RetryInfo`. A credential has a namespace, by default "default": producers act only on
   * incidents of their own namespace. A stream ends with UNAUTHENTICATED when its credential is revoked or expires.
   * Times are UTC. Clients must accept enum values that they do not know.
   * </pre>
   */
  public static final class TicketingServiceBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<TicketingServiceBlockingV2Stub> {
    private TicketingServiceBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected TicketingServiceBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new TicketingServiceBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * Changes settings. A field that is set replaces the stored value, a field that is absent keeps it: `{"jira":{"enabled":true}}`
     * is a toggle. The whole request is validated, and either all of it is stored or nothing. When the settings of a connection
     * change, its waiting deliveries become due at once. A connection is added by its first settings, and removed by its name.
     * Errors: INVALID_ARGUMENT (SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND, to be removed),
     * FAILED_PRECONDITION (CONNECTION_IN_USE), ABORTED (SETTINGS_CHANGED).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.ConfigureResponse configure(com.rhythmx.ticketing.v1.ConfigureRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getConfigureMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Makes a few calls to the ticket system that prove authentication and access (project, issue type and create permission; table
     * and assignment group) and create nothing. Accepts unsaved settings, which are merged over the saved ones. A failed check is
     * part of the response and not an error. Time and outcome of a test of saved settings are stored.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED), RESOURCE_EXHAUSTED (RATE_LIMITED; by default after 30 tests a minute, of all
     * callers together).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.TestConnectionResponse testConnection(com.rhythmx.ticketing.v1.TestConnectionRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getTestConnectionMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns for each connection whether it is configured and enabled, its last test, the number of its deliveries in each state
     * and its condition; and the auto-push and retry settings in force.
     * </pre>
     */
    public com.rhythmx.ticketing.v1.GetStatusResponse getStatus(com.rhythmx.ticketing.v1.GetStatusRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getGetStatusMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Renders the ticket exactly as it would be pushed, and lists what was cut or left out. Stores nothing and creates nothing. Reads
     * from the ticket system what it offers (issue types, priorities, groups); if the connection is not configured or cannot be
     * queried, `adjustments` lists what could not be checked.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.PreviewTicketResponse previewTicket(com.rhythmx.ticketing.v1.PreviewTicketRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getPreviewTicketMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Pushes an incident to one connection. The push is durable before the first byte is sent to the ticket system. The call then
     * waits for the first attempt until its deadline (30 s if it has none), and returns the ticket, or when and why the push will be
     * retried. There is one delivery for an incident and a connection: if the ticket exists, the call returns it with
     * `already_existed`; if the delivery waits or failed, it is tried now. The same incident ID with different content replaces the
     * content of the next attempt, as long as nothing was sent.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED, DELIVERY_STATE for a cancelled delivery:
     * RetryDelivery retries it).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.CreateTicketResponse createTicket(com.rhythmx.ticketing.v1.CreateTicketRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getCreateTicketMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Submits a new incident to auto-push: its severity is compared with the minimum severity, and it is pushed to each selected
     * connection at once. Returns the decision for every connection as soon as the deliveries are durable, without waiting for the
     * ticket systems. Submitting the same incident again is safe.
     * An incident belongs to the namespace of the credential that pushed it first. A producer with a credential of another namespace
     * is refused, and the refusal says nothing about the incident.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.SubmitIncidentResponse submitIncident(com.rhythmx.ticketing.v1.SubmitIncidentRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getSubmitIncidentMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Streams the events of deliveries and connections. Within a stream events are ordered, unique and gap-free; across reconnects
     * every event is received at least once if the client resumes with the last token that it has processed. Bookmarks arrive every
     * 10 s, so that the token of a filtered stream advances too. The stream does not end by itself. A producer receives only the
     * events of incidents of its namespace that it requested first.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, RESUME_TOKEN_INVALID), OUT_OF_RANGE (RESUME_TOKEN_EXPIRED),
     * RESOURCE_EXHAUSTED (SUBSCRIBER_TOO_SLOW), UNAVAILABLE (SHUTTING_DOWN).
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, com.rhythmx.ticketing.v1.StreamTicketEventsResponse>
        streamTicketEvents(com.rhythmx.ticketing.v1.StreamTicketEventsRequest request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getStreamTicketEventsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns one delivery with its attempts, the newest 200 at most.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.GetDeliveryResponse getDelivery(com.rhythmx.ticketing.v1.GetDeliveryRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getGetDeliveryMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists deliveries, the newest first, page by page. Each call examines a bounded number of deliveries and returns at most 1 MiB,
     * so a page may be short or empty though it is not the last: continue until `next_page_token` is empty.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.ListDeliveriesResponse listDeliveries(com.rhythmx.ticketing.v1.ListDeliveriesRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getListDeliveriesMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Tries a WAITING, FAILED or CANCELLED delivery now, and makes the look-up of a RECONCILING one due now; a PENDING one is tried
     * shortly anyway. Restores the retries of a FAILED or CANCELLED delivery. Waits for the attempt like CreateTicket.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * CONTENT_REMOVED, CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.RetryDeliveryResponse retryDelivery(com.rhythmx.ticketing.v1.RetryDeliveryRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getRetryDeliveryMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Retries the deliveries that match a filter, like RetryDelivery and without waiting for their attempts, one bounded page a call.
     * Call again with `next_page_token` until it is empty; the same page may be requested twice. If the outcome of an earlier send is
     * unknown, the ticket is looked up, never created anyway. Each call adds one audit entry.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.RetryDeliveriesResponse retryDeliveries(com.rhythmx.ticketing.v1.RetryDeliveriesRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getRetryDeliveriesMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Cancels a PENDING, WAITING, RECONCILING or FAILED delivery. It is kept and not retried automatically; sends with an unknown
     * outcome are kept too, so that a later RetryDelivery looks for their ticket first. A cancelled delivery is returned unchanged.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.CancelDeliveryResponse cancelDelivery(com.rhythmx.ticketing.v1.CancelDeliveryRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getCancelDeliveryMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Names the ticket of a delivery. The ticket is read first: it must exist in the place where the connection creates tickets, and
     * must not be another incident's. Key, ID and address are taken from the ticket. The delivery becomes DELIVERED. A later call
     * with another ticket corrects a ticket that an operator named; a ticket that the service created or found stays. Earlier sends
     * with an unknown outcome are kept, and duplicate scans search for them later.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * TICKET_NOT_FOUND, TICKET_IN_USE; TICKET_UNVERIFIED if the ticket system could not be queried and `allow_unverified` is not
     * set).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.ResolveDeliveryResponse resolveDelivery(com.rhythmx.ticketing.v1.ResolveDeliveryRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getResolveDeliveryMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists the audit log, the newest entry first, page by page: changes of settings, deliveries and tokens, tests of unsaved
     * credentials, and refused changes.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.ListAuditEntriesResponse listAuditEntries(com.rhythmx.ticketing.v1.ListAuditEntriesRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getListAuditEntriesMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service TicketingService.
   * <pre>
   * Creates tickets for RhythmX incidents in Jira (Cloud and Data Center) and ServiceNow, effectively once: an accepted push is
   * never lost, and a repeated call never creates a second ticket.
   * A connection is a ticket system with the login and the place (project, table) of its tickets, by name. Configure adds as many as
   * needed; "jira" and "servicenow" are there from the beginning. A request with one destination takes the name in `connection`, or
   * the ticket system in `system`, which means the connection that is named after it. A name that no connection has gets NOT_FOUND
   * (CONNECTION_NOT_FOUND).
   * Errors have `google.rpc` details. Every refusal has an `ErrorInfo` with the `domain` "ticketing.rhythmx" and a `reason` that is
   * a value of `ErrorReason` without its prefix, for example "CONNECTION_NOT_ENABLED". INVALID_ARGUMENT has a `BadRequest` with
   * every violation at once, each under its field path, for example `incident.firing_rules[3].name` (indices count from 0). A
   * failed delivery is not an RPC error: the push was accepted, and `Delivery` says what happened.
   * A call that exceeds its deadline gets DEADLINE_EXCEEDED; what it had accepted by then continues. A request of more than 2 MiB
   * gets OUT_OF_RANGE (REQUEST_TOO_LARGE), and a request that cannot be decoded gets INVALID_ARGUMENT (REQUEST_MALFORMED). A caller
   * may name its request in the metadata `x-request-id` (at most 64 letters, digits and "-_.:"); the response and every log line of
   * the server about it have that ID, or one that the server generated.
   * If the server requires credentials, every call has one: a bearer token in the metadata `authorization` ("Bearer rxt_..."), or a
   * client certificate. Without a valid one a call gets UNAUTHENTICATED (CREDENTIAL_MISSING, CREDENTIAL_INVALID); a call that the
   * caller's role does not permit gets PERMISSION_DENIED (ROLE_INSUFFICIENT); a call over a limit gets RESOURCE_EXHAUSTED
   * (RATE_LIMITED, TOO_MANY_STREAMS) with `RetryInfo`. A credential has a namespace, by default "default": producers act only on
   * incidents of their own namespace. A stream ends with UNAUTHENTICATED when its credential is revoked or expires.
   * Times are UTC. Clients must accept enum values that they do not know.
   * </pre>
   */
  public static final class TicketingServiceBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<TicketingServiceBlockingStub> {
    private TicketingServiceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected TicketingServiceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new TicketingServiceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Changes settings. A field that is set replaces the stored value, a field that is absent keeps it: `{"jira":{"enabled":true}}`
     * is a toggle. The whole request is validated, and either all of it is stored or nothing. When the settings of a connection
     * change, its waiting deliveries become due at once. A connection is added by its first settings, and removed by its name.
     * Errors: INVALID_ARGUMENT (SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND, to be removed),
     * FAILED_PRECONDITION (CONNECTION_IN_USE), ABORTED (SETTINGS_CHANGED).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.ConfigureResponse configure(com.rhythmx.ticketing.v1.ConfigureRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getConfigureMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Makes a few calls to the ticket system that prove authentication and access (project, issue type and create permission; table
     * and assignment group) and create nothing. Accepts unsaved settings, which are merged over the saved ones. A failed check is
     * part of the response and not an error. Time and outcome of a test of saved settings are stored.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED), RESOURCE_EXHAUSTED (RATE_LIMITED; by default after 30 tests a minute, of all
     * callers together).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.TestConnectionResponse testConnection(com.rhythmx.ticketing.v1.TestConnectionRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getTestConnectionMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns for each connection whether it is configured and enabled, its last test, the number of its deliveries in each state
     * and its condition; and the auto-push and retry settings in force.
     * </pre>
     */
    public com.rhythmx.ticketing.v1.GetStatusResponse getStatus(com.rhythmx.ticketing.v1.GetStatusRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetStatusMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Renders the ticket exactly as it would be pushed, and lists what was cut or left out. Stores nothing and creates nothing. Reads
     * from the ticket system what it offers (issue types, priorities, groups); if the connection is not configured or cannot be
     * queried, `adjustments` lists what could not be checked.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.PreviewTicketResponse previewTicket(com.rhythmx.ticketing.v1.PreviewTicketRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getPreviewTicketMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Pushes an incident to one connection. The push is durable before the first byte is sent to the ticket system. The call then
     * waits for the first attempt until its deadline (30 s if it has none), and returns the ticket, or when and why the push will be
     * retried. There is one delivery for an incident and a connection: if the ticket exists, the call returns it with
     * `already_existed`; if the delivery waits or failed, it is tried now. The same incident ID with different content replaces the
     * content of the next attempt, as long as nothing was sent.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED, DELIVERY_STATE for a cancelled delivery:
     * RetryDelivery retries it).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.CreateTicketResponse createTicket(com.rhythmx.ticketing.v1.CreateTicketRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCreateTicketMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Submits a new incident to auto-push: its severity is compared with the minimum severity, and it is pushed to each selected
     * connection at once. Returns the decision for every connection as soon as the deliveries are durable, without waiting for the
     * ticket systems. Submitting the same incident again is safe.
     * An incident belongs to the namespace of the credential that pushed it first. A producer with a credential of another namespace
     * is refused, and the refusal says nothing about the incident.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.SubmitIncidentResponse submitIncident(com.rhythmx.ticketing.v1.SubmitIncidentRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getSubmitIncidentMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Streams the events of deliveries and connections. Within a stream events are ordered, unique and gap-free; across reconnects
     * every event is received at least once if the client resumes with the last token that it has processed. Bookmarks arrive every
     * 10 s, so that the token of a filtered stream advances too. The stream does not end by itself. A producer receives only the
     * events of incidents of its namespace that it requested first.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, RESUME_TOKEN_INVALID), OUT_OF_RANGE (RESUME_TOKEN_EXPIRED),
     * RESOURCE_EXHAUSTED (SUBSCRIBER_TOO_SLOW), UNAVAILABLE (SHUTTING_DOWN).
     * </pre>
     */
    public java.util.Iterator<com.rhythmx.ticketing.v1.StreamTicketEventsResponse> streamTicketEvents(
        com.rhythmx.ticketing.v1.StreamTicketEventsRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getStreamTicketEventsMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Returns one delivery with its attempts, the newest 200 at most.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.GetDeliveryResponse getDelivery(com.rhythmx.ticketing.v1.GetDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getGetDeliveryMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists deliveries, the newest first, page by page. Each call examines a bounded number of deliveries and returns at most 1 MiB,
     * so a page may be short or empty though it is not the last: continue until `next_page_token` is empty.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.ListDeliveriesResponse listDeliveries(com.rhythmx.ticketing.v1.ListDeliveriesRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListDeliveriesMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Tries a WAITING, FAILED or CANCELLED delivery now, and makes the look-up of a RECONCILING one due now; a PENDING one is tried
     * shortly anyway. Restores the retries of a FAILED or CANCELLED delivery. Waits for the attempt like CreateTicket.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * CONTENT_REMOVED, CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.RetryDeliveryResponse retryDelivery(com.rhythmx.ticketing.v1.RetryDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getRetryDeliveryMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Retries the deliveries that match a filter, like RetryDelivery and without waiting for their attempts, one bounded page a call.
     * Call again with `next_page_token` until it is empty; the same page may be requested twice. If the outcome of an earlier send is
     * unknown, the ticket is looked up, never created anyway. Each call adds one audit entry.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.RetryDeliveriesResponse retryDeliveries(com.rhythmx.ticketing.v1.RetryDeliveriesRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getRetryDeliveriesMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Cancels a PENDING, WAITING, RECONCILING or FAILED delivery. It is kept and not retried automatically; sends with an unknown
     * outcome are kept too, so that a later RetryDelivery looks for their ticket first. A cancelled delivery is returned unchanged.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.CancelDeliveryResponse cancelDelivery(com.rhythmx.ticketing.v1.CancelDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCancelDeliveryMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Names the ticket of a delivery. The ticket is read first: it must exist in the place where the connection creates tickets, and
     * must not be another incident's. Key, ID and address are taken from the ticket. The delivery becomes DELIVERED. A later call
     * with another ticket corrects a ticket that an operator named; a ticket that the service created or found stays. Earlier sends
     * with an unknown outcome are kept, and duplicate scans search for them later.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * TICKET_NOT_FOUND, TICKET_IN_USE; TICKET_UNVERIFIED if the ticket system could not be queried and `allow_unverified` is not
     * set).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.ResolveDeliveryResponse resolveDelivery(com.rhythmx.ticketing.v1.ResolveDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getResolveDeliveryMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists the audit log, the newest entry first, page by page: changes of settings, deliveries and tokens, tests of unsaved
     * credentials, and refused changes.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public com.rhythmx.ticketing.v1.ListAuditEntriesResponse listAuditEntries(com.rhythmx.ticketing.v1.ListAuditEntriesRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getListAuditEntriesMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service TicketingService.
   * <pre>
   * Creates tickets for RhythmX incidents in Jira (Cloud and Data Center) and ServiceNow, effectively once: an accepted push is
   * never lost, and a repeated call never creates a second ticket.
   * A connection is a ticket system with the login and the place (project, table) of its tickets, by name. Configure adds as many as
   * needed; "jira" and "servicenow" are there from the beginning. A request with one destination takes the name in `connection`, or
   * the ticket system in `system`, which means the connection that is named after it. A name that no connection has gets NOT_FOUND
   * (CONNECTION_NOT_FOUND).
   * Errors have `google.rpc` details. Every refusal has an `ErrorInfo` with the `domain` "ticketing.rhythmx" and a `reason` that is
   * a value of `ErrorReason` without its prefix, for example "CONNECTION_NOT_ENABLED". INVALID_ARGUMENT has a `BadRequest` with
   * every violation at once, each under its field path, for example `incident.firing_rules[3].name` (indices count from 0). A
   * failed delivery is not an RPC error: the push was accepted, and `Delivery` says what happened.
   * A call that exceeds its deadline gets DEADLINE_EXCEEDED; what it had accepted by then continues. A request of more than 2 MiB
   * gets OUT_OF_RANGE (REQUEST_TOO_LARGE), and a request that cannot be decoded gets INVALID_ARGUMENT (REQUEST_MALFORMED). A caller
   * may name its request in the metadata `x-request-id` (at most 64 letters, digits and "-_.:"); the response and every log line of
   * the server about it have that ID, or one that the server generated.
   * If the server requires credentials, every call has one: a bearer token in the metadata `authorization` ("Bearer rxt_..."), or a
   * client certificate. Without a valid one a call gets UNAUTHENTICATED (CREDENTIAL_MISSING, CREDENTIAL_INVALID); a call that the
   * caller's role does not permit gets PERMISSION_DENIED (ROLE_INSUFFICIENT); a call over a limit gets RESOURCE_EXHAUSTED
   * (RATE_LIMITED, TOO_MANY_STREAMS) with `RetryInfo`. A credential has a namespace, by default "default": producers act only on
   * incidents of their own namespace. A stream ends with UNAUTHENTICATED when its credential is revoked or expires.
   * Times are UTC. Clients must accept enum values that they do not know.
   * </pre>
   */
  public static final class TicketingServiceFutureStub
      extends io.grpc.stub.AbstractFutureStub<TicketingServiceFutureStub> {
    private TicketingServiceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected TicketingServiceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new TicketingServiceFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Changes settings. A field that is set replaces the stored value, a field that is absent keeps it: `{"jira":{"enabled":true}}`
     * is a toggle. The whole request is validated, and either all of it is stored or nothing. When the settings of a connection
     * change, its waiting deliveries become due at once. A connection is added by its first settings, and removed by its name.
     * Errors: INVALID_ARGUMENT (SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND, to be removed),
     * FAILED_PRECONDITION (CONNECTION_IN_USE), ABORTED (SETTINGS_CHANGED).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.ConfigureResponse> configure(
        com.rhythmx.ticketing.v1.ConfigureRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getConfigureMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Makes a few calls to the ticket system that prove authentication and access (project, issue type and create permission; table
     * and assignment group) and create nothing. Accepts unsaved settings, which are merged over the saved ones. A failed check is
     * part of the response and not an error. Time and outcome of a test of saved settings are stored.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, SETTINGS_INVALID, SECRET_REQUIRED), NOT_FOUND (CONNECTION_NOT_FOUND),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED), RESOURCE_EXHAUSTED (RATE_LIMITED; by default after 30 tests a minute, of all
     * callers together).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.TestConnectionResponse> testConnection(
        com.rhythmx.ticketing.v1.TestConnectionRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getTestConnectionMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns for each connection whether it is configured and enabled, its last test, the number of its deliveries in each state
     * and its condition; and the auto-push and retry settings in force.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.GetStatusResponse> getStatus(
        com.rhythmx.ticketing.v1.GetStatusRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetStatusMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Renders the ticket exactly as it would be pushed, and lists what was cut or left out. Stores nothing and creates nothing. Reads
     * from the ticket system what it offers (issue types, priorities, groups); if the connection is not configured or cannot be
     * queried, `adjustments` lists what could not be checked.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.PreviewTicketResponse> previewTicket(
        com.rhythmx.ticketing.v1.PreviewTicketRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getPreviewTicketMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Pushes an incident to one connection. The push is durable before the first byte is sent to the ticket system. The call then
     * waits for the first attempt until its deadline (30 s if it has none), and returns the ticket, or when and why the push will be
     * retried. There is one delivery for an incident and a connection: if the ticket exists, the call returns it with
     * `already_existed`; if the delivery waits or failed, it is tried now. The same incident ID with different content replaces the
     * content of the next attempt, as long as nothing was sent.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), NOT_FOUND (CONNECTION_NOT_FOUND), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER),
     * FAILED_PRECONDITION (CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED, DELIVERY_STATE for a cancelled delivery:
     * RetryDelivery retries it).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.CreateTicketResponse> createTicket(
        com.rhythmx.ticketing.v1.CreateTicketRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCreateTicketMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Submits a new incident to auto-push: its severity is compared with the minimum severity, and it is pushed to each selected
     * connection at once. Returns the decision for every connection as soon as the deliveries are durable, without waiting for the
     * ticket systems. Submitting the same incident again is safe.
     * An incident belongs to the namespace of the credential that pushed it first. A producer with a credential of another namespace
     * is refused, and the refusal says nothing about the incident.
     * Errors: INVALID_ARGUMENT (INCIDENT_INVALID), PERMISSION_DENIED (INCIDENT_OWNED_BY_OTHER).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.SubmitIncidentResponse> submitIncident(
        com.rhythmx.ticketing.v1.SubmitIncidentRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getSubmitIncidentMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Returns one delivery with its attempts, the newest 200 at most.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.GetDeliveryResponse> getDelivery(
        com.rhythmx.ticketing.v1.GetDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getGetDeliveryMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Lists deliveries, the newest first, page by page. Each call examines a bounded number of deliveries and returns at most 1 MiB,
     * so a page may be short or empty though it is not the last: continue until `next_page_token` is empty.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.ListDeliveriesResponse> listDeliveries(
        com.rhythmx.ticketing.v1.ListDeliveriesRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListDeliveriesMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Tries a WAITING, FAILED or CANCELLED delivery now, and makes the look-up of a RECONCILING one due now; a PENDING one is tried
     * shortly anyway. Restores the retries of a FAILED or CANCELLED delivery. Waits for the attempt like CreateTicket.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * CONTENT_REMOVED, CONNECTION_NOT_CONFIGURED, CONNECTION_NOT_ENABLED).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.RetryDeliveryResponse> retryDelivery(
        com.rhythmx.ticketing.v1.RetryDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getRetryDeliveryMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Retries the deliveries that match a filter, like RetryDelivery and without waiting for their attempts, one bounded page a call.
     * Call again with `next_page_token` until it is empty; the same page may be requested twice. If the outcome of an earlier send is
     * unknown, the ticket is looked up, never created anyway. Each call adds one audit entry.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.RetryDeliveriesResponse> retryDeliveries(
        com.rhythmx.ticketing.v1.RetryDeliveriesRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getRetryDeliveriesMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Cancels a PENDING, WAITING, RECONCILING or FAILED delivery. It is kept and not retried automatically; sends with an unknown
     * outcome are kept too, so that a later RetryDelivery looks for their ticket first. A cancelled delivery is returned unchanged.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.CancelDeliveryResponse> cancelDelivery(
        com.rhythmx.ticketing.v1.CancelDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCancelDeliveryMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Names the ticket of a delivery. The ticket is read first: it must exist in the place where the connection creates tickets, and
     * must not be another incident's. Key, ID and address are taken from the ticket. The delivery becomes DELIVERED. A later call
     * with another ticket corrects a ticket that an operator named; a ticket that the service created or found stays. Earlier sends
     * with an unknown outcome are kept, and duplicate scans search for them later.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID), NOT_FOUND (DELIVERY_NOT_FOUND), FAILED_PRECONDITION (DELIVERY_STATE,
     * TICKET_NOT_FOUND, TICKET_IN_USE; TICKET_UNVERIFIED if the ticket system could not be queried and `allow_unverified` is not
     * set).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.ResolveDeliveryResponse> resolveDelivery(
        com.rhythmx.ticketing.v1.ResolveDeliveryRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getResolveDeliveryMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Lists the audit log, the newest entry first, page by page: changes of settings, deliveries and tokens, tests of unsaved
     * credentials, and refused changes.
     * Errors: INVALID_ARGUMENT (REQUEST_INVALID, PAGE_TOKEN_INVALID).
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<com.rhythmx.ticketing.v1.ListAuditEntriesResponse> listAuditEntries(
        com.rhythmx.ticketing.v1.ListAuditEntriesRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getListAuditEntriesMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_CONFIGURE = 0;
  private static final int METHODID_TEST_CONNECTION = 1;
  private static final int METHODID_GET_STATUS = 2;
  private static final int METHODID_PREVIEW_TICKET = 3;
  private static final int METHODID_CREATE_TICKET = 4;
  private static final int METHODID_SUBMIT_INCIDENT = 5;
  private static final int METHODID_STREAM_TICKET_EVENTS = 6;
  private static final int METHODID_GET_DELIVERY = 7;
  private static final int METHODID_LIST_DELIVERIES = 8;
  private static final int METHODID_RETRY_DELIVERY = 9;
  private static final int METHODID_RETRY_DELIVERIES = 10;
  private static final int METHODID_CANCEL_DELIVERY = 11;
  private static final int METHODID_RESOLVE_DELIVERY = 12;
  private static final int METHODID_LIST_AUDIT_ENTRIES = 13;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final AsyncService serviceImpl;
    private final int methodId;

    MethodHandlers(AsyncService serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_CONFIGURE:
          serviceImpl.configure((com.rhythmx.ticketing.v1.ConfigureRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ConfigureResponse>) responseObserver);
          break;
        case METHODID_TEST_CONNECTION:
          serviceImpl.testConnection((com.rhythmx.ticketing.v1.TestConnectionRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.TestConnectionResponse>) responseObserver);
          break;
        case METHODID_GET_STATUS:
          serviceImpl.getStatus((com.rhythmx.ticketing.v1.GetStatusRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.GetStatusResponse>) responseObserver);
          break;
        case METHODID_PREVIEW_TICKET:
          serviceImpl.previewTicket((com.rhythmx.ticketing.v1.PreviewTicketRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.PreviewTicketResponse>) responseObserver);
          break;
        case METHODID_CREATE_TICKET:
          serviceImpl.createTicket((com.rhythmx.ticketing.v1.CreateTicketRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.CreateTicketResponse>) responseObserver);
          break;
        case METHODID_SUBMIT_INCIDENT:
          serviceImpl.submitIncident((com.rhythmx.ticketing.v1.SubmitIncidentRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.SubmitIncidentResponse>) responseObserver);
          break;
        case METHODID_STREAM_TICKET_EVENTS:
          serviceImpl.streamTicketEvents((com.rhythmx.ticketing.v1.StreamTicketEventsRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.StreamTicketEventsResponse>) responseObserver);
          break;
        case METHODID_GET_DELIVERY:
          serviceImpl.getDelivery((com.rhythmx.ticketing.v1.GetDeliveryRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.GetDeliveryResponse>) responseObserver);
          break;
        case METHODID_LIST_DELIVERIES:
          serviceImpl.listDeliveries((com.rhythmx.ticketing.v1.ListDeliveriesRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ListDeliveriesResponse>) responseObserver);
          break;
        case METHODID_RETRY_DELIVERY:
          serviceImpl.retryDelivery((com.rhythmx.ticketing.v1.RetryDeliveryRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.RetryDeliveryResponse>) responseObserver);
          break;
        case METHODID_RETRY_DELIVERIES:
          serviceImpl.retryDeliveries((com.rhythmx.ticketing.v1.RetryDeliveriesRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.RetryDeliveriesResponse>) responseObserver);
          break;
        case METHODID_CANCEL_DELIVERY:
          serviceImpl.cancelDelivery((com.rhythmx.ticketing.v1.CancelDeliveryRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.CancelDeliveryResponse>) responseObserver);
          break;
        case METHODID_RESOLVE_DELIVERY:
          serviceImpl.resolveDelivery((com.rhythmx.ticketing.v1.ResolveDeliveryRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ResolveDeliveryResponse>) responseObserver);
          break;
        case METHODID_LIST_AUDIT_ENTRIES:
          serviceImpl.listAuditEntries((com.rhythmx.ticketing.v1.ListAuditEntriesRequest) request,
              (io.grpc.stub.StreamObserver<com.rhythmx.ticketing.v1.ListAuditEntriesResponse>) responseObserver);
          break;
        default:
          throw new AssertionError();
      }
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public io.grpc.stub.StreamObserver<Req> invoke(
        io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        default:
          throw new AssertionError();
      }
    }
  }

  public static final io.grpc.ServerServiceDefinition bindService(AsyncService service) {
    return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
        .addMethod(
          getConfigureMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.ConfigureRequest,
              com.rhythmx.ticketing.v1.ConfigureResponse>(
                service, METHODID_CONFIGURE)))
        .addMethod(
          getTestConnectionMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.TestConnectionRequest,
              com.rhythmx.ticketing.v1.TestConnectionResponse>(
                service, METHODID_TEST_CONNECTION)))
        .addMethod(
          getGetStatusMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.GetStatusRequest,
              com.rhythmx.ticketing.v1.GetStatusResponse>(
                service, METHODID_GET_STATUS)))
        .addMethod(
          getPreviewTicketMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.PreviewTicketRequest,
              com.rhythmx.ticketing.v1.PreviewTicketResponse>(
                service, METHODID_PREVIEW_TICKET)))
        .addMethod(
          getCreateTicketMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.CreateTicketRequest,
              com.rhythmx.ticketing.v1.CreateTicketResponse>(
                service, METHODID_CREATE_TICKET)))
        .addMethod(
          getSubmitIncidentMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.SubmitIncidentRequest,
              com.rhythmx.ticketing.v1.SubmitIncidentResponse>(
                service, METHODID_SUBMIT_INCIDENT)))
        .addMethod(
          getStreamTicketEventsMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.StreamTicketEventsRequest,
              com.rhythmx.ticketing.v1.StreamTicketEventsResponse>(
                service, METHODID_STREAM_TICKET_EVENTS)))
        .addMethod(
          getGetDeliveryMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.GetDeliveryRequest,
              com.rhythmx.ticketing.v1.GetDeliveryResponse>(
                service, METHODID_GET_DELIVERY)))
        .addMethod(
          getListDeliveriesMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.ListDeliveriesRequest,
              com.rhythmx.ticketing.v1.ListDeliveriesResponse>(
                service, METHODID_LIST_DELIVERIES)))
        .addMethod(
          getRetryDeliveryMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.RetryDeliveryRequest,
              com.rhythmx.ticketing.v1.RetryDeliveryResponse>(
                service, METHODID_RETRY_DELIVERY)))
        .addMethod(
          getRetryDeliveriesMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.RetryDeliveriesRequest,
              com.rhythmx.ticketing.v1.RetryDeliveriesResponse>(
                service, METHODID_RETRY_DELIVERIES)))
        .addMethod(
          getCancelDeliveryMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.CancelDeliveryRequest,
              com.rhythmx.ticketing.v1.CancelDeliveryResponse>(
                service, METHODID_CANCEL_DELIVERY)))
        .addMethod(
          getResolveDeliveryMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.ResolveDeliveryRequest,
              com.rhythmx.ticketing.v1.ResolveDeliveryResponse>(
                service, METHODID_RESOLVE_DELIVERY)))
        .addMethod(
          getListAuditEntriesMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              com.rhythmx.ticketing.v1.ListAuditEntriesRequest,
              com.rhythmx.ticketing.v1.ListAuditEntriesResponse>(
                service, METHODID_LIST_AUDIT_ENTRIES)))
        .build();
  }

  private static abstract class TicketingServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    TicketingServiceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return com.rhythmx.ticketing.v1.ServiceProto.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("TicketingService");
    }
  }

  private static final class TicketingServiceFileDescriptorSupplier
      extends TicketingServiceBaseDescriptorSupplier {
    TicketingServiceFileDescriptorSupplier() {}
  }

  private static final class TicketingServiceMethodDescriptorSupplier
      extends TicketingServiceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    TicketingServiceMethodDescriptorSupplier(java.lang.String methodName) {
      this.methodName = methodName;
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.MethodDescriptor getMethodDescriptor() {
      return getServiceDescriptor().findMethodByName(methodName);
    }
  }

  private static volatile io.grpc.ServiceDescriptor serviceDescriptor;

  public static io.grpc.ServiceDescriptor getServiceDescriptor() {
    io.grpc.ServiceDescriptor result = serviceDescriptor;
    if (result == null) {
      synchronized (TicketingServiceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new TicketingServiceFileDescriptorSupplier())
              .addMethod(getConfigureMethod())
              .addMethod(getTestConnectionMethod())
              .addMethod(getGetStatusMethod())
              .addMethod(getPreviewTicketMethod())
              .addMethod(getCreateTicketMethod())
              .addMethod(getSubmitIncidentMethod())
              .addMethod(getStreamTicketEventsMethod())
              .addMethod(getGetDeliveryMethod())
              .addMethod(getListDeliveriesMethod())
              .addMethod(getRetryDeliveryMethod())
              .addMethod(getRetryDeliveriesMethod())
              .addMethod(getCancelDeliveryMethod())
              .addMethod(getResolveDeliveryMethod())
              .addMethod(getListAuditEntriesMethod())
              .build();
        }
      }
    }
    return result;
  }
}
