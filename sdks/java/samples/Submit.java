import com.google.protobuf.Timestamp;
import com.rhythmx.ticketing.TicketingClient;
import com.rhythmx.ticketing.v1.Actor;
import com.rhythmx.ticketing.v1.ActorType;
import com.rhythmx.ticketing.v1.Incident;
import com.rhythmx.ticketing.v1.Risk;
import com.rhythmx.ticketing.v1.SubmitIncidentRequest;
import com.rhythmx.ticketing.v1.Timeline;
import java.time.Instant;

/** Submits an incident to auto-push, which decides by its severity. */
public class Submit {
  public static void main(String[] arguments) {
    long now = Instant.now().getEpochSecond();
    var incident = Incident.newBuilder()
        .setId("INC-2032")
        .setActor(Actor.newBuilder().setName("j.doe").setType(ActorType.ACTOR_TYPE_USER))
        .setRisk(Risk.newBuilder().setScore(91))
        .setTimeline(Timeline.newBuilder()
            .setFirstAlert(Timestamp.newBuilder().setSeconds(now - 3_600))
            .setLastAlert(Timestamp.newBuilder().setSeconds(now)))
        .build();
    try (var client = TicketingClient.connectFromEnvironment()) {
      var request = SubmitIncidentRequest.newBuilder().setIncident(incident).build();
      for (var result : client.submitIncident(request).getResultsList()) {
        var decision = result.getDecision();
        System.out.println(decision.getConnection() + " " + decision.getPush() + " " + decision.getExplanation());
      }
    }
  }
}
