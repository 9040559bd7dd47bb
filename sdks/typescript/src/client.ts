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
import { Client as GrpcClient, Metadata, status, type ServiceError } from "@grpc/grpc-js";

import { authorization, channelCredentials, OPTIONS, type Tls } from "./channel.js";
import { fromGrpc, TicketingError } from "./errors.js";
import { Events, type Call } from "./events.js";
import { beforeRetry } from "./retry.js";
import * as v1 from "./v1.js";

const METHODS = v1.TicketingService.method;
const DEFAULT_DEADLINE_MS = 30_000;

/** How to connect. */
export interface ConnectOptions {
  /** How to trust the server. Absent: plaintext, for loopback and Unix sockets. */
  readonly tls?: Tls;
  /** A bearer token that goes with each call: one of `ticketing token create`, or a JSON Web Token. */
  readonly token?: string;
  /** Milliseconds that a call may take, its retries included, unless the call says otherwise. Default 30,000. */
  readonly deadlineMs?: number;
}

/** How to make one call. */
export interface CallOptions {
  /** Milliseconds that it may take, its retries included. */
  readonly deadlineMs?: number;
  /** Takes the call back; it then rejects with the reason of the signal. What the server had accepted by then goes on. */
  readonly signal?: AbortSignal;
}

/**
 * A client of the server at `address` (HOST:PORT, or unix:PATH), for example "ticketing.acme.example:50051".
 *
 * It connects when it is first used, and again by itself when the connection is lost; so a server that is away shows as UNAVAILABLE
 * from the first call.
 */
export function connect(address: string, options: ConnectOptions = {}): Client {
  return new Client(address, options);
}

/**
 * A client of the service. `connect` makes one; closing it ends its calls.
 *
 * A call that meets UNAVAILABLE, or RESOURCE_EXHAUSTED that says when to come back, is made again a few times within its deadline.
 * That is safe: there is one delivery for an incident and a target, and settings merge by presence. The one exception is not
 * retried: `retryDelivery` with `createAnyway`, which made twice may make two tickets. A call that fails rejects with a
 * `TicketingError`.
 */
export class Client {
  readonly #address: string;
  readonly #grpc: GrpcClient;
  readonly #metadata = new Metadata();
  readonly #deadlineMs: number;
  readonly #closing = new AbortController();
  readonly #underWay = new Set<{ cancel(): void }>();

  constructor(address: string, options: ConnectOptions = {}) {
    this.#address = address;
    this.#deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
    const bearer = authorization(options.token);
    if (bearer !== undefined) this.#metadata.set("authorization", bearer);
    this.#grpc = new GrpcClient(address, channelCredentials(options.tls), OPTIONS);
  }

  /** Ends every call that is under way, and the connection. */
  close(): void {
    this.#closing.abort();
    for (const call of this.#underWay) call.cancel();
    this.#grpc.close();
  }

  /** Changes settings; what is absent stays. */
  configure(request: Init<typeof v1.ConfigureRequestSchema>, options?: CallOptions): Promise<v1.ConfigureResponse> {
    return this.#unary(METHODS.configure, request, options);
  }

  /** Proves authentication and access, with saved or unsaved settings. */
  testConnection(request: Init<typeof v1.TestConnectionRequestSchema>, options?: CallOptions): Promise<v1.TestConnectionResponse> {
    return this.#unary(METHODS.testConnection, request, options);
  }

  /** How every ticket system stands. */
  getStatus(request: Init<typeof v1.GetStatusRequestSchema> = {}, options?: CallOptions): Promise<v1.GetStatusResponse> {
    return this.#unary(METHODS.getStatus, request, options);
  }

  /** The ticket as it would be pushed. */
  previewTicket(request: Init<typeof v1.PreviewTicketRequestSchema>, options?: CallOptions): Promise<v1.PreviewTicketResponse> {
    return this.#unary(METHODS.previewTicket, request, options);
  }

  /** Pushes an incident to one ticket system and waits for the first attempt, as long as the deadline allows. */
  createTicket(request: Init<typeof v1.CreateTicketRequestSchema>, options?: CallOptions): Promise<v1.CreateTicketResponse> {
    return this.#unary(METHODS.createTicket, request, options);
  }

  /** Offers an incident to auto-push. */
  submitIncident(request: Init<typeof v1.SubmitIncidentRequestSchema>, options?: CallOptions): Promise<v1.SubmitIncidentResponse> {
    return this.#unary(METHODS.submitIncident, request, options);
  }

  /** One delivery with its attempts. */
  getDelivery(request: Init<typeof v1.GetDeliveryRequestSchema>, options?: CallOptions): Promise<v1.GetDeliveryResponse> {
    return this.#unary(METHODS.getDelivery, request, options);
  }

  /** A page of deliveries, the newest first. */
  listDeliveries(request: Init<typeof v1.ListDeliveriesRequestSchema>, options?: CallOptions): Promise<v1.ListDeliveriesResponse> {
    return this.#unary(METHODS.listDeliveries, request, options);
  }

  /** Tries a waiting, failed or cancelled delivery now and waits for the attempt. */
  retryDelivery(request: Init<typeof v1.RetryDeliveryRequestSchema>, options?: CallOptions): Promise<v1.RetryDeliveryResponse> {
    return this.#unary(METHODS.retryDelivery, request, options);
  }

  /** Gives a delivery up. */
  cancelDelivery(request: Init<typeof v1.CancelDeliveryRequestSchema>, options?: CallOptions): Promise<v1.CancelDeliveryResponse> {
    return this.#unary(METHODS.cancelDelivery, request, options);
  }

  /** Tells which ticket a delivery has. */
  resolveDelivery(request: Init<typeof v1.ResolveDeliveryRequestSchema>, options?: CallOptions): Promise<v1.ResolveDeliveryResponse> {
    return this.#unary(METHODS.resolveDelivery, request, options);
  }

  /** A page of who did what, the newest first. */
  listAuditEntries(request: Init<typeof v1.ListAuditEntriesRequestSchema>, options?: CallOptions): Promise<v1.ListAuditEntriesResponse> {
    return this.#unary(METHODS.listAuditEntries, request, options);
  }

  /**
   * Subscribes to what happens to deliveries, and resolves once the subscription stands: every event from then on is in it, or from
   * where the request says. The deadline is for that alone; a subscription has no end of its own.
   */
  async events(
    request: Init<typeof v1.StreamTicketEventsRequestSchema> = {},
    options: CallOptions = {},
  ): Promise<Events> {
    const message = create(v1.StreamTicketEventsRequestSchema, request);
    const events = new Events((next) => this.#stream(next), this.#address, message, options.signal);
    return await events.begin(options.deadlineMs ?? this.#deadlineMs);
  }

  async #unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: Init<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const until = performance.now() + (options.deadlineMs ?? this.#deadlineMs);
    const message = create(method.input, request);
    for (let retries = 0; ; retries++) {
      options.signal?.throwIfAborted();
      this.#throwIfClosed();
      try {
        return await this.#once(method, message, until, options.signal);
      } catch (failed) {
        options.signal?.throwIfAborted();
        const error = fromGrpc(failed as ServiceError, this.#address);
        const delay = isIdempotent(request) ? beforeRetry(error, retries, until - performance.now()) : undefined;
        if (delay === undefined) throw error;
        const signals = options.signal ? [options.signal, this.#closing.signal] : [this.#closing.signal];
        await sleep(delay, undefined, { signal: AbortSignal.any(signals) }).catch(() => undefined);
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
      const deadline = Date.now() + Math.max(0, until - performance.now());
      const call = this.#grpc.makeUnaryRequest(
        path(method.name),
        (request: MessageShape<I>) => Buffer.from(toBinary(method.input, request)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        message,
        this.#metadata,
        { deadline },
        (error, response) => {
          this.#underWay.delete(call);
          signal?.removeEventListener("abort", cancel);
          if (error) reject(error);
          else resolve(response as MessageShape<O>);
        },
      );
      const cancel = (): void => call.cancel();
      this.#underWay.add(call);
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  #stream(request: v1.StreamTicketEventsRequest): Call {
    this.#throwIfClosed();
    const call = this.#grpc.makeServerStreamRequest(
      path(METHODS.streamTicketEvents.name),
      (message: v1.StreamTicketEventsRequest) => Buffer.from(toBinary(v1.StreamTicketEventsRequestSchema, message)),
      (bytes: Buffer) => fromBinary(v1.StreamTicketEventsResponseSchema, bytes),
      request,
      this.#metadata,
    );
    this.#underWay.add(call);
    call.on("close", () => this.#underWay.delete(call));
    return call;
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) {
      throw new TicketingError("CANCELLED", "the client was closed", this.#address);
    }
  }
}

function path(method: string): string {
  return `/${v1.TicketingService.typeName}/${method}`;
}

// There is one delivery for an incident and a target, and settings merge by presence; only this puts a doubt aside, so that made
// twice it may make two tickets.
function isIdempotent(request: object): boolean {
  return !("createAnyway" in request && request.createAnyway);
}
