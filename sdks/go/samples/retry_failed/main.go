// Retry_failed retries every failed delivery.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

func main() {
	client, err := ticketing.ConnectFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	states := []ticketingv1.DeliveryState{ticketingv1.DeliveryState_DELIVERY_STATE_FAILED}
	request := &ticketingv1.ListDeliveriesRequest{Filter: &ticketingv1.DeliveryFilter{States: states}}
	for {
		page, err := client.ListDeliveries(ctx, request)
		if err != nil {
			log.Fatal(err)
		}
		for _, failed := range page.GetDeliveries() {
			answer, err := client.RetryDelivery(ctx, &ticketingv1.RetryDeliveryRequest{DeliveryId: failed.GetId()})
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(failed.GetIncidentId(), answer.GetDelivery().GetState(), answer.GetDelivery().GetTicket().GetUrl())
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return
		}
	}
}
