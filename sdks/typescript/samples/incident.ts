import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { v1 } from "@rhythmx/ticketing";

/** An incident to try the samples with. */
export function incident(id: string, more: MessageInitShape<typeof v1.IncidentSchema> = {}): v1.Incident {
  return create(v1.IncidentSchema, {
    id,
    url: `https://rhythmx.example/incidents/${id}`,
    actor: { name: "j.doe", type: v1.ActorType.USER, entity: "Finance" },
    risk: { score: 91.5, level: v1.RiskLevel.CRITICAL },
    timeline: {
      firstAlert: timestampFromDate(new Date("2026-03-01T08:00:00Z")),
      lastAlert: timestampFromDate(new Date("2026-03-01T08:15:00Z")),
    },
    firingRules: [{ name: "Impossible travel", count: 3 }],
    ...(more as object),
  });
}
