package tests

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/internal/timing"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// shortTimeouts makes dead connections detected within seconds. gRPC does not ping more often.
func shortTimeouts(t *testing.T) {
	t.Helper()
	interval, timeout, stream := timing.KeepaliveInterval, timing.KeepaliveTimeout, timing.StreamTimeout
	timing.KeepaliveInterval = 10 * time.Second
	timing.KeepaliveTimeout = time.Second
	timing.StreamTimeout = 2 * time.Second
	t.Cleanup(func() {
		timing.KeepaliveInterval = interval
		timing.KeepaliveTimeout = timeout
		timing.StreamTimeout = stream
	})
}

func TestRecoversFromConnectionFailures(t *testing.T) {
	shortTimeouts(t)
	fixture, err := start(shortBookmarks...)
	check(t, err)
	t.Cleanup(fixture.stop)
	token := ticketing.WithToken(fixture.Tokens.Admin)
	behaviour(t, "silently failed connections are replaced", func(t *testing.T) {
		client, watcher := connect(t, fixture.Relay, token), connect(t, fixture.Relay, token)
		_, err := client.GetStatus(within(t, testTimeout), &ticketingv1.GetStatusRequest{})
		check(t, err)
		watch := subscribe(t, watcher)
		fixture.command(t, "relay drop-bytes")
		fixture.push(t, "INC-swallowed")
		watch(t, "INC-swallowed")
		_, err = client.GetStatus(context.Background(), &ticketingv1.GetStatusRequest{})
		check(t, err)
	})
	behaviour(t, "silent streams are resumed", func(t *testing.T) {
		watch := subscribe(t, connect(t, fixture.Relay, token))
		before := fixture.connections(t)
		fixture.command(t, "relay drop-messages")
		fixture.push(t, "INC-mute")
		watch(t, "INC-mute")
		if after := fixture.connections(t); after != before+1 {
			t.Fatalf("%d connections, then %d", before, after)
		}
	})
	behaviour(t, "streams ended for a slow subscriber are resumed", func(t *testing.T) {
		fixture.command(t, "relay slow-reader")
		t.Cleanup(func() { fixture.command(t, "relay ok") })
		client := connect(t, fixture.Relay, token)
		watch := subscribe(t, client)
		plain, err := client.StreamTicketEvents(within(t, testTimeout), &ticketingv1.StreamTicketEventsRequest{})
		check(t, err)
		for n := range 30 {
			fixture.push(t, fmt.Sprint("INC-slow-", n))
		}
		watch(t, "INC-slow-29")
		// A subscriber that does not resume gets the error.
		for err == nil {
			_, err = plain.Recv()
		}
		if status.Code(err) != codes.ResourceExhausted {
			t.Fatal(err)
		}
	})
}

// push pushes an incident directly to the server.
func (f *fixture) push(t *testing.T, id string) {
	t.Helper()
	client := connect(t, f.Address, ticketing.WithToken(f.Tokens.Admin))
	_, err := client.CreateTicket(within(t, testTimeout), push(id))
	check(t, err)
}

// subscribe returns a function that waits until the ticket of an incident is delivered, and checks that each event arrives once.
func subscribe(t *testing.T, client *ticketing.Client) func(*testing.T, string) {
	t.Helper()
	subscription, err := client.Subscribe(within(t, 2*testTimeout), nil)
	check(t, err)
	t.Cleanup(subscription.Close)
	last := uint64(0)
	return func(t *testing.T, id string) {
		t.Helper()
		for event, err := range subscription.Events() {
			check(t, err)
			if last != 0 && event.GetSequence() != last+1 {
				t.Fatal(event.GetSequence(), "after", last)
			}
			last = event.GetSequence()
			if event.GetIncidentId() == id && event.GetKind() == ticketingv1.TicketEventKind_TICKET_EVENT_KIND_DELIVERED {
				return
			}
		}
	}
}

func TestCloseCancelsCallsAndSubscriptions(t *testing.T) {
	behaviour(t, "closing", func(t *testing.T) {
		before := runtime.NumGoroutine()
		client, err := ticketing.Connect(server.Address, ticketing.WithToken(server.Tokens.Admin))
		check(t, err)
		subscription, err := client.Subscribe(context.Background(), nil)
		check(t, err)
		unread, err := client.Subscribe(context.Background(), nil)
		check(t, err)
		time.AfterFunc(200*time.Millisecond, func() { _ = client.Close() })
		for _, err = range subscription.Events() {
		}
		closed(t, err)
		err = nil
		for _, err = range unread.Events() {
		}
		closed(t, err)
		for range unread.Events() {
			t.Fatal("the loop continued after its end")
		}
		check(t, client.Close())
		began := time.Now()
		_, err = client.GetStatus(context.Background(), &ticketingv1.GetStatusRequest{})
		closed(t, err)
		_, err = client.Subscribe(context.Background(), nil)
		closed(t, err)
		if time.Since(began) > time.Second {
			t.Fatal("it took", time.Since(began))
		}
		if !until(func() bool { return runtime.NumGoroutine() <= before }) {
			t.Fatalf("%d goroutines, then %d", before, runtime.NumGoroutine())
		}
	})
}

func TestCloseEndsCallsThatWaitForARetry(t *testing.T) {
	client, err := ticketing.Connect(unusedAddress(t))
	check(t, err)
	time.AfterFunc(500*time.Millisecond, func() { _ = client.Close() })
	began := time.Now()
	_, err = client.GetStatus(context.Background(), &ticketingv1.GetStatusRequest{})
	closed(t, err)
	if time.Since(began) > 2*time.Second {
		t.Fatal("it took", time.Since(began))
	}
}

func closed(t *testing.T, err error) {
	t.Helper()
	failure := expect(t, err, codes.Canceled, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
	if failure.Message != "the client is closed" {
		t.Fatal(failure)
	}
}

func TestConnectsOverUnixSocket(t *testing.T) {
	behaviour(t, "unix socket", func(t *testing.T) {
		near, err := start("--unix")
		check(t, err)
		defer near.stop()
		client := connect(t, near.Address, ticketing.WithToken(near.Tokens.Admin))
		watch := subscribe(t, client)
		near.push(t, "INC-unix")
		watch(t, "INC-unix")
	})
}

func TestAddressDecidesTLSAndTokens(t *testing.T) {
	behaviour(t, "invalid addresses are refused", func(t *testing.T) {
		for _, address := range []string{
			"", "ticketing", "ticketing:", ":50051", "ticketing:0", "ticketing:65536", "ticketing:1/path", "dns:///a:1",
			"ftp://a:1", "::1:50051", "[a]:1", "unix:", "unix:relative", "http://a", "https://http://a:1", "a b:1", "a@b:1",
		} {
			_, err := ticketing.Connect(address)
			expected := fmt.Sprintf("%q is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH", address)
			if err == nil || !strings.Contains(err.Error(), expected) {
				t.Errorf("%q: %v", address, err)
			}
		}
		if _, err := ticketing.Connect("http://a:1", ticketing.WithTLS(ticketing.TLS{})); err == nil {
			t.Error("http under TLS")
		}
		for _, address := range []string{"[::1]:50051", "a-b.example:443", "https://a.example:1", "unix:/a b"} {
			connect(t, address)
		}
		client := connect(t, "http://"+server.Address, ticketing.WithToken(server.Tokens.Admin))
		_, err := client.GetStatus(within(t, testTimeout), &ticketingv1.GetStatusRequest{})
		check(t, err)
	})
	behaviour(t, "tokens are sent in plaintext only to the local machine", func(t *testing.T) {
		token := ticketing.WithToken("rxt_1")
		for _, address := range []string{"a.example:1", "10.0.0.1:1", "http://a.example:1", "[::2]:1", "localhost.example:1"} {
			if _, err := ticketing.Connect(address, token); err == nil {
				t.Error(address)
			}
		}
		for _, address := range []string{"localhost:1", "127.3.2.1:1", "[::1]:1", "unix:/a", "https://a.example:1"} {
			connect(t, address, token)
		}
		if _, err := ticketing.Connect("localhost:1", ticketing.WithToken("")); err == nil {
			t.Error("the empty token")
		}
		// No process listens at the proxy.
		t.Setenv("HTTP_PROXY", "http://"+unusedAddress(t))
		t.Setenv("HTTPS_PROXY", os.Getenv("HTTP_PROXY"))
		_, err := client(t).GetStatus(within(t, testTimeout), &ticketingv1.GetStatusRequest{})
		check(t, err)
	})
}

func TestDeadlineIsOptionalAndDistinctFromCancellation(t *testing.T) {
	behaviour(t, "infinite deadlines", func(t *testing.T) {
		unlimited := client(t, ticketing.WithDeadline(math.MaxInt64))
		_, err := unlimited.GetStatus(context.Background(), &ticketingv1.GetStatusRequest{})
		check(t, err)
		subscribe(t, unlimited)
		for _, none := range []time.Duration{0, -time.Second} {
			_, err = client(t, ticketing.WithDeadline(none)).GetStatus(context.Background(), &ticketingv1.GetStatusRequest{})
			expect(t, err, codes.DeadlineExceeded, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
		}
	})
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer mute.Close()
	for range 30 {
		client := connect(t, mute.Addr().String(), ticketing.WithDeadline(20*time.Millisecond))
		_, err = client.Subscribe(context.Background(), nil)
		expect(t, err, codes.DeadlineExceeded, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
	}
}

func TestErrorHasTheRootCause(t *testing.T) {
	address := unusedAddress(t)
	_, err := connect(t, address).GetStatus(within(t, time.Second), &ticketingv1.GetStatusRequest{})
	if err == nil || !strings.Contains(err.Error(), "refused") || !strings.Contains(err.Error(), address) {
		t.Error(err)
	}
	tls := ticketing.WithTLS(ticketing.TLS{})
	_, err = connect(t, server.Address, tls).GetStatus(within(t, time.Second), &ticketingv1.GetStatusRequest{})
	if err == nil || !strings.Contains(err.Error(), "TLS") && !strings.Contains(err.Error(), "tls") {
		t.Error(err)
	}
}

// connections returns how many connections the relay has accepted.
func (f *fixture) connections(t *testing.T) (count int) {
	t.Helper()
	_, err := fmt.Fprintln(f.stdin, "relay connections")
	check(t, err)
	_, err = fmt.Fscanf(f.answers, "{\"connections\":%d}\n", &count)
	check(t, err)
	return count
}

// unusedAddress returns an address on which no process listens.
func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	return listener.Addr().String()
}
