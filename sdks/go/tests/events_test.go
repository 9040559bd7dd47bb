package tests

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

func TestEventsArriveOnceAndInOrder(t *testing.T) {
	behaviour(t, "events resumed across a restart", func(t *testing.T) { resumes(t, "restart") })
	behaviour(t, "events resumed across a kill", func(t *testing.T) { resumes(t, "kill") })
}

// resumes pushes incidents while the server restarts twice. Without filters the sequence has no gaps, so a missed or duplicate
// event fails the test.
func resumes(t *testing.T, command string) {
	const pushes = 30
	client, ctx := client(t), within(t, 2*testTimeout)
	subscription, err := client.Subscribe(ctx, nil)
	check(t, err)
	pushed := make(chan error, 1)
	go func() {
		for n := range pushes {
			// A push during a restart may need more than one call.
			var err error
			for range 5 {
				if _, err = client.CreateTicket(ctx, push(fmt.Sprintf("INC-%s-%d", command, n))); err == nil {
					break
				}
			}
			if err != nil {
				pushed <- err
				return
			}
		}
		pushed <- nil
	}()
	delivered, last := map[string]bool{}, uint64(0)
	for event, err := range subscription.Events() {
		check(t, err)
		if last != 0 && event.GetSequence() != last+1 {
			t.Fatalf("%d came after %d", event.GetSequence(), last)
		}
		last = event.GetSequence()
		if subscription.ResumeToken() != event.GetResumeToken() {
			t.Fatal("it would not resume after this event")
		}
		if event.GetKind() != ticketingv1.TicketEventKind_TICKET_EVENT_KIND_DELIVERED {
			continue
		}
		if delivered[event.GetIncidentId()] {
			t.Fatalf("%s was delivered twice", event.GetIncidentId())
		}
		delivered[event.GetIncidentId()] = true
		if len(delivered) == pushes/3 || len(delivered) == pushes*2/3 {
			server.command(t, command)
		}
		if len(delivered) == pushes {
			break
		}
	}
	check(t, <-pushed)
}

func TestContextAndCloseEndTheLoop(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	subscription, err := client(t).Subscribe(ctx, nil)
	check(t, err)
	cancel()
	for event, err := range subscription.Events() {
		if event != nil {
			continue
		}
		expect(t, err, codes.Canceled, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
	}
	closed, err := client(t).Subscribe(context.Background(), nil)
	check(t, err)
	closed.Close()
	for event, err := range closed.Events() {
		if err != nil {
			t.Fatal(event, err)
		}
	}
}

func TestRefusedTokenEndsTheSubscription(t *testing.T) {
	behaviour(t, "events end with a typed error when the token is refused", func(t *testing.T) {
		start := &ticketingv1.StreamTicketEventsRequest_ResumeToken{ResumeToken: "yesterday"}
		request := &ticketingv1.StreamTicketEventsRequest{Start: start}
		_, err := client(t).Subscribe(within(t, testTimeout), request)
		expect(t, err, codes.InvalidArgument, ticketingv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_INVALID)
	})
}
