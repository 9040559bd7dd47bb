// Watch prints the events of deliveries until it is interrupted.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/rhythmx/ticketing/sdks/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	client, err := ticketing.ConnectFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	subscription, err := client.Subscribe(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("watching")
	for event, err := range subscription.Events() {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.GetSequence(), event.GetKind(), event.GetIncidentId(), event.GetDelivery().GetTicket().GetKey())
	}
}
