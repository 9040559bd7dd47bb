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

// Subscription to events. It is used by one goroutine at a time; Close and ResumeToken by any.
type Subscription struct {
	client *Client
	ctx    context.Context
	cancel context.CancelFunc
	// The stream that is open, and what ends it.
	stream grpc.ServerStreamingClient[ticketingv1.StreamTicketEventsResponse]
	end    context.CancelFunc
	// The event that the stream began with, if it was no bookmark.
	first *ticketingv1.TicketEvent
	// Failures since the last message.
	failures int
	// How long a stream may bear nothing.
	silence time.Duration
	// Whether an error has ended it.
	over bool

	mutex   sync.Mutex
	request *ticketingv1.StreamTicketEventsRequest
	closed  bool
	// A connection of its own, since a stream fell silent on that of the client.
	own *grpc.ClientConn
}

// Subscribe opens a stream of events, and returns once the server has begun it, or with an *Error within the time of
// WithDeadline: what happens from then on is handed over, whenever the loop begins. A nil request, or one without a start, asks for the events after this call.
//
// The subscription goes on after a lost connection, a restart of the server or a stream that was ended for slowness: it opens
// the stream again after the last event that it handed over, so that the loop sees each event once and in order. It ends
// when the context does, at Close, and by an *Error that no repetition mends: a credential that is refused, a request that is
// invalid, or a resume token whose events are no longer kept. Of that last, RESUME_TOKEN_EXPIRED, Metadata["oldest_token"] is
// where to begin again, after reading with ListDeliveries what was missed.
func (c *Client) Subscribe(
	ctx context.Context, request *ticketingv1.StreamTicketEventsRequest,
) (*Subscription, error) {
	if request == nil {
		request = &ticketingv1.StreamTicketEventsRequest{}
	}
	s := &Subscription{client: c, request: proto.CloneOf(request), silence: timing.Silence}
	s.ctx, s.cancel = context.WithCancel(ctx)
	forget := context.AfterFunc(c.life, s.cancel)
	context.AfterFunc(s.ctx, func() {
		forget()
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
		if s.failures == sends || !failure.passes() || !rest(opening, failure.pause(s.failures)) {
			failure = c.ended(opening, failure)
			s.cancel()
			return nil, failure
		}
	}
}

// Events hands over each event, as it comes. After an error there is nothing more; after Close it ends without one.
//
//	for event, err := range subscription.Events() {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.GetKind(), event.GetIncidentId())
//	}
//
// A loop that was left can be taken up by another one.
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

// ResumeToken resumes after the last event that was handed over, in a later process too: put it into the request's start.
// Where filters let few events through it is newer than that of the last event, and so is kept for longer.
func (s *Subscription) ResumeToken() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.request.GetResumeToken()
}

// Close ends the subscription, and a loop that waits for its next event.
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
		case !failure.resumes() || s.ctx.Err() != nil:
			return nil, failure
		default:
			s.failures++
			if !rest(s.ctx, failure.pause(s.failures)) {
				return nil, s.client.ended(s.ctx, failure)
			}
		}
	}
}

// Takes the next message, of a stream that is opened if none is. A bookmark is no event. late is what it is when nothing comes
// in time.
func (s *Subscription) receive(patience time.Duration, late codes.Code) (*ticketingv1.TicketEvent, *Error) {
	message, err := s.message(patience, late)
	if err != nil {
		s.drop()
		return nil, s.failure(err)
	}
	s.failures = 0
	s.keep(message.GetBookmark().GetResumeToken())
	return message.GetEvent(), nil
}

func (s *Subscription) message(patience time.Duration, late codes.Code) (*ticketingv1.StreamTicketEventsResponse, error) {
	if s.ctx.Err() != nil {
		return nil, status.FromContextError(s.ctx.Err()).Err()
	}
	if s.stream == nil {
		ctx, end := context.WithCancel(s.ctx)
		s.end = end
		// The opening takes no time of its own: it is over once the request is on its way, or the connection has failed.
		watch := time.AfterFunc(patience, end)
		stream, err := s.stub().StreamTicketEvents(ctx, s.request)
		if !watch.Stop() && s.ctx.Err() == nil {
			return nil, status.Error(late, "no connection in time")
		}
		if err != nil {
			return nil, err
		}
		s.stream = stream
	}
	watch := time.AfterFunc(patience, s.end)
	message, err := s.stream.Recv()
	if !watch.Stop() && err != nil && s.ctx.Err() == nil {
		s.renew()
		return nil, status.Error(late, "nothing came in time: the connection is lost")
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

// Goes on over a new connection: what swallows a stream swallows the next one on the same, too. The calls of others stay where
// they are.
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

// Whether the stream is to be opened again: unless the server says that this would be refused as well. What a broken
// connection is called differs.
func (e *Error) resumes() bool {
	switch e.Code {
	case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.NotFound, codes.FailedPrecondition,
		codes.OutOfRange, codes.Unimplemented, codes.DataLoss:
		return false
	default:
		return true
	}
}
