package tests

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// It runs last: a stopping server would wait for the delayed attempts.
func TestCallEndsWithItsContext(t *testing.T) {
	server.setJira(t, "jira delay")
	behaviour(t, "DEADLINE_EXCEEDED", func(t *testing.T) {
		_, err := client(t).CreateTicket(within(t, 3*time.Millisecond), push("INC-late"))
		expect(t, err, codes.DeadlineExceeded, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		_, err = client(t, ticketing.WithDeadline(time.Microsecond)).CreateTicket(context.Background(), push("INC-late"))
		expect(t, err, codes.DeadlineExceeded, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
	})
	behaviour(t, "cancellation", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(200*time.Millisecond, cancel)
		began := time.Now()
		_, err := client(t).CreateTicket(ctx, push("INC-cancelled"))
		expect(t, err, codes.Canceled, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
		if !errors.Is(err, context.Canceled) || time.Since(began) > 5*time.Second {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
	})
}
