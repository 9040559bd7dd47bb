// Submit submits an incident to auto-push, which decides by its severity.
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
		Id:       "INC-2032",
		Actor:    &ticketingv1.Actor{Name: "j.doe", Type: ticketingv1.ActorType_ACTOR_TYPE_USER},
		Risk:     &ticketingv1.Risk{Score: 91},
		Timeline: &ticketingv1.Timeline{FirstAlert: timestamppb.New(now.Add(-time.Hour)), LastAlert: timestamppb.New(now)},
	}
	answer, err := client.SubmitIncident(context.Background(), &ticketingv1.SubmitIncidentRequest{Incident: incident})
	if err != nil {
		log.Fatal(err)
	}
	for _, result := range answer.GetResults() {
		fmt.Println(result.GetDecision().GetConnection(), result.GetDecision().GetPush(), result.GetDecision().GetExplanation())
	}
}
