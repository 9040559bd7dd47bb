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

// scriptedServer returns scripted errors, which the real server does not produce on demand.
type scriptedServer struct {
	ticketingv1.UnimplementedTicketingServiceServer
	// How the streams end, each after two events; nil: the stream ends without an error.
	ends []error
	// The start of each stream.
	starts []string
	// Whether a stream starts with an event instead of a bookmark.
	omitsBookmark bool
	// The number of unary calls, and how each of them fails.
	calls    int
	failures []error
}

func TestSubscriptionResumesAfterTransientErrors(t *testing.T) {
	slow := scriptedError(codes.ResourceExhausted, "SUBSCRIBER_TOO_SLOW", map[string]string{"resume_token": "elsewhere"})
	many := scriptedError(codes.ResourceExhausted, "TOO_MANY_STREAMS", nil, retryDelay(300*time.Millisecond))
	old := scriptedError(codes.Unavailable, "CONNECTION_ENDING", nil)
	broken := status.Error(codes.Internal, "the stream was reset")
	expired := scriptedError(codes.OutOfRange, "RESUME_TOKEN_EXPIRED", map[string]string{"oldest_token": "5"})
	service := &scriptedServer{ends: []error{slow, many, old, broken, expired}}
	began := time.Now()
	subscription, err := startScripted(t, service).Subscribe(within(t, testTimeout), nil)
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
		t.Error("it did not wait for the retry delay")
	}
}

func TestReturnsEventThatPrecedesAnyBookmark(t *testing.T) {
	broken := scriptedError(codes.Internal, "INTERNAL", nil)
	service := &scriptedServer{omitsBookmark: true, ends: []error{broken, scriptedError(codes.DataLoss, "", nil)}}
	subscription, err := startScripted(t, service).Subscribe(within(t, testTimeout), nil)
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

func TestExpiredCredentialEndsTheSubscription(t *testing.T) {
	for code, name := range map[codes.Code]string{
		codes.Unauthenticated: "CREDENTIAL_INVALID", codes.PermissionDenied: "ROLE_INSUFFICIENT",
	} {
		service := &scriptedServer{ends: []error{scriptedError(code, name, nil)}}
		subscription, err := startScripted(t, service).Subscribe(within(t, testTimeout), nil)
		check(t, err)
		for _, err = range subscription.Events() {
		}
		if status.Code(err) != code || len(service.starts) != 1 {
			t.Errorf("%v after %d streams", err, len(service.starts))
		}
	}
}

func TestRetriesOnlyTransientErrorsOfIdempotentCalls(t *testing.T) {
	unavailable := scriptedError(codes.Unavailable, "STORE_UNAVAILABLE", nil, retryDelay(10*time.Millisecond))
	busy := scriptedError(codes.ResourceExhausted, "BUSY", nil, retryDelay(10*time.Millisecond))
	cases := []struct {
		about    string
		failures []error
		anyway   bool
		calls    int
		code     codes.Code
	}{
		{"transient", []error{unavailable, busy, unavailable}, false, 4, codes.OK},
		{"persistent", slices.Repeat([]error{unavailable}, 9), false, 6, codes.Unavailable},
		{"no retry delay", []error{scriptedError(codes.ResourceExhausted, "BUSY", nil)}, false, 1, codes.ResourceExhausted},
		{"invalid request", []error{scriptedError(codes.InvalidArgument, "REQUEST_INVALID", nil)}, false, 1, codes.InvalidArgument},
		{"create_anyway", []error{unavailable}, true, 1, codes.Unavailable},
		{"delay beyond the deadline", []error{scriptedError(codes.Unavailable, "BUSY", nil, retryDelay(time.Hour))}, false, 1, codes.Unavailable},
	}
	for _, one := range cases {
		service := &scriptedServer{failures: one.failures}
		request := &ticketingv1.RetryDeliveryRequest{DeliveryId: "0197", CreateAnyway: one.anyway}
		_, err := startScripted(t, service).RetryDelivery(within(t, testTimeout), request)
		if status.Code(err) != one.code || service.calls != one.calls {
			t.Errorf("%s: %v after %d calls", one.about, err, service.calls)
		}
	}
}

func TestKeepsUnknownErrorReason(t *testing.T) {
	service := &scriptedServer{failures: []error{scriptedError(codes.FailedPrecondition, "FUTURE_REASON", nil, retryDelay(time.Minute))}}
	_, err := startScripted(t, service).RetryDelivery(within(t, testTimeout), &ticketingv1.RetryDeliveryRequest{})
	failure := expect(t, err, codes.FailedPrecondition, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
	if failure.ReasonName != "FUTURE_REASON" || failure.RetryAfter != time.Minute {
		t.Fatal(failure)
	}
}

// === scriptedServer ===

func (p *scriptedServer) StreamTicketEvents(
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
	if p.omitsBookmark {
		messages = messages[1:]
	}
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	return p.ends[nth]
}

func (p *scriptedServer) RetryDelivery(
	context.Context, *ticketingv1.RetryDeliveryRequest,
) (*ticketingv1.RetryDeliveryResponse, error) {
	p.calls++
	if p.calls <= len(p.failures) {
		return nil, p.failures[p.calls-1]
	}
	return &ticketingv1.RetryDeliveryResponse{}, nil
}

// startScripted serves it and returns a client of it.
func startScripted(t *testing.T, service *scriptedServer) *ticketing.Client {
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

// scriptedError is an error with details, as the service returns it.
func scriptedError(code codes.Code, reason string, metadata map[string]string, more ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Domain: "ticketing.rhythmx", Reason: reason, Metadata: metadata}
	detailed, err := status.New(code, "scripted").WithDetails(append(more, info)...)
	if err != nil {
		return err
	}
	return detailed.Err()
}

func retryDelay(delay time.Duration) protoadapt.MessageV1 {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}
}
