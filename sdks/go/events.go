package ticketing

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rhythmx/ticketing/sdks/go/internal/timing"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// Subscription to events. Only Close and ResumeToken may be called concurrently.
type Subscription struct {
	client *Client
	ctx    context.Context
	cancel context.CancelFunc
	// The open stream, and the function that cancels it.
	stream grpc.ServerStreamingClient[ticketingv1.StreamTicketEventsResponse]
	end    context.CancelFunc
	// The first message of the stream, if it was an event rather than a bookmark.
	first *ticketingv1.TicketEvent
	// Failures since the last message.
	failures int
	// The time without a message after which the stream is considered dead.
	silence time.Duration
	// Whether it has ended with an error.
	over bool

	mutex   sync.Mutex
	request *ticketingv1.StreamTicketEventsRequest
	closed  bool
	// A connection of its own, after a stream on the client's connection was silent.
	own *grpc.ClientConn
}

// Subscribe opens a stream of events. It returns once the server has started it, or with an *Error within the deadline of
// WithDeadline. Every later event is returned, whenever the loop starts. A nil request, or one without a start, subscribes to the
// events after this call.
//
// After a lost connection, a restart of the server, or a stream that the server ended because the subscriber was too slow, it
// reopens the stream after the last event that it returned, so that the loop sees each event once and in order. It ends with the
// context, by Close, or with a permanent *Error: a refused credential, an invalid request, or a resume token whose events are no
// longer stored. In this last case, RESUME_TOKEN_EXPIRED, read the missed deliveries with ListDeliveries, then subscribe again
// from Metadata["oldest_token"].
func (c *Client) Subscribe(
	ctx context.Context, request *ticketingv1.StreamTicketEventsRequest,
) (*Subscription, error) {
	if request == nil {
		request = &ticketingv1.StreamTicketEventsRequest{}
	}
	s := &Subscription{client: c, request: proto.CloneOf(request), silence: timing.StreamTimeout}
	s.ctx, s.cancel = context.WithCancel(ctx)
	stop := context.AfterFunc(c.lifetime, s.cancel)
	context.AfterFunc(s.ctx, func() {
		stop()
		s.use(nil)
	})
	opening, opened := context.WithTimeout(s.ctx, c.deadline)
	defer opened()
	end, _ := opening.Deadline()
	for {
		first, failure := s.receive(time.Until(end), codes.DeadlineExceeded)
		if failure == nil {
			s.first = first
			return s, nil
		}
		s.failures++
		if s.failures == maxAttempts || !failure.isTransient() || !wait(opening, failure.delay(s.failures)) {
			failure = c.ended(opening, failure)
			s.cancel()
			return nil, failure
		}
	}
}

// Events iterates over the events. It ends after an error, and without one after Close.
//
//	for event, err := range subscription.Events() {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.GetKind(), event.GetIncidentId())
//	}
//
// After a break, another loop continues with the next event.
func (s *Subscription) Events() iter.Seq2[*ticketingv1.TicketEvent, error] {
	return func(yield func(*ticketingv1.TicketEvent, error) bool) {
		for !s.over {
			event, failure := s.next()
			if s.isClosed() {
				return
			}
			if failure != nil {
				s.over = true
				s.cancel()
				yield(nil, failure)
				return
			}
			if !yield(event, nil) {
				return
			}
		}
	}
}

// ResumeToken is the token to resume after the last event returned, also in a later process, as the start of a request. With
// filters it may be newer than the last event's own token, and so remains valid for longer.
func (s *Subscription) ResumeToken() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.request.GetResumeToken()
}

// Close closes the subscription and ends a loop that waits for its next event.
func (s *Subscription) Close() {
	s.mutex.Lock()
	s.closed = true
	s.mutex.Unlock()
	s.cancel()
}

func (s *Subscription) isClosed() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.closed
}

func (s *Subscription) next() (*ticketingv1.TicketEvent, *Error) {
	for {
		event, failure := s.first, (*Error)(nil)
		if s.first = nil; event == nil {
			event, failure = s.receive(s.silence, codes.Unavailable)
		}
		switch {
		case failure == nil && event != nil:
			s.keep(event.GetResumeToken())
			return event, nil
		case failure == nil:
		case !failure.isResumable() || s.ctx.Err() != nil:
			return nil, failure
		default:
			s.failures++
			if !wait(s.ctx, failure.delay(s.failures)) {
				return nil, s.client.ended(s.ctx, failure)
			}
		}
	}
}

// receive reads the next message, and opens the stream if necessary. The event is nil for a bookmark. late is the code of a
// timeout.
func (s *Subscription) receive(timeout time.Duration, late codes.Code) (*ticketingv1.TicketEvent, *Error) {
	message, err := s.message(timeout, late)
	if err != nil {
		s.drop()
		return nil, s.failure(err)
	}
	s.failures = 0
	s.keep(message.GetBookmark().GetResumeToken())
	return message.GetEvent(), nil
}

func (s *Subscription) message(timeout time.Duration, late codes.Code) (*ticketingv1.StreamTicketEventsResponse, error) {
	if s.ctx.Err() != nil {
		return nil, status.FromContextError(s.ctx.Err()).Err()
	}
	if s.stream == nil {
		ctx, end := context.WithCancel(s.ctx)
		s.end = end
		// Opening returns once the request is sent, or the connection has failed.
		watch := time.AfterFunc(timeout, end)
		stream, err := s.stub().StreamTicketEvents(ctx, s.request)
		if !watch.Stop() && s.ctx.Err() == nil {
			return nil, status.Error(late, "the connection timed out")
		}
		if err != nil {
			return nil, err
		}
		s.stream = stream
	}
	watch := time.AfterFunc(timeout, s.end)
	message, err := s.stream.Recv()
	if !watch.Stop() && err != nil && s.ctx.Err() == nil {
		s.renew()
		return nil, status.Error(late, "no message arrived in time: the connection is lost")
	}
	if errors.Is(err, io.EOF) {
		return nil, status.Error(codes.Unavailable, "the server ended the stream")
	}
	return message, err
}

func (s *Subscription) failure(err error) *Error {
	return s.client.failure(ticketingv1.TicketingService_StreamTicketEvents_FullMethodName, err)
}

func (s *Subscription) keep(token string) {
	if token == "" {
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.request.Start = &ticketingv1.StreamTicketEventsRequest_ResumeToken{ResumeToken: token}
}

func (s *Subscription) stub() ticketingv1.TicketingServiceClient {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.own == nil {
		return s.client
	}
	return ticketingv1.NewTicketingServiceClient(s.own)
}

// renew opens a new connection for this subscription: another stream on the same connection would also receive nothing. Other
// calls keep the client's connection.
func (s *Subscription) renew() {
	if own, err := s.client.dial(); err == nil {
		s.use(own)
	}
}

func (s *Subscription) use(own *grpc.ClientConn) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.own != nil {
		_ = s.own.Close()
	}
	if s.own = own; own != nil && s.ctx.Err() != nil {
		_ = own.Close()
	}
}

func (s *Subscription) drop() {
	if s.end != nil {
		s.end()
	}
	s.stream, s.end = nil, nil
}

// isResumable is whether to reopen the stream: unless the server would refuse that as well. The code of a broken connection
// varies.
func (e *Error) isResumable() bool {
	switch e.Code {
	case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.NotFound, codes.FailedPrecondition,
		codes.OutOfRange, codes.Unimplemented, codes.DataLoss:
		return false
	default:
		return true
	}
}
