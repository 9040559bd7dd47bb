package com.rhythmx.ticketing;

import com.google.protobuf.Timestamp;
import com.rhythmx.ticketing.v1.Actor;
import com.rhythmx.ticketing.v1.ActorType;
import com.rhythmx.ticketing.v1.CreateTicketRequest;
import com.rhythmx.ticketing.v1.Incident;
import com.rhythmx.ticketing.v1.Risk;
import com.rhythmx.ticketing.v1.TicketSystem;
import com.rhythmx.ticketing.v1.Timeline;

/** Incidents and requests for the tests. */
final class Incidents {
  private Incidents() {}

  static Incident incident(String id) {
    return Incident.newBuilder()
        .setId(id)
        .setActor(Actor.newBuilder().setName("j.doe").setType(ActorType.ACTOR_TYPE_USER))
        .setRisk(Risk.newBuilder().setScore(91))
        .setTimeline(
            Timeline.newBuilder()
                .setFirstAlert(Timestamp.newBuilder().setSeconds(1_770_000_000))
                .setLastAlert(Timestamp.newBuilder().setSeconds(1_770_003_600)))
        .build();
  }

  static CreateTicketRequest push(String id) {
    return push(incident(id));
  }

  static CreateTicketRequest push(Incident incident) {
    return CreateTicketRequest.newBuilder().setIncident(incident).setSystem(TicketSystem.TICKET_SYSTEM_JIRA).build();
  }
}
