// Configure connects the service to a Jira, switches auto-push on, and tests the connection to it.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

func main() {
	client, err := ticketing.ConnectFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	// Absent fields keep their values.
	answer, err := client.Configure(context.Background(), &ticketingv1.ConfigureRequest{
		Jira: &ticketingv1.JiraSettings{
			Url:        proto.String(os.Getenv("JIRA_URL")),
			Email:      proto.String(os.Getenv("JIRA_EMAIL")),
			ApiToken:   proto.String(os.Getenv("JIRA_API_TOKEN")),
			ProjectKey: proto.String(os.Getenv("JIRA_PROJECT_KEY")),
			Enabled:    proto.Bool(true),
		},
		AutoPush: &ticketingv1.AutoPushSettings{
			Enabled:         proto.Bool(true),
			MinimumSeverity: ticketingv1.Severity_SEVERITY_HIGH.Enum(),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("Tickets go to project", answer.GetJira().GetProjectKey(), "of", answer.GetJira().GetUrl())
	proof, err := client.TestConnection(context.Background(), &ticketingv1.TestConnectionRequest{
		Destination: &ticketingv1.TestConnectionRequest_Connection{Connection: "jira"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, check := range proof.GetTest().GetChecks() {
		fmt.Println(check.GetOutcome(), check.GetName(), check.GetHint())
	}
}
