import { setTimeout as sleep } from "node:timers/promises";

import { clone } from "@bufbuild/protobuf";
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";

import { closed, ended, fromGrpc, notStarted, silent, TicketingError } from "./errors.js";
import { ATTEMPTS, delayBeforeResume } from "./retry.js";
import { left, TIMES, untilThen } from "./times.js";
import {
  StreamTicketEventsRequestSchema,
  type StreamTicketEventsRequest,
  type StreamTicketEventsResponse,
  type TicketEvent,
} from "./v1.js";

/** An open stream. */
export interface Call {
  readonly stream: ClientReadableStream<StreamTicketEventsResponse>;
  /** Makes the next stream use another connection. */
  replaceConnection(): void;
}

/** Opens streams. */
export interface Source {
  /** The server's address, for messages. */
  readonly address: string;
  start(request: StreamTicketEventsRequest): Call;
  /** Registers a function that is called when the client is closed. */
  add(end: () => void): void;
  remove(end: () => void): void;
}

/**
 * The events of deliveries, each once and in order, across restarts of the server and lost connections.
 *
 * Iteration ends when the subscription is closed, by `close` or by leaving the loop. It throws a `TicketingError` when it cannot be
 * resumed: `ResumeTokenExpired`, UNAUTHENTICATED, PERMISSION_DENIED or another permanent error of the server; CANCELLED when the
 * client is closed; and the reason of its signal when that is aborted.
 */
export class Events implements AsyncIterableIterator<TicketEvent, undefined> {
  readonly #source: Source;
  readonly #request: StreamTicketEventsRequest;
  readonly #signal: AbortSignal | undefined;
  // Aborted when the subscription has ended; `#failure` is the reason, if it failed.
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
   * The token of the last event or bookmark returned. Store it once the event is processed: a later subscription with this token
   * resumes after that event.
   */
  get resumeToken(): string {
    return this.#token;
  }

  /** Closes the subscription. */
  close(): void {
    this.#end(undefined);
  }

  /** Returns the next event. Concurrent calls get consecutive events. */
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

  /** @internal Waits for the first message: the bookmark with the start position. */
  async waitForStart(deadlineMs: number): Promise<this> {
    const until = untilThen(deadlineMs);
    try {
      while (!this.#ended.signal.aborted) {
        if (left(until) === 0) throw notStarted(this.#source.address);
        const message = await this.#read(until);
        if (message instanceof TicketingError) {
          // An expired deadline is reported above.
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
    // A message of a kind that this package does not know is skipped.
    if (message.case === undefined) return undefined;
    this.#token = message.value.resumeToken;
    this.#request.start = { case: "resumeToken", value: this.#token };
    return message.case === "event" ? message.value : undefined;
  }

  /** Returns the next message, or the error of the stream. */
  async #read(until: number): Promise<StreamTicketEventsResponse | TicketingError> {
    const call = this.#call;
    const isLast = left(until) <= TIMES.silence;
    let isLate = false;
    // Reading has no timeout.
    const timer = setTimeout(() => {
      isLate = true;
      call.stream.cancel();
    }, isLast ? left(until) : TIMES.silence);
    try {
      const { done, value } = await this.#messages.next();
      return done ? ended(this.#source.address) : value;
    } catch (error) {
      if (!isLate) return fromGrpc(error as ServiceError, this.#source.address);
      // Not compared with the clock, which may differ from that of the timer.
      if (isLast) throw notStarted(this.#source.address);
      call.replaceConnection();
      return silent(this.#source.address);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Opens the next stream after a delay, or throws the error of the last one. `until`: the deadline of the start, if it is not over. */
  async #resume(error: TicketingError, until: number | undefined): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const delay = delayBeforeResume(error, this.#failures++);
    const isLastAttempt = until !== undefined && (this.#failures >= ATTEMPTS || (delay ?? 0) >= left(until));
    if (delay === undefined || isLastAttempt) {
      this.close();
      throw error;
    }
    // Without a bookmark, the error may have the position.
    const position = error.metadata["resume_token"];
    if (position && this.#request.start.case === undefined) this.#request.start = { case: "resumeToken", value: position };
    await sleep(delay, undefined, { signal: this.#ended.signal }).catch(() => undefined);
    if (!this.#ended.signal.aborted) [this.#call, this.#messages] = this.#started();
  }

  #started(): [Call, AsyncIterator<StreamTicketEventsResponse>] {
    const call = this.#source.start(this.#request);
    // The iterator reports the error; that of a cancelled call is ignored.
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
