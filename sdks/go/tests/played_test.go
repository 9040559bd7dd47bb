package tests

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// played answers what a real server answers on bad days only.
type played struct {
	ticketingv1.UnimplementedTicketingServiceServer
	// How each stream ends, one after the other, after two events; nil: it does not.
	ends []error
	// The start of each stream.
	starts []string
	// Whether a stream begins with an event, and not with a bookmark.
	blunt bool
	// How often a unary call came, and how each of them fails.
	calls    int
	failures []error
}

func TestASubscriptionOutlivesWhatPasses(t *testing.T) {
	slow := told(codes.ResourceExhausted, "SUBSCRIBER_TOO_SLOW", map[string]string{"resume_token": "elsewhere"})
	many := told(codes.ResourceExhausted, "TOO_MANY_STREAMS", nil, later(300*time.Millisecond))
	old := told(codes.Unavailable, "CONNECTION_ENDING", nil)
	broken := status.Error(codes.Internal, "the stream was reset")
	expired := told(codes.OutOfRange, "RESUME_TOKEN_EXPIRED", map[string]string{"oldest_token": "5"})
	service := &played{ends: []error{slow, many, old, broken, expired}}
	began := time.Now()
	subscription, err := play(t, service).Subscribe(within(t, patience), nil)
	check(t, err)
	var seen []uint64
	for event, failed := range subscription.Events() {
		if err = failed; err == nil {
			seen = append(seen, event.GetSequence())
		}
	}
	failure := expect(t, err, codes.OutOfRange, ticketingv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_EXPIRED)
	if failure.Metadata["oldest_token"] != "5" {
		t.Error(failure.Metadata)
	}
	if !slices.Equal(seen, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Error("events", seen)
	}
	if !slices.Equal(service.starts, []string{"", "2", "4", "6", "8"}) {
		t.Error("starts", service.starts)
	}
	if time.Since(began) < 300*time.Millisecond {
		t.Error("it did not wait as long as it was told to")
	}
}

func TestWhatComesFirstIsHandedOver(t *testing.T) {
	broken := told(codes.Internal, "INTERNAL", nil)
	service := &played{blunt: true, ends: []error{broken, told(codes.DataLoss, "", nil)}}
	subscription, err := play(t, service).Subscribe(within(t, patience), nil)
	check(t, err)
	var seen []uint64
	for event, failed := range subscription.Events() {
		if err = failed; err == nil {
			seen = append(seen, event.GetSequence())
		}
	}
	if status.Code(err) != codes.DataLoss || !slices.Equal(seen, []uint64{1, 2, 3, 4}) {
		t.Fatal(err, seen)
	}
}

func TestACredentialThatRunsOutEndsTheSubscription(t *testing.T) {
	for code, name := range map[codes.Code]string{
		codes.Unauthenticated: "CREDENTIAL_INVALID", codes.PermissionDenied: "ROLE_INSUFFICIENT",
	} {
		service := &played{ends: []error{told(code, name, nil)}}
		subscription, err := play(t, service).Subscribe(within(t, patience), nil)
		check(t, err)
		for _, err = range subscription.Events() {
		}
		if status.Code(err) != code || len(service.starts) != 1 {
			t.Errorf("%v after %d streams", err, len(service.starts))
		}
	}
}

func TestACallIsRepeatedWhenThatMayHelpAndIsSafe(t *testing.T) {
	away := told(codes.Unavailable, "STORE_UNAVAILABLE", nil, later(10*time.Millisecond))
	busy := told(codes.ResourceExhausted, "BUSY", nil, later(10*time.Millisecond))
	cases := []struct {
		about    string
		failures []error
		anyway   bool
		calls    int
		code     codes.Code
	}{
		{"it passes", []error{away, busy, away}, false, 4, codes.OK},
		{"it stays", slices.Repeat([]error{away}, 9), false, 6, codes.Unavailable},
		{"no retry delay is given", []error{told(codes.ResourceExhausted, "BUSY", nil)}, false, 1, codes.ResourceExhausted},
		{"it is the request", []error{told(codes.InvalidArgument, "REQUEST_INVALID", nil)}, false, 1, codes.InvalidArgument},
		{"it may make a second ticket", []error{away}, true, 1, codes.Unavailable},
		{"later than the deadline", []error{told(codes.Unavailable, "BUSY", nil, later(time.Hour))}, false, 1, codes.Unavailable},
	}
	for _, one := range cases {
		service := &played{failures: one.failures}
		request := &ticketingv1.RetryDeliveryRequest{DeliveryId: "0197", CreateAnyway: one.anyway}
		_, err := play(t, service).RetryDelivery(within(t, patience), request)
		if status.Code(err) != one.code || service.calls != one.calls {
			t.Errorf("%s: %v after %d calls", one.about, err, service.calls)
		}
	}
}

func TestAReasonOfTomorrowIsKept(t *testing.T) {
	service := &played{failures: []error{told(codes.FailedPrecondition, "OF_TOMORROW", nil, later(time.Minute))}}
	_, err := play(t, service).RetryDelivery(within(t, patience), &ticketingv1.RetryDeliveryRequest{})
	failure := expect(t, err, codes.FailedPrecondition, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
	if failure.ReasonName != "OF_TOMORROW" || failure.RetryAfter != time.Minute {
		t.Fatal(failure)
	}
}

// === played ===

func (p *played) StreamTicketEvents(
	request *ticketingv1.StreamTicketEventsRequest,
	stream grpc.ServerStreamingServer[ticketingv1.StreamTicketEventsResponse],
) error {
	nth := len(p.starts)
	p.starts = append(p.starts, request.GetResumeToken())
	bookmark := &ticketingv1.Bookmark{ResumeToken: request.GetResumeToken()}
	messages := []*ticketingv1.StreamTicketEventsResponse{
		{Message: &ticketingv1.StreamTicketEventsResponse_Bookmark{Bookmark: bookmark}},
	}
	for sequence := 2*nth + 1; sequence <= 2*nth+2; sequence++ {
		event := &ticketingv1.TicketEvent{Sequence: uint64(sequence), ResumeToken: string(rune('0' + sequence))}
		one := &ticketingv1.StreamTicketEventsResponse_Event{Event: event}
		messages = append(messages, &ticketingv1.StreamTicketEventsResponse{Message: one})
	}
	if p.blunt {
		messages = messages[1:]
	}
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	return p.ends[nth]
}

func (p *played) RetryDelivery(
	context.Context, *ticketingv1.RetryDeliveryRequest,
) (*ticketingv1.RetryDeliveryResponse, error) {
	p.calls++
	if p.calls <= len(p.failures) {
		return nil, p.failures[p.calls-1]
	}
	return &ticketingv1.RetryDeliveryResponse{}, nil
}

// play serves it, and gives a client of it.
func play(t *testing.T, service *played) *ticketing.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := grpc.NewServer()
	ticketingv1.RegisterTicketingServiceServer(server, service)
	go func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	}()
	t.Cleanup(server.Stop)
	return connect(t, listener.Addr().String())
}

// told is an error as the service tells it.
func told(code codes.Code, reason string, metadata map[string]string, more ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Domain: "ticketing.rhythmx", Reason: reason, Metadata: metadata}
	detailed, err := status.New(code, "so it is").WithDetails(append(more, info)...)
	if err != nil {
		return err
	}
	return detailed.Err()
}

func later(delay time.Duration) protoadapt.MessageV1 {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}
}
