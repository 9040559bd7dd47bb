package ticketing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// Version of this module.
const Version = "0.1.0"

const (
	// DefaultDeadline is how long a call may take whose context has no deadline, unless WithDeadline says otherwise.
	DefaultDeadline = 30 * time.Second
	// How long the making of a connection may take.
	connectTimeout = 5 * time.Second
	// The largest answer in bytes: a page of 500 deliveries with all their attempts fits.
	largestAnswer = 64 << 20
)

// Client calls the service. It is safe for use by several goroutines, which share one connection; that is made at the first
// call, and again by itself when it is lost.
//
// Each unary call returns an *Error when it fails. StreamTicketEvents is the plain stream, with gRPC's own errors; Subscribe
// is what resumes by itself.
type Client struct {
	ticketingv1.TicketingServiceClient

	connection *grpc.ClientConn
	address    string
	deadline   time.Duration
}

// Option of Connect.
type Option func(*options)

type options struct {
	tls      *TLS
	token    bearer
	deadline time.Duration
}

// Goes with each call. Never printed.
type bearer string

// === Option ===

// WithTLS speaks TLS. The zero TLS trusts the system's authorities. Without this option nothing is encrypted, which servers
// accept on their own machine only.
func WithTLS(tls TLS) Option {
	return func(o *options) { o.tls = &tls }
}

// WithToken sends a bearer token with each call: one of `ticketing token create`, or a JSON Web Token.
func WithToken(token string) Option {
	return func(o *options) { o.token = bearer(token) }
}

// WithDeadline bounds each call whose context has no deadline. Default: 30 s. Subscriptions have none.
func WithDeadline(deadline time.Duration) Option {
	return func(o *options) { o.deadline = deadline }
}

// === Client ===

// Connect makes a client of the service at an address: "HOST:PORT", or "unix:/PATH" for a Unix socket. Nothing is sent before
// the first call. It fails when the options can not work: files that can not be read, a token that is none, or a token that
// would travel to another machine without TLS.
func Connect(address string, with ...Option) (*Client, error) {
	chosen := options{deadline: DefaultDeadline}
	for _, option := range with {
		option(&chosen)
	}
	dial, err := chosen.dial(address)
	if err != nil {
		return nil, fmt.Errorf("ticketing: %s: %w", address, err)
	}
	client := &Client{address: address, deadline: chosen.deadline}
	dial = append(dial, grpc.WithUnaryInterceptor(client.call))
	if client.connection, err = grpc.NewClient(address, dial...); err != nil {
		return nil, fmt.Errorf("ticketing: %s: %w", address, err)
	}
	client.TicketingServiceClient = ticketingv1.NewTicketingServiceClient(client.connection)
	return client, nil
}

// Close ends the connection, and with it every call and subscription.
func (c *Client) Close() error {
	return c.connection.Close()
}

// === options ===

func (o *options) dial(address string) ([]grpc.DialOption, error) {
	transport := insecure.NewCredentials()
	if o.tls != nil {
		config, err := o.tls.config()
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(config)
	}
	// The server may be back within a second after a restart: a longer first wait than this would be for nothing.
	again := backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent("rhythmx-ticketing-go/" + Version),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: connectTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)),
		// What is repeated, and when, is decided here and nowhere else.
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
	}
	if o.token == "" {
		return dial, nil
	}
	if strings.ContainsFunc(string(o.token), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token has characters that no token has")
	}
	if o.tls == nil && !stays(address) {
		return nil, errors.New("a token is not sent to another machine without TLS: use WithTLS")
	}
	return append(dial, grpc.WithPerRPCCredentials(o.token)), nil
}

// Whether what is sent to the address stays on this machine.
func stays(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// === bearer ===

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. Connect has looked at where the token goes.
func (b bearer) RequireTransportSecurity() bool { return false }

// String keeps the token out of logs.
func (b bearer) String() string { return "(token)" }

// GoString keeps the token out of logs.
func (b bearer) GoString() string { return "(token)" }
