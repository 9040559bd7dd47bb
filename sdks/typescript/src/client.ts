import { setTimeout as sleep } from "node:timers/promises";

import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape as Init,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Client as GrpcClient, type ServiceError } from "@grpc/grpc-js";

import { routeTo, type Route, type Tls } from "./channel.js";
import { closed, fromGrpc } from "./errors.js";
import { Events, type Call, type Source } from "./events.js";
import { delayBeforeRetry } from "./retry.js";
import { left, untilThen } from "./times.js";
import * as v1 from "./v1.js";

const METHODS = v1.TicketingService.method;
const DEFAULT_DEADLINE_MS = 30_000;

/** Options of a client. */
export interface ConnectOptions {
  /** TLS settings. Absent: plaintext, for loopback and Unix sockets, or `{}` with https://. */
  readonly tls?: Tls;
  /**
   * A bearer token for each call: one of `ticketing token create`, or a JSON Web Token. It is not sent to another machine
   * without TLS.
   */
  readonly token?: string;
  /**
   * Default deadline of a call in milliseconds, including retries. Default: 30,000. Infinity: no deadline.
   */
  readonly deadlineMs?: number;
}

/** Options of a call. */
export interface CallOptions {
  /** Deadline in milliseconds, including retries. Infinity: no deadline. */
  readonly deadlineMs?: number;
  /** Cancels the call, which rejects with the reason of the signal. The server continues with what it accepted. */
  readonly signal?: AbortSignal;
}

/**
 * Creates a client of the server at `address`, for example "ticketing.acme.example:50051": HOST:PORT, [IPV6]:PORT or unix:/PATH.
 * The first two may begin with https:// (TLS) or http://. Throws a TypeError if an argument is invalid.
 *
 * The first call opens the connection, which reconnects automatically. If the server is unreachable, calls fail with UNAVAILABLE.
 */
export function connect(address: string, options: ConnectOptions = {}): Client {
  return new Client(address, options);
}

/** Default listen address of a server. */
const DEFAULT_ADDRESS = "127.0.0.1:50051";

/**
 * Creates a client from environment variables, for example in a container: TICKETING_ADDRESS is the address, by default 127.0.0.1:50051;
 * TICKETING_TOKEN the bearer token. TICKETING_TLS_CA names a PEM file with the authorities to trust, and TICKETING_TLS_CLIENT_CERT
 * and TICKETING_TLS_CLIENT_KEY the client's certificate and its key: any of them enables TLS. Empty variables count as unset.
 * Options override the environment.
 */
export function connectFromEnv(options: ConnectOptions = {}): Client {
  const variable = (name: string): string | undefined => process.env[name] || undefined;
  const given = {
    ca: variable("TICKETING_TLS_CA"),
    clientCertificate: variable("TICKETING_TLS_CLIENT_CERT"),
    clientKey: variable("TICKETING_TLS_CLIENT_KEY"),
  };
  const tls: Tls = Object.fromEntries(Object.entries(given).filter(([, file]) => file !== undefined));
  const token = variable("TICKETING_TOKEN");
  const address = variable("TICKETING_ADDRESS") ?? DEFAULT_ADDRESS;
  return connect(address, { ...(Object.keys(tls).length > 0 && { tls }), ...(token && { token }), ...options });
}

/**
 * A client of the service. `connect` creates it; closing it cancels its calls.
 *
 * A call that fails with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a retry delay, is retried a few times within its deadline.
 * That is safe: there is one delivery for an incident and a connection, and settings merge by presence. The exception is
 * `retryDelivery` with `createAnyway`: sent twice, it may create two tickets, so it is never retried. A call that fails rejects
 * with a `TicketingError`.
 */
export class Client {
  readonly #route: Route;
  readonly #deadlineMs: number;
  // Functions that cancel the running calls and subscriptions.
  readonly #ends = new Set<() => void>();
  #grpc: GrpcClient;
  #isClosed = false;

  constructor(address: string, options: ConnectOptions = {}) {
    this.#route = routeTo(address, options.tls, options.token);
    this.#deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
    this.#grpc = this.#connected();
  }

  /** Cancels all calls and subscriptions, which fail with CANCELLED, and closes the connection. Calling it twice has no effect. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const end of this.#ends) end();
    this.#grpc.close();
  }

  /** Changes settings; absent fields keep their values. */
  configure(request: Init<typeof v1.ConfigureRequestSchema>, options?: CallOptions): Promise<v1.ConfigureResponse> {
    return this.#unary(METHODS.configure, request, options);
  }

  /** Checks authentication and access, with saved or unsaved settings. */
  testConnection(request: Init<typeof v1.TestConnectionRequestSchema>, options?: CallOptions): Promise<v1.TestConnectionResponse> {
    return this.#unary(METHODS.testConnection, request, options);
  }

  /** Returns the status of every connection. */
  getStatus(request: Init<typeof v1.GetStatusRequestSchema> = {}, options?: CallOptions): Promise<v1.GetStatusResponse> {
    return this.#unary(METHODS.getStatus, request, options);
  }

  /** Renders the ticket of an incident without creating it. */
  previewTicket(request: Init<typeof v1.PreviewTicketRequestSchema>, options?: CallOptions): Promise<v1.PreviewTicketResponse> {
    return this.#unary(METHODS.previewTicket, request, options);
  }

  /** Pushes an incident to one connection and waits for the first attempt, as long as the deadline allows. */
  createTicket(request: Init<typeof v1.CreateTicketRequestSchema>, options?: CallOptions): Promise<v1.CreateTicketResponse> {
    return this.#unary(METHODS.createTicket, request, options);
  }

  /** Submits an incident to auto-push. */
  submitIncident(request: Init<typeof v1.SubmitIncidentRequestSchema>, options?: CallOptions): Promise<v1.SubmitIncidentResponse> {
    return this.#unary(METHODS.submitIncident, request, options);
  }

  /** Returns a delivery with its attempts. */
  getDelivery(request: Init<typeof v1.GetDeliveryRequestSchema>, options?: CallOptions): Promise<v1.GetDeliveryResponse> {
    return this.#unary(METHODS.getDelivery, request, options);
  }

  /** Returns a page of deliveries, the newest first. */
  listDeliveries(request: Init<typeof v1.ListDeliveriesRequestSchema>, options?: CallOptions): Promise<v1.ListDeliveriesResponse> {
    return this.#unary(METHODS.listDeliveries, request, options);
  }

  /** Retries a waiting, failed or cancelled delivery now and waits for the attempt. */
  retryDelivery(request: Init<typeof v1.RetryDeliveryRequestSchema>, options?: CallOptions): Promise<v1.RetryDeliveryResponse> {
    return this.#unary(METHODS.retryDelivery, request, options);
  }

  /** Retries one page of the deliveries that match a filter, without waiting for their attempts. */
  retryDeliveries(request: Init<typeof v1.RetryDeliveriesRequestSchema>, options?: CallOptions): Promise<v1.RetryDeliveriesResponse> {
    return this.#unary(METHODS.retryDeliveries, request, options);
  }

  /** Cancels a delivery. */
  cancelDelivery(request: Init<typeof v1.CancelDeliveryRequestSchema>, options?: CallOptions): Promise<v1.CancelDeliveryResponse> {
    return this.#unary(METHODS.cancelDelivery, request, options);
  }

  /** Records which ticket a delivery has, or that it has none. */
  resolveDelivery(request: Init<typeof v1.ResolveDeliveryRequestSchema>, options?: CallOptions): Promise<v1.ResolveDeliveryResponse> {
    return this.#unary(METHODS.resolveDelivery, request, options);
  }

  /** Returns a page of the audit log, the newest entry first. */
  listAuditEntries(request: Init<typeof v1.ListAuditEntriesRequestSchema>, options?: CallOptions): Promise<v1.ListAuditEntriesResponse> {
    return this.#unary(METHODS.listAuditEntries, request, options);
  }

  /**
   * Subscribes to the events of deliveries, and resolves once the subscription is established: it has every later event, or every
   * event after the start of the request. The deadline limits only the start.
   */
  async events(
    request: Init<typeof v1.StreamTicketEventsRequestSchema> = {},
    options: CallOptions = {},
  ): Promise<Events> {
    this.#throwIfClosed();
    const message = create(v1.StreamTicketEventsRequestSchema, request);
    const events = new Events(this.#source(), message, options.signal);
    return await events.waitForStart(options.deadlineMs ?? this.#deadlineMs);
  }

  async #unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: Init<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const until = untilThen(options.deadlineMs ?? this.#deadlineMs);
    const message = create(method.input, request);
    for (let failures = 0; ; failures++) {
      options.signal?.throwIfAborted();
      this.#throwIfClosed();
      try {
        return await this.#once(method, message, until, options.signal);
      } catch (failed) {
        options.signal?.throwIfAborted();
        this.#throwIfClosed();
        const error = fromGrpc(failed as ServiceError, this.#route.address);
        const delay = isIdempotent(request) ? delayBeforeRetry(error, failures, left(until)) : undefined;
        if (delay === undefined) throw error;
        await this.#pause(delay, options.signal);
      }
    }
  }

  #once<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    message: MessageShape<I>,
    until: number,
    signal: AbortSignal | undefined,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      const call = this.#grpc.makeUnaryRequest(
        path(method.name),
        (request: MessageShape<I>) => Buffer.from(toBinary(method.input, request)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        message,
        this.#route.metadata,
        until === Infinity ? {} : { deadline: Date.now() + left(until) },
        (error, response) => {
          this.#ends.delete(cancel);
          signal?.removeEventListener("abort", cancel);
          if (error) reject(error);
          else resolve(response as MessageShape<O>);
        },
      );
      const cancel = (): void => call.cancel();
      this.#ends.add(cancel);
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  async #pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    const waking = new AbortController();
    const wake = (): void => waking.abort();
    this.#ends.add(wake);
    const signals = signal ? [signal, waking.signal] : [waking.signal];
    await sleep(delayMs, undefined, { signal: AbortSignal.any(signals) }).catch(() => undefined);
    this.#ends.delete(wake);
  }

  #source(): Source {
    return {
      address: this.#route.address,
      start: (request) => this.#stream(request),
      add: (end) => this.#ends.add(end),
      remove: (end) => this.#ends.delete(end),
    };
  }

  #stream(request: v1.StreamTicketEventsRequest): Call {
    this.#throwIfClosed();
    const grpc = this.#grpc;
    const stream = grpc.makeServerStreamRequest(
      path(METHODS.streamTicketEvents.name),
      (message: v1.StreamTicketEventsRequest) => Buffer.from(toBinary(v1.StreamTicketEventsRequestSchema, message)),
      (bytes: Buffer) => fromBinary(v1.StreamTicketEventsResponseSchema, bytes),
      request,
      this.#route.metadata,
    );
    return { stream, replaceConnection: () => this.#replaceConnection(grpc) };
  }

  // A channel replaces a connection that it knows to be broken, but keeps one that is only silent. A new connection then requires a
  // new channel. Running calls of the former one may finish.
  #replaceConnection(grpc: GrpcClient): void {
    if (this.#isClosed || this.#grpc !== grpc) return;
    this.#grpc = this.#connected();
    grpc.close();
  }

  #connected(): GrpcClient {
    return new GrpcClient(this.#route.target, this.#route.credentials, this.#route.options);
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw closed(this.#route.address);
  }
}

function path(method: string): string {
  return `/${v1.TicketingService.typeName}/${method}`;
}

// There is one delivery for an incident and a connection, and settings merge by presence. Only `createAnyway` ignores an unknown
// outcome: sent twice, it may create two tickets.
function isIdempotent(request: object): boolean {
  return !("createAnyway" in request && request.createAnyway);
}
