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
	// Makes another one.
	dial     func() (*grpc.ClientConn, error)
	address  string
	deadline time.Duration
	// Lasts until Close.
	life context.Context
	end  context.CancelFunc
}

// Option of Connect.
type Option func(*options)

type options struct {
	tls      *TLS
	token    *bearer
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

// WithToken sends a bearer token with each call: one of `ticketing token create`, or a JSON Web Token. Connect refuses an empty
// one.
func WithToken(token string) Option {
	return func(o *options) {
		given := bearer(token)
		o.token = &given
	}
}

// WithDeadline bounds each call whose context has no deadline. Default: 30 s. Subscriptions have none, but for their opening.
func WithDeadline(deadline time.Duration) Option {
	return func(o *options) { o.deadline = deadline }
}

// === Client ===

// Connect makes a client of the service at an address: "HOST:PORT", "[IPV6]:PORT", or "unix:/PATH" for a Unix socket;
// "http://HOST:PORT" is the first, and "https://HOST:PORT" speaks TLS, with the system's authorities unless WithTLS says
// otherwise. Nothing is sent before the first call. It fails if the address is invalid, and if the options are: files
// that cannot be read, an invalid token, or a token that would be sent to another machine without TLS.
func Connect(address string, with ...Option) (*Client, error) {
	chosen := options{deadline: DefaultDeadline}
	for _, option := range with {
		option(&chosen)
	}
	place, err := locate(address, chosen.tls != nil)
	if err != nil {
		return nil, fmt.Errorf("ticketing: %w", err)
	}
	dial, err := chosen.dial(place)
	if err != nil {
		return nil, fmt.Errorf("ticketing: %s: %w", address, err)
	}
	client := &Client{address: address, deadline: chosen.deadline}
	client.life, client.end = context.WithCancel(context.Background())
	dial = append(dial, grpc.WithUnaryInterceptor(client.call))
	client.dial = func() (*grpc.ClientConn, error) { return grpc.NewClient(place.target, dial...) }
	if client.connection, err = client.dial(); err != nil {
		client.end()
		return nil, fmt.Errorf("ticketing: %s: %w", address, err)
	}
	client.TicketingServiceClient = ticketingv1.NewTicketingServiceClient(client.connection)
	return client, nil
}

// Close ends the connection, and with it every call and subscription: with an *Error of code Canceled. Closing twice is fine.
func (c *Client) Close() error {
	if c.life.Err() != nil {
		return nil
	}
	c.end()
	if err := c.connection.Close(); err != nil && !errors.Is(err, grpc.ErrClientConnClosing) {
		return err
	}
	return nil
}

// === options ===

func (o *options) dial(place place) ([]grpc.DialOption, error) {
	transport := insecure.NewCredentials()
	if place.secure {
		trust := o.tls
		if trust == nil {
			trust = &TLS{}
		}
		config, err := trust.config()
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
		// A connection that died without a word is noticed by its silence.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: timing.Ping, Timeout: timing.Pong, PermitWithoutStream: true,
		}),
		// What is repeated, and when, is decided here and nowhere else.
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
	}
	if !place.secure || place.here {
		// A proxy of the environment would read what is not encrypted, and has no way to what is on this machine.
		dial = append(dial, grpc.WithNoProxy())
	}
	if o.token == nil {
		return dial, nil
	}
	if *o.token == "" {
		return nil, errors.New("the token is empty: leave WithToken out where none is needed")
	}
	if strings.ContainsFunc(string(*o.token), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token has characters that no token has")
	}
	if !place.secure && !place.here {
		return nil, errors.New("a token is not sent to another machine without TLS: use WithTLS")
	}
	return append(dial, grpc.WithPerRPCCredentials(*o.token)), nil
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
