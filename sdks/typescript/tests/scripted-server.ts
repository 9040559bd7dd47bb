import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Metadata, Server, ServerCredentials, status, type ServerWritableStream } from "@grpc/grpc-js";
import { v1 } from "@rhythmx/ticketing";

/** How a stream ends. Without a reason, the error is not from the service. */
export interface Broken {
  readonly code: status;
  readonly reason?: string;
  readonly about?: readonly [string, string];
}

type Stream = ServerWritableStream<v1.StreamTicketEventsRequest, v1.StreamTicketEventsResponse>;

/**
 * A server with scripted streams, for errors that the real server does not produce on demand. Each stream follows the next list: 0 is
 * a bookmark, another number an event of that kind. Without a list it sends nothing. RetryDelivery fails with UNAVAILABLE.
 */
export class ScriptedServer {
  readonly resumeTokens: string[] = [];
  retries = 0;
  address = "";
  readonly #server = new Server();
  readonly #streams: (readonly (number | Broken)[])[];

  private constructor(streams: readonly (readonly (number | Broken)[])[]) {
    this.#streams = [...streams];
  }

  static async start(...streams: readonly (readonly (number | Broken)[])[]): Promise<ScriptedServer> {
    const scripted = new ScriptedServer(streams);
    const methods = v1.TicketingService.method;
    const path = (name: string): string => `/${v1.TicketingService.typeName}/${name}`;
    scripted.#server.register(
      path(methods.streamTicketEvents.name),
      (call: Stream) => scripted.#script(call),
      (message: v1.StreamTicketEventsResponse) => Buffer.from(toBinary(v1.StreamTicketEventsResponseSchema, message)),
      (bytes: Buffer) => fromBinary(v1.StreamTicketEventsRequestSchema, bytes),
      "serverStream",
    );
    scripted.#server.register(
      path(methods.retryDelivery.name),
      (_call: unknown, answer: (error: object) => void) => {
        scripted.retries++;
        answer({ code: status.UNAVAILABLE, details: "scripted" });
      },
      (message: unknown) => message as Buffer,
      (bytes: Buffer) => bytes,
      "unary",
    );
    const port = await new Promise<number>((resolve, reject) => {
      const bound = (error: Error | null, at: number): void => (error ? reject(error) : resolve(at));
      scripted.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), bound);
    });
    scripted.address = `127.0.0.1:${port}`;
    return scripted;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #script(call: Stream): void {
    this.resumeTokens.push(call.request.start.case === "resumeToken" ? call.request.start.value : "");
    const steps = this.#streams.shift();
    if (!steps) return;
    for (const step of steps) {
      if (typeof step === "object") {
        const metadata = new Metadata();
        if (step.reason) metadata.set("grpc-status-details-bin", details(step.reason, step.about));
        call.emit("error", { code: step.code, details: "scripted", metadata });
        return;
      }
      const resumeToken = `after ${step}`;
      const message = step
        ? { case: "event" as const, value: create(v1.TicketEventSchema, { resumeToken, sequence: BigInt(step), kind: step }) }
        : { case: "bookmark" as const, value: create(v1.BookmarkSchema, { resumeToken }) };
      call.write(create(v1.StreamTicketEventsResponseSchema, { message }));
    }
    call.end();
  }
}

/** A google.rpc.Status with an ErrorInfo. */
function details(reason: string, about?: readonly [string, string]): Buffer {
  const field = (number: number, value: Buffer | string): Buffer => {
    const bytes = Buffer.from(value as string);
    const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
  };
  const metadata = about ? field(3, Buffer.concat([field(1, about[0]), field(2, about[1])])) : Buffer.alloc(0);
  const info = Buffer.concat([field(1, reason), field(2, "ticketing.rhythmx"), metadata]);
  return field(3, Buffer.concat([field(1, "type.googleapis.com/google.rpc.ErrorInfo"), field(2, info)]));
}
