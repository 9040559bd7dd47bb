package ticketing

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

const (
	// How often a call is sent at most: with the pauses between, for about 6 s, which is as long as a restart may take.
	sends = 6
	// The pause after the first send; it doubles with each.
	shortestPause = 200 * time.Millisecond
	// The longest pause of a subscription.
	longestPause = 5 * time.Second
)

// call is the interceptor of unary calls: deadline, repetition, errors.
func (c *Client) call(
	ctx context.Context, method string, request, answer any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.deadline)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	forget := context.AfterFunc(c.life, cancel)
	defer forget()
	for sent := 1; ; sent++ {
		err := invoke(ctx, method, request, answer, connection, options...)
		if err == nil {
			return nil
		}
		failure := c.failure(method, err)
		if sent == sends || !repeatable(request) || !failure.passes() || !rest(ctx, failure.pause(sent)) {
			return c.ended(ctx, failure)
		}
	}
}

// The error of the caller: what ended the call while it waited for its retry, or why it failed.
func (c *Client) ended(ctx context.Context, failure *Error) *Error {
	if ctx.Err() == nil {
		return failure
	}
	return c.failure(failure.Method, status.FromContextError(ctx.Err()).Err())
}

// Whether asking twice is as good as asking once.
func repeatable(request any) bool {
	retry, ok := request.(*ticketingv1.RetryDeliveryRequest)
	return !ok || !retry.GetCreateAnyway()
}

// Whether the same call may succeed a little later.
func (e *Error) passes() bool {
	return e.Code == codes.Unavailable || e.Code == codes.ResourceExhausted && e.RetryAfter > 0
}

// How long to wait after so many failures; not less than the server asked for. Spread by a fifth, so that clients that lost
// one server do not come back as one.
func (e *Error) pause(failures int) time.Duration {
	pause := longestPause
	if failures < 6 {
		pause = min(longestPause, shortestPause<<(failures-1))
	}
	spread := 0.8 + 0.4*rand.Float64()
	return max(time.Duration(float64(pause)*spread), e.RetryAfter)
}

// Waits. False when the context ends, or would end before the pause does: then there is nothing to wait for.
func rest(ctx context.Context, pause time.Duration) bool {
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) <= pause {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
