// Streams that end in ways that the real server can not be made to end them soon enough.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Metadata, Server, ServerCredentials, status, type ServerWritableStream } from "@grpc/grpc-js";
import { connect, ResumeTokenExpired, v1, type Client } from "@rhythmx/ticketing";

import { behaviour } from "./fixture.js";

type Step = number | { code: status; reason: string; about?: [string, string] };

// What each stream in turn does, and what it was asked for.
let streams: Step[][] = [];
let asked: string[] = [];
let retries = 0;
const server = new Server();
let client: Client;

before(async () => {
  const methods = v1.TicketingService.method;
  const path = (name: string): string => `/${v1.TicketingService.typeName}/${name}`;
  server.register(
    path(methods.streamTicketEvents.name),
    (call: ServerWritableStream<v1.StreamTicketEventsRequest, v1.StreamTicketEventsResponse>) => play(call),
    (message: v1.StreamTicketEventsResponse) => Buffer.from(toBinary(v1.StreamTicketEventsResponseSchema, message)),
    (bytes: Buffer) => fromBinary(v1.StreamTicketEventsRequestSchema, bytes),
    "serverStream",
  );
  server.register(
    path(methods.retryDelivery.name),
    (_call: unknown, answer: (error: object) => void) => {
      retries++;
      answer({ code: status.UNAVAILABLE, details: "away" });
    },
    (message: unknown) => message as Buffer,
    (bytes: Buffer) => bytes,
    "unary",
  );
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, at: number): void => (error ? reject(error) : resolve(at));
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), bound);
  });
  client = connect(`127.0.0.1:${port}`);
});
after(() => {
  client.close();
  server.forceShutdown();
});

function play(call: ServerWritableStream<v1.StreamTicketEventsRequest, v1.StreamTicketEventsResponse>): void {
  asked.push(call.request.start.case === "resumeToken" ? call.request.start.value : "");
  for (const step of streams.shift() ?? []) {
    if (typeof step === "object") {
      const metadata = new Metadata();
      metadata.set("grpc-status-details-bin", details(step.reason, step.about));
      call.emit("error", { code: step.code, details: "as told", metadata });
      return;
    }
    const resumeToken = `after ${step}`;
    const message = step
      ? { case: "event" as const, value: create(v1.TicketEventSchema, { resumeToken, sequence: BigInt(step) }) }
      : { case: "bookmark" as const, value: create(v1.BookmarkSchema, { resumeToken }) };
    call.write(create(v1.StreamTicketEventsResponseSchema, { message }));
  }
  call.end();
}

/** A google.rpc.Status with an ErrorInfo. */
function details(reason: string, about?: [string, string]): Buffer {
  const field = (number: number, value: Buffer | string): Buffer => {
    const bytes = Buffer.from(value as string);
    const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
  };
  const metadata = about ? field(3, Buffer.concat([field(1, about[0]), field(2, about[1])])) : Buffer.alloc(0);
  const info = Buffer.concat([field(1, reason), field(2, "ticketing.rhythmx"), metadata]);
  return field(3, Buffer.concat([field(1, "type.googleapis.com/google.rpc.ErrorInfo"), field(2, info)]));
}

const REFUSED = "events end with a typed error when the token is refused";
behaviour(REFUSED, "an expired token is handed to the caller with the oldest one", async () => {
  const about: [string, string] = ["oldest_token", "oldest"];
  streams = [
    [0, 1, { code: status.UNAVAILABLE, reason: "SHUTTING_DOWN" }],
    [{ code: status.OUT_OF_RANGE, reason: "RESUME_TOKEN_EXPIRED", about }],
  ];
  asked = [];
  const events = await client.events();
  assert.equal((await events.next()).value?.sequence, 1n);
  const error = await events.next().catch((failed: unknown) => failed);
  assert.ok(error instanceof ResumeTokenExpired, String(error));
  assert.equal(error.oldestToken, "oldest");
  assert.deepEqual(asked, ["", "after 1"]);
});

test("slowness and an end without a word are resumed, and a revoked credential is not", async () => {
  streams = [
    [0, 1, { code: status.RESOURCE_EXHAUSTED, reason: "SUBSCRIBER_TOO_SLOW", about: ["resume_token", "elsewhere"] }],
    [2],
    [0, 3, { code: status.UNAUTHENTICATED, reason: "CREDENTIAL_INVALID" }],
  ];
  asked = [];
  const events = await client.events();
  for (const sequence of [1n, 2n, 3n]) assert.equal((await events.next()).value?.sequence, sequence);
  await assert.rejects(events.next(), { code: "UNAUTHENTICATED", reason: v1.ErrorReason.CREDENTIAL_INVALID });
  assert.deepEqual(asked, ["", "after 1", "after 2"]);
});

test("what puts a doubt aside is not retried, and whatever else is", async () => {
  await assert.rejects(client.retryDelivery({ deliveryId: "0197", createAnyway: true }), { code: "UNAVAILABLE" });
  assert.equal(retries, 1);
  await assert.rejects(client.retryDelivery({ deliveryId: "0197" }, { deadlineMs: 1_000 }), { code: "UNAVAILABLE" });
  assert.ok(retries > 2, String(retries));
});
