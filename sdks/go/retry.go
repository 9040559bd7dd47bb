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
	// Maximum number of attempts: with the delays about 6 s, as long as a restart of the server may take.
	maxAttempts = 6
	// The delay after the first attempt; it doubles with each further one.
	minDelay = 200 * time.Millisecond
	// Maximum delay of a subscription.
	maxDelay = 5 * time.Second
)

// call is the interceptor of unary calls: deadline, retries, errors.
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
	stop := context.AfterFunc(c.lifetime, cancel)
	defer stop()
	for sent := 1; ; sent++ {
		err := invoke(ctx, method, request, answer, connection, options...)
		if err == nil {
			return nil
		}
		failure := c.failure(method, err)
		if sent == maxAttempts || !isIdempotent(request) || !failure.isTransient() || !wait(ctx, failure.delay(sent)) {
			return c.ended(ctx, failure)
		}
	}
}

// ended is the error for the caller: that of the context if it ended during a delay, otherwise the failure.
func (c *Client) ended(ctx context.Context, failure *Error) *Error {
	if ctx.Err() == nil {
		return failure
	}
	return c.failure(failure.Method, status.FromContextError(ctx.Err()).Err())
}

// isIdempotent is whether a request may be sent twice.
func isIdempotent(request any) bool {
	retry, ok := request.(*ticketingv1.RetryDeliveryRequest)
	return !ok || !retry.GetCreateAnyway()
}

// isTransient is whether a retry may succeed.
func (e *Error) isTransient() bool {
	return e.Code == codes.Unavailable || e.Code == codes.ResourceExhausted && e.RetryAfter > 0
}

// delay is an exponential backoff, at least the delay that the server requested. Its jitter of 20 % keeps clients from
// reconnecting simultaneously.
func (e *Error) delay(failures int) time.Duration {
	delay := maxDelay
	if failures < 6 {
		delay = min(maxDelay, minDelay<<(failures-1))
	}
	jitter := 0.8 + 0.4*rand.Float64()
	return max(time.Duration(float64(delay)*jitter), e.RetryAfter)
}

// wait waits. It returns false if the context has ended, or would end before the delay is over.
func wait(ctx context.Context, delay time.Duration) bool {
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) <= delay {
		return false
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
