package tests

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// expect checks the error and returns it.
func expect(t *testing.T, err error, code codes.Code, reason ticketingv1.ErrorReason) *ticketing.Error {
	t.Helper()
	var failure *ticketing.Error
	if !errors.As(err, &failure) {
		t.Fatalf("not a *ticketing.Error: %v", err)
	}
	if failure.Code != code || failure.Reason != reason || status.Code(err) != code {
		t.Fatalf("not %v (%v): %v", code, reason, err)
	}
	if !strings.Contains(err.Error(), failure.Address) || !strings.Contains(err.Error(), failure.Method) {
		t.Fatalf("it does not name the server: %v", err)
	}
	return failure
}

func TestErrorsHaveReasonAndDetails(t *testing.T) {
	behaviour(t, "INVALID_ARGUMENT with field violations", func(t *testing.T) {
		bad := push("INC-bad")
		bad.Incident.Risk.Score = 120
		bad.Incident.FiringRules = []*ticketingv1.FiringRule{{Count: 1}}
		_, err := client(t).CreateTicket(within(t, testTimeout), bad)
		failure := expect(t, err, codes.InvalidArgument, ticketingv1.ErrorReason_ERROR_REASON_INCIDENT_INVALID)
		fields := map[string]bool{}
		for _, violation := range failure.Violations {
			fields[violation.Field] = violation.Description != ""
		}
		if !fields["incident.risk.score"] || !fields["incident.firing_rules[0].name"] {
			t.Fatal(failure.Violations)
		}
	})
	behaviour(t, "NOT_FOUND", func(t *testing.T) {
		_, err := client(t).GetDelivery(within(t, testTimeout), &ticketingv1.GetDeliveryRequest{DeliveryId: "0197"})
		failure := expect(t, err, codes.NotFound, ticketingv1.ErrorReason_ERROR_REASON_DELIVERY_NOT_FOUND)
		if failure.Metadata["delivery_id"] != "0197" {
			t.Fatal(failure.Metadata)
		}
	})
	behaviour(t, "FAILED_PRECONDITION", func(t *testing.T) {
		pushed, err := client(t).CreateTicket(within(t, testTimeout), push("INC-done"))
		check(t, err)
		cancel := &ticketingv1.CancelDeliveryRequest{DeliveryId: pushed.GetDelivery().GetId()}
		_, err = client(t).CancelDelivery(within(t, testTimeout), cancel)
		expect(t, err, codes.FailedPrecondition, ticketingv1.ErrorReason_ERROR_REASON_DELIVERY_STATE)
	})
	behaviour(t, "UNAUTHENTICATED", func(t *testing.T) {
		wrong := client(t, ticketing.WithToken("rxt_wrong"))
		_, err := wrong.GetStatus(within(t, testTimeout), &ticketingv1.GetStatusRequest{})
		expect(t, err, codes.Unauthenticated, ticketingv1.ErrorReason_ERROR_REASON_CREDENTIAL_INVALID)
		_, err = wrong.Subscribe(within(t, testTimeout), nil)
		expect(t, err, codes.Unauthenticated, ticketingv1.ErrorReason_ERROR_REASON_CREDENTIAL_INVALID)
		_, err = connect(t, server.Address).GetStatus(within(t, testTimeout), &ticketingv1.GetStatusRequest{})
		expect(t, err, codes.Unauthenticated, ticketingv1.ErrorReason_ERROR_REASON_CREDENTIAL_MISSING)
	})
	behaviour(t, "PERMISSION_DENIED", func(t *testing.T) {
		viewer := client(t, ticketing.WithToken(server.Tokens.Viewer))
		_, err := viewer.CreateTicket(within(t, testTimeout), push("INC-viewer"))
		expect(t, err, codes.PermissionDenied, ticketingv1.ErrorReason_ERROR_REASON_ROLE_INSUFFICIENT)
	})
}

func TestNamesUnreachableServerWithinDeadline(t *testing.T) {
	behaviour(t, "UNAVAILABLE within the deadline, naming the address", func(t *testing.T) {
		server.command(t, "stop")
		t.Cleanup(func() { server.command(t, "start") })
		began := time.Now()
		_, err := client(t).GetStatus(within(t, 2*time.Second), &ticketingv1.GetStatusRequest{})
		expect(t, err, codes.Unavailable, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
		if !strings.Contains(err.Error(), server.Address) || time.Since(began) > 2*time.Second {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		_, err = client(t, ticketing.WithDeadline(2*time.Second)).Subscribe(context.Background(), nil)
		expect(t, err, codes.Unavailable, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
	})
	behaviour(t, "UNAVAILABLE retried until the server is back", func(t *testing.T) {
		client := client(t)
		_, err := client.GetStatus(within(t, testTimeout), &ticketingv1.GetStatusRequest{})
		check(t, err)
		server.command(t, "stop")
		answered := make(chan error, 1)
		go func() {
			_, err := client.GetStatus(context.Background(), &ticketingv1.GetStatusRequest{})
			answered <- err
		}()
		server.command(t, "start")
		check(t, <-answered)
	})
}

func TestRefusesInvalidOptions(t *testing.T) {
	cases := map[string]struct {
		address string
		option  ticketing.Option
	}{
		"without TLS":        {"ticketing.example:443", ticketing.WithToken("rxt_1")},
		"invalid characters": {"127.0.0.1:1", ticketing.WithToken("rxt 1\n")},
		"no such":            {"127.0.0.1:1", ticketing.WithTLS(ticketing.TLS{CAFile: "/nowhere"})},
		"both":               {"127.0.0.1:1", ticketing.WithTLS(ticketing.TLS{KeyFile: "/nowhere"})},
	}
	for words, one := range cases {
		_, err := ticketing.Connect(one.address, one.option)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
