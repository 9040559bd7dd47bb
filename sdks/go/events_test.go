package ticketing

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// silentServer sends a bookmark and then nothing; the second stream also has an event.
type silentServer struct {
	ticketingv1.UnimplementedTicketingServiceServer
	streams int
}

func TestReopensSilentStream(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, service := grpc.NewServer(), &silentServer{}
	ticketingv1.RegisterTicketingServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	client, err := Connect(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	subscription, err := client.Subscribe(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	subscription.silence = time.Second
	for event, err := range subscription.Events() {
		if err != nil || event.GetSequence() != 7 || service.streams != 2 {
			t.Fatal(event, err, service.streams)
		}
		return
	}
}

func (m *silentServer) StreamTicketEvents(
	request *ticketingv1.StreamTicketEventsRequest,
	stream grpc.ServerStreamingServer[ticketingv1.StreamTicketEventsResponse],
) error {
	m.streams++
	bookmark := &ticketingv1.StreamTicketEventsResponse_Bookmark{Bookmark: &ticketingv1.Bookmark{ResumeToken: "6"}}
	if err := stream.Send(&ticketingv1.StreamTicketEventsResponse{Message: bookmark}); err != nil {
		return err
	}
	if request.GetResumeToken() == "6" {
		event := &ticketingv1.StreamTicketEventsResponse_Event{Event: &ticketingv1.TicketEvent{Sequence: 7, ResumeToken: "7"}}
		if err := stream.Send(&ticketingv1.StreamTicketEventsResponse{Message: event}); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}
