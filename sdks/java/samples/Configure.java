import com.rhythmx.ticketing.TicketingClient;
import com.rhythmx.ticketing.v1.AutoPushSettings;
import com.rhythmx.ticketing.v1.ConfigureRequest;
import com.rhythmx.ticketing.v1.JiraSettings;
import com.rhythmx.ticketing.v1.Severity;
import com.rhythmx.ticketing.v1.TestConnectionRequest;

/** Connects the service to a Jira, switches auto-push on, and tests the connection to it. */
public class Configure {
  public static void main(String[] arguments) {
    try (var client = TicketingClient.connectFromEnvironment()) {
      // Absent fields keep their values.
      var answer = client.configure(ConfigureRequest.newBuilder()
          .setJira(JiraSettings.newBuilder()
              .setUrl(System.getenv("JIRA_URL"))
              .setEmail(System.getenv("JIRA_EMAIL"))
              .setApiToken(System.getenv("JIRA_API_TOKEN"))
              .setProjectKey(System.getenv("JIRA_PROJECT_KEY"))
              .setEnabled(true))
          .setAutoPush(AutoPushSettings.newBuilder().setEnabled(true).setMinimumSeverity(Severity.SEVERITY_HIGH))
          .build());
      System.out.println("Tickets go to project " + answer.getJira().getProjectKey() + " of " + answer.getJira().getUrl());
      var proof = client.testConnection(
          TestConnectionRequest.newBuilder().setConnection("jira").build());
      for (var check : proof.getTest().getChecksList()) {
        System.out.println(check.getOutcome() + " " + check.getName() + " " + check.getHint());
      }
    }
  }
}
