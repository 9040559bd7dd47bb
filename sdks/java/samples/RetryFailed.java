import com.rhythmx.ticketing.TicketingClient;
import com.rhythmx.ticketing.v1.DeliveryFilter;
import com.rhythmx.ticketing.v1.DeliveryState;
import com.rhythmx.ticketing.v1.ListDeliveriesRequest;
import com.rhythmx.ticketing.v1.RetryDeliveryRequest;

/** Retries every failed delivery. */
public class RetryFailed {
  public static void main(String[] arguments) {
    try (var client = TicketingClient.connectFromEnvironment()) {
      var failedOnes = DeliveryFilter.newBuilder().addStates(DeliveryState.DELIVERY_STATE_FAILED);
      var request = ListDeliveriesRequest.newBuilder().setFilter(failedOnes);
      do {
        var page = client.listDeliveries(request.build());
        for (var failed : page.getDeliveriesList()) {
          var retry = RetryDeliveryRequest.newBuilder().setDeliveryId(failed.getId()).build();
          var now = client.retryDelivery(retry).getDelivery();
          System.out.println(failed.getIncidentId() + " " + now.getState() + " " + now.getTicket().getUrl());
        }
        request.setPageToken(page.getNextPageToken());
      } while (!request.getPageToken().isEmpty());
    }
  }
}
