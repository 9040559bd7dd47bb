import com.rhythmx.ticketing.TicketingClient;

/** Prints the events of deliveries until it is interrupted. */
public class Watch {
  public static void main(String[] arguments) {
    try (var client = TicketingClient.connectFromEnvironment()) {
      var events = client.subscribe();
      System.out.println("watching");
      for (var event : events) {
        System.out.println(event.getSequence() + " " + event.getKind() + " " + event.getIncidentId() + " "
            + event.getDelivery().getTicket().getKey());
      }
    }
  }
}
