import { spawn, type ChildProcessByStdio } from "node:child_process";
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import type { Readable, Writable } from "node:stream";

import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, timestampFromDate, v1 } from "@rhythmx/ticketing";

// Relative to build/tests, where this runs.
export const SDK = new URL("../..", import.meta.url).pathname;
export const PROGRAM = process.env["TICKETING_FIXTURE"] ?? `${SDK}/../../target/debug/sdk-fixture`;

interface Started {
  readonly address: string;
  readonly relay: string;
  readonly tokens: Record<"admin" | "analyst" | "producer" | "viewer", string>;
  readonly jira: Record<"url" | "email" | "api_token" | "project_key", string>;
  readonly ca: string;
}

/** The real server with simulated ticket systems: `sdk-fixture`. */
export class Fixture {
  private constructor(
    private readonly process: ChildProcessByStdio<Writable, Readable, null>,
    private readonly answers: AsyncIterator<string>,
    readonly started: Started,
  ) {}

  static async start(...flags: string[]): Promise<Fixture> {
    const process = spawn(PROGRAM, flags, { stdio: ["pipe", "pipe", "inherit"] });
    const answers = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
    return new Fixture(process, answers, JSON.parse((await answers.next()).value as string) as Started);
  }

  async command(command: string): Promise<Record<string, unknown>> {
    this.process.stdin.write(`${command}\n`);
    const answer = JSON.parse((await this.answers.next()).value as string) as Record<string, unknown>;
    if (answer["error"]) throw new Error(String(answer["error"]));
    return answer;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.stdin.end();
    await ended;
  }
}

/** A test that provides a row of the table in sdks/README.md. */
export function behaviour(name: string, title: string, body: () => Promise<void>): void {
  void test(title, { timeout: 60_000 }, async () => {
    let verdict = "failed";
    try {
      await body();
      verdict = "passed";
    } finally {
      const results = process.env["SDK_RESULTS"];
      if (results) appendFileSync(results, `${name}\t${verdict}\n`);
    }
  });
}

/** A new incident, severe enough for auto-push. */
export function newIncident(more: MessageInitShape<typeof v1.IncidentSchema> = {}): v1.Incident {
  return create(v1.IncidentSchema, {
    id: `INC-${randomUUID()}`,
    actor: { name: "j.doe", type: v1.ActorType.USER },
    risk: { score: 91.5, level: v1.RiskLevel.CRITICAL },
    timeline: {
      firstAlert: timestampFromDate(new Date("2026-03-01T08:00:00Z")),
      lastAlert: timestampFromDate(new Date("2026-03-01T08:15:00Z")),
    },
    ...(more as object),
  });
}

export function createInJira(pushed: v1.Incident): MessageInitShape<typeof v1.CreateTicketRequestSchema> {
  return { incident: pushed, destination: { case: "system", value: v1.TicketSystem.JIRA } };
}
