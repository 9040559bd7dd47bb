package ticketing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/rhythmx/ticketing/sdks/go/internal/timing"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// Version of this module.
const Version = "0.1.0"

const (
	// DefaultDeadline is the deadline of calls whose context has none, unless WithDeadline sets another.
	DefaultDeadline = 30 * time.Second
	// Timeout of a connection attempt.
	connectTimeout = 5 * time.Second
	// Maximum size of a response in bytes: a page of 500 deliveries with all their attempts fits.
	maxResponseSize = 64 << 20
)

// Client calls the service. It is safe for use by several goroutines, which share one connection. The first call opens it, and it
// reconnects automatically.
//
// A unary call that fails returns an *Error. StreamTicketEvents is the plain stream with gRPC's own errors; Subscribe resumes
// automatically.
type Client struct {
	ticketingv1.TicketingServiceClient

	connection *grpc.ClientConn
	// Opens another connection.
	dial     func() (*grpc.ClientConn, error)
	address  string
	deadline time.Duration
	// Canceled by Close.
	lifetime context.Context
	end      context.CancelFunc
}

// Option of Connect.
type Option func(*options)

type options struct {
	tls      *TLS
	token    *bearer
	deadline time.Duration
}

// bearer is the token of each call. It is never printed.
type bearer string

// === Option ===

// WithTLS enables TLS. The zero TLS trusts the system's authorities. Without this option the connection is plaintext, which
// servers accept from their own machine only.
func WithTLS(tls TLS) Option {
	return func(o *options) { o.tls = &tls }
}

// WithToken sends a bearer token with each call: one of `ticketing token create`, or a JSON Web Token. Connect
// refuses an empty token.
func WithToken(token string) Option {
	return func(o *options) {
		given := bearer(token)
		o.token = &given
	}
}

// WithDeadline sets the deadline of calls whose context has none. Default: 30 s. For subscriptions it limits only the start.
func WithDeadline(deadline time.Duration) Option {
	return func(o *options) { o.deadline = deadline }
}

// === Client ===

// Connect creates a client of the service at an address: "HOST:PORT", "[IPV6]:PORT", or "unix:/PATH" for a Unix socket.
// "http://HOST:PORT" means "HOST:PORT", and "https://HOST:PORT" uses TLS, with the system's authorities unless WithTLS sets
// others. The first call opens the connection. Connect fails if the address or an option is invalid: a file that cannot be
// read, an invalid token, or a token that would be sent to another machine without TLS.
func Connect(address string, with ...Option) (*Client, error) {
	chosen := options{deadline: DefaultDeadline}
	for _, option := range with {
		option(&chosen)
	}
	parsed, err := parseAddress(address, chosen.tls != nil)
	if err != nil {
		return nil, fmt.Errorf("ticketing: %w", err)
	}
	dial, err := chosen.dial(parsed)
	if err != nil {
		return nil, fmt.Errorf("ticketing: %s: %w", address, err)
	}
	client := &Client{address: address, deadline: chosen.deadline}
	client.lifetime, client.end = context.WithCancel(context.Background())
	dial = append(dial, grpc.WithUnaryInterceptor(client.call))
	client.dial = func() (*grpc.ClientConn, error) { return grpc.NewClient(parsed.target, dial...) }
	if client.connection, err = client.dial(); err != nil {
		client.end()
		return nil, fmt.Errorf("ticketing: %s: %w", address, err)
	}
	client.TicketingServiceClient = ticketingv1.NewTicketingServiceClient(client.connection)
	return client, nil
}

// Close closes the connection and cancels all calls and subscriptions, which fail with an *Error of code Canceled. Closing it
// again has no effect.
func (c *Client) Close() error {
	if c.lifetime.Err() != nil {
		return nil
	}
	c.end()
	if err := c.connection.Close(); err != nil && !errors.Is(err, grpc.ErrClientConnClosing) {
		return err
	}
	return nil
}

// === options ===

func (o *options) dial(server address) ([]grpc.DialOption, error) {
	transport := insecure.NewCredentials()
	if server.secure {
		settings := o.tls
		if settings == nil {
			settings = &TLS{}
		}
		config, err := settings.config()
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(config)
	}
	// A restarted server may be back within a second, so the first delay is short.
	reconnect := backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent("rhythmx-ticketing-go/" + Version),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxResponseSize)),
		// Pings detect a silently failed connection.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: timing.KeepaliveInterval, Timeout: timing.KeepaliveTimeout, PermitWithoutStream: true,
		}),
		// This package retries itself.
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
	}
	if !server.secure || server.local {
		// The environment's proxy would see plaintext, and cannot reach the local machine.
		dial = append(dial, grpc.WithNoProxy())
	}
	if o.token == nil {
		return dial, nil
	}
	if *o.token == "" {
		return nil, errors.New("the token is empty: omit WithToken if the server requires none")
	}
	if strings.ContainsFunc(string(*o.token), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token has invalid characters")
	}
	if !server.secure && !server.local {
		return nil, errors.New("a token is not sent to another machine without TLS: use WithTLS")
	}
	return append(dial, grpc.WithPerRPCCredentials(*o.token)), nil
}

// === bearer ===

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. Connect has checked the
// address.
func (b bearer) RequireTransportSecurity() bool { return false }

// String keeps the token out of logs.
func (b bearer) String() string { return "(token)" }

// GoString keeps the token out of logs.
func (b bearer) GoString() string { return "(token)" }
