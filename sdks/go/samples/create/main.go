// Create pushes an incident to Jira, and waits for the first attempt.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

func main() {
	client, err := ticketing.ConnectFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	now := time.Now()
	incident := &ticketingv1.Incident{
		Id:       "INC-2031",
		Actor:    &ticketingv1.Actor{Name: "j.doe", Type: ticketingv1.ActorType_ACTOR_TYPE_USER},
		Risk:     &ticketingv1.Risk{Score: 91},
		Timeline: &ticketingv1.Timeline{FirstAlert: timestamppb.New(now.Add(-time.Hour)), LastAlert: timestamppb.New(now)},
	}
	answer, err := client.CreateTicket(context.Background(), &ticketingv1.CreateTicketRequest{
		Incident:    incident,
		Destination: &ticketingv1.CreateTicketRequest_Connection{Connection: "jira"},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Empty while the delivery waits for a retry; the message has the time and the reason.
	fmt.Println(answer.GetMessage(), answer.GetDelivery().GetTicket().GetUrl())
}
