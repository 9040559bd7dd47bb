import { setTimeout as sleep } from "node:timers/promises";

import { clone } from "@bufbuild/protobuf";
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";

import { closed, ended, fromGrpc, notBegun, silent, TicketingError } from "./errors.js";
import { ATTEMPTS, beforeResume } from "./retry.js";
import { left, TIMES, untilThen } from "./times.js";
import {
  StreamTicketEventsRequestSchema,
  type StreamTicketEventsRequest,
  type StreamTicketEventsResponse,
  type TicketEvent,
} from "./v1.js";

/** A stream that is under way. */
export interface Call {
  readonly stream: ClientReadableStream<StreamTicketEventsResponse>;
  /** Has the next one come by another connection. */
  avoid(): void;
}

/** Where streams come from. */
export interface Source {
  /** Of the server, for people. */
  readonly address: string;
  start(request: StreamTicketEventsRequest): Call;
  /** Has this called when the client is closed. */
  add(end: () => void): void;
  remove(end: () => void): void;
}

/**
 * What happens to deliveries: each event once, in order, through restarts of the server and lost connections.
 *
 * Iteration ends when the subscription is closed, by `close` or by leaving the loop. It throws a `TicketingError` when it cannot be
 * resumed: `ResumeTokenExpired`, UNAUTHENTICATED, PERMISSION_DENIED and whatever else the server says that waiting would not mend;
 * CANCELLED when the client is closed; and the reason of its signal when that is aborted.
 */
export class Events implements AsyncIterableIterator<TicketEvent, undefined> {
  readonly #source: Source;
  readonly #request: StreamTicketEventsRequest;
  readonly #signal: AbortSignal | undefined;
  // Aborted once nothing more will come; then `#failure` may say why.
  readonly #ended = new AbortController();
  #failure: unknown;
  #call: Call;
  #messages: AsyncIterator<StreamTicketEventsResponse>;
  #failures = 0;
  #token = "";
  #ahead: StreamTicketEventsResponse | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(source: Source, request: StreamTicketEventsRequest, signal: AbortSignal | undefined) {
    signal?.throwIfAborted();
    this.#source = source;
    this.#request = clone(StreamTicketEventsRequestSchema, request);
    this.#signal = signal;
    [this.#call, this.#messages] = this.#started();
    source.add(this.#closed);
    signal?.addEventListener("abort", this.#aborted, { once: true });
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
    this.#end(undefined);
  }

  /** The next event. Who asks again before it is there gets the one after it. */
  next(): Promise<IteratorResult<TicketEvent, undefined>> {
    const turn = this.#turn.then(() => this.#next());
    this.#turn = turn.catch(() => undefined);
    return turn;
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
    const until = untilThen(deadlineMs);
    try {
      while (!this.#ended.signal.aborted) {
        if (left(until) === 0) throw notBegun(this.#source.address);
        const message = await this.#read(until);
        if (message instanceof TicketingError) {
          // A deadline that passed is reported above.
          if (left(until) > 0) await this.#resume(message, until);
          continue;
        }
        if (message.message.case === "event") this.#ahead = message;
        else this.#take(message);
        return this;
      }
      throw this.#failure;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async #next(): Promise<IteratorResult<TicketEvent, undefined>> {
    while (!this.#ended.signal.aborted) {
      const message = this.#ahead ?? (await this.#read(Infinity));
      this.#ahead = undefined;
      if (message instanceof TicketingError) {
        await this.#resume(message, undefined);
        continue;
      }
      const event = this.#take(message);
      if (event) return { done: false, value: event };
    }
    if (this.#failure !== undefined) throw this.#failure;
    return { done: true, value: undefined };
  }

  #take({ message }: StreamTicketEventsResponse): TicketEvent | undefined {
    this.#failures = 0;
    // A message of a kind that is newer than this package is passed over.
    if (message.case === undefined) return undefined;
    this.#token = message.value.resumeToken;
    this.#request.start = { case: "resumeToken", value: this.#token };
    return message.case === "event" ? message.value : undefined;
  }

  /** The next message, or what the stream ended with. */
  async #read(until: number): Promise<StreamTicketEventsResponse | TicketingError> {
    const call = this.#call;
    const isLast = left(until) <= TIMES.silence;
    let isLate = false;
    // Reading has no time-out of its own.
    const timer = setTimeout(() => {
      isLate = true;
      call.stream.cancel();
    }, isLast ? left(until) : TIMES.silence);
    try {
      const { done, value } = await this.#messages.next();
      return done ? ended(this.#source.address) : value;
    } catch (error) {
      if (!isLate) return fromGrpc(error as ServiceError, this.#source.address);
      // Whatever the clock says now: it is not the timer's.
      if (isLast) throw notBegun(this.#source.address);
      call.avoid();
      return silent(this.#source.address);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Starts another stream, after a while; or throws what the last one ended with. `until`: before the subscription stands. */
  async #resume(error: TicketingError, until: number | undefined): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const delay = beforeResume(error, this.#failures++);
    const isGivenUp = until !== undefined && (this.#failures >= ATTEMPTS || (delay ?? 0) >= left(until));
    if (delay === undefined || isGivenUp) {
      this.close();
      throw error;
    }
    // Ended before its first bookmark: the server may have said where.
    const told = error.metadata["resume_token"];
    if (told && this.#request.start.case === undefined) this.#request.start = { case: "resumeToken", value: told };
    await sleep(delay, undefined, { signal: this.#ended.signal }).catch(() => undefined);
    if (!this.#ended.signal.aborted) [this.#call, this.#messages] = this.#started();
  }

  #started(): [Call, AsyncIterator<StreamTicketEventsResponse>] {
    const call = this.#source.start(this.#request);
    // The iterating caller gets the error; after that, the one of the cancelled call is ignored.
    call.stream.on("error", () => undefined);
    return [call, call.stream[Symbol.asyncIterator]() as AsyncIterator<StreamTicketEventsResponse>];
  }

  #end(failure: unknown): void {
    if (!this.#ended.signal.aborted) {
      this.#failure = failure;
      this.#ended.abort();
    }
    this.#source.remove(this.#closed);
    this.#signal?.removeEventListener("abort", this.#aborted);
    this.#call.stream.cancel();
  }

  readonly #closed = (): void => this.#end(closed(this.#source.address));
  readonly #aborted = (): void => this.#end(this.#signal?.reason);
}
