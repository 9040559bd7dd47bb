import { setTimeout as sleep } from "node:timers/promises";

import { clone } from "@bufbuild/protobuf";
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";

import { fromGrpc, TicketingError } from "./errors.js";
import { beforeResume } from "./retry.js";
import {
  StreamTicketEventsRequestSchema,
  type StreamTicketEventsRequest,
  type StreamTicketEventsResponse,
  type TicketEvent,
} from "./v1.js";

export type Call = ClientReadableStream<StreamTicketEventsResponse>;

/**
 * What happens to deliveries: each event once, in order, through restarts of the server and lost connections.
 *
 * Iteration ends when the subscription is closed, by `close` or by leaving the loop. It throws a `TicketingError` when it can not be
 * resumed: `ResumeTokenExpired`, UNAUTHENTICATED, PERMISSION_DENIED and whatever else the server says that waiting would not mend;
 * and the reason of its signal when that is aborted.
 */
export class Events implements AsyncIterableIterator<TicketEvent, undefined> {
  readonly #start: (request: StreamTicketEventsRequest) => Call;
  readonly #address: string;
  readonly #request: StreamTicketEventsRequest;
  readonly #closing = new AbortController();
  readonly #signal: AbortSignal | undefined;
  #call: Call;
  #messages: AsyncIterator<StreamTicketEventsResponse>;
  #failures = 0;
  #token = "";
  #ahead: TicketEvent | undefined;

  /** @internal */
  constructor(
    start: (request: StreamTicketEventsRequest) => Call,
    address: string,
    request: StreamTicketEventsRequest,
    signal: AbortSignal | undefined,
  ) {
    signal?.throwIfAborted();
    this.#start = start;
    this.#address = address;
    this.#request = clone(StreamTicketEventsRequestSchema, request);
    [this.#call, this.#messages] = this.#started();
    this.#signal = signal;
    signal?.addEventListener("abort", this.#end, { once: true });
  }

  /**
   * Of the last event or bookmark that was handed over. Keep it once the event is dealt with: a later subscription that is given it
   * goes on after that event.
   */
  get resumeToken(): string {
    return this.#token;
  }

  /** Ends the subscription. */
  close(): void {
    this.#signal?.removeEventListener("abort", this.#end);
    this.#end();
  }

  async next(): Promise<IteratorResult<TicketEvent, undefined>> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead) return { done: false, value: ahead };
    while (!this.#closing.signal.aborted) {
      const [message, error] = await this.#read();
      if (message) {
        const event = this.#take(message);
        if (event) return { done: false, value: event };
      } else if (!this.#closing.signal.aborted) {
        await this.#resume(error, Infinity);
      }
    }
    this.#signal?.throwIfAborted();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<TicketEvent, undefined>> {
    this.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @internal Waits for the first message: the bookmark that says where the stream begins. */
  async begin(deadlineMs: number): Promise<this> {
    const until = performance.now() + deadlineMs;
    // Reading has no time-out of its own.
    const timer = setTimeout(() => this.#call.cancel(), deadlineMs);
    try {
      for (;;) {
        const [message, error] = await this.#read();
        this.#signal?.throwIfAborted();
        if (message) {
          this.#ahead = this.#take(message);
          return this;
        }
        if (performance.now() >= until) {
          throw new TicketingError("DEADLINE_EXCEEDED", "the subscription did not begin in time", this.#address);
        }
        await this.#resume(error, until);
      }
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #take({ message }: StreamTicketEventsResponse): TicketEvent | undefined {
    this.#failures = 0;
    // A message of a kind that is newer than this package is passed over.
    if (message.case === undefined) return undefined;
    this.#token = message.value.resumeToken;
    this.#request.start = { case: "resumeToken", value: this.#token };
    return message.case === "event" ? message.value : undefined;
  }

  async #read(): Promise<[StreamTicketEventsResponse | undefined, TicketingError | undefined]> {
    try {
      const { done, value } = await this.#messages.next();
      return [done ? undefined : value, undefined];
    } catch (error) {
      return [undefined, fromGrpc(error as ServiceError, this.#address)];
    }
  }

  async #resume(error: TicketingError | undefined, until: number): Promise<void> {
    const delay = beforeResume(error, this.#failures++);
    if (error && (delay === undefined || performance.now() + delay >= until)) {
      this.close();
      throw error;
    }
    // Ended before its first bookmark: the server may have said where.
    const told = error?.metadata["resume_token"];
    if (told && this.#request.start.case === undefined) this.#request.start = { case: "resumeToken", value: told };
    await sleep(delay, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    if (!this.#closing.signal.aborted) [this.#call, this.#messages] = this.#started();
  }

  #started(): [Call, AsyncIterator<StreamTicketEventsResponse>] {
    const call = this.#start(this.#request);
    // Who iterates is told; a call that was cancelled after that has nobody to tell.
    call.on("error", () => undefined);
    return [call, call[Symbol.asyncIterator]() as AsyncIterator<StreamTicketEventsResponse>];
  }

  readonly #end = (): void => {
    this.#closing.abort();
    this.#call.cancel();
  };
}
