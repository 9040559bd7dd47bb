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

// impatient has what is dead noticed in seconds. gRPC does not ping more often than that.
func impatient(t *testing.T) {
	t.Helper()
	ping, pong, silence := timing.Ping, timing.Pong, timing.Silence
	timing.Ping, timing.Pong, timing.Silence = 10*time.Second, time.Second, 2*time.Second
	t.Cleanup(func() { timing.Ping, timing.Pong, timing.Silence = ping, pong, silence })
}

func TestWhatDiesWithoutAWordIsReplaced(t *testing.T) {
	impatient(t)
	far, err := start(lively...)
	check(t, err)
	t.Cleanup(far.stop)
	token := ticketing.WithToken(far.Tokens.Admin)
	behaviour(t, "a connection that dies silently", func(t *testing.T) {
		client, watcher := connect(t, far.Relay, token), connect(t, far.Relay, token)
		_, err := client.GetStatus(within(t, patience), &ticketingv1.GetStatusRequest{})
		check(t, err)
		watch := subscribe(t, watcher)
		far.order(t, "relay swallows")
		far.push(t, "INC-swallowed")
		watch(t, "INC-swallowed")
		_, err = client.GetStatus(context.Background(), &ticketingv1.GetStatusRequest{})
		check(t, err)
	})
	behaviour(t, "a stream that falls silent", func(t *testing.T) {
		watch := subscribe(t, connect(t, far.Relay, token))
		before := far.connections(t)
		far.order(t, "relay mutes")
		far.push(t, "INC-mute")
		watch(t, "INC-mute")
		if after := far.connections(t); after != before+1 {
			t.Fatalf("%d connections, then %d", before, after)
		}
	})
	behaviour(t, "a stream ended for slowness", func(t *testing.T) {
		far.order(t, "relay narrows")
		t.Cleanup(func() { far.order(t, "relay fair") })
		client := connect(t, far.Relay, token)
		watch := subscribe(t, client)
		plain, err := client.StreamTicketEvents(within(t, patience), &ticketingv1.StreamTicketEventsRequest{})
		check(t, err)
		for n := range 30 {
			far.push(t, fmt.Sprint("INC-slow-", n))
		}
		watch(t, "INC-slow-29")
		// The same holds for a subscriber that does not resume.
		for err == nil {
			_, err = plain.Recv()
		}
		if status.Code(err) != codes.ResourceExhausted {
			t.Fatal(err)
		}
	})
}

// push to the server itself.
func (f *fixture) push(t *testing.T, id string) {
	t.Helper()
	client := connect(t, f.Address, ticketing.WithToken(f.Tokens.Admin))
	_, err := client.CreateTicket(within(t, patience), push(id))
	check(t, err)
}

// subscribe gives what waits until the ticket of an incident is delivered, and sees each event once.
func subscribe(t *testing.T, client *ticketing.Client) func(*testing.T, string) {
	t.Helper()
	subscription, err := client.Subscribe(within(t, 2*patience), nil)
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

func TestAClientThatIsClosedEndsWhatItDoes(t *testing.T) {
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
			t.Fatal("it went on after its end")
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

func TestACallThatWaitsToBeRepeatedEndsWithItsClient(t *testing.T) {
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

func TestAUnixSocketIsAnAddressToo(t *testing.T) {
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

func TestAnAddressSaysWhereAndWhetherUnderTLS(t *testing.T) {
	behaviour(t, "addresses that are none are refused", func(t *testing.T) {
		for _, address := range []string{
			"", "ticketing", "ticketing:", ":50051", "ticketing:0", "ticketing:65536", "ticketing:1/path", "dns:///a:1",
			"ftp://a:1", "::1:50051", "[a]:1", "unix:", "unix:relative", "http://a", "https://http://a:1", "a b:1", "a@b:1",
		} {
			_, err := ticketing.Connect(address)
			told := fmt.Sprintf("%q is no address of a server: give HOST:PORT, [IPV6]:PORT or unix:/PATH", address)
			if err == nil || !strings.Contains(err.Error(), told) {
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
		_, err := client.GetStatus(within(t, patience), &ticketingv1.GetStatusRequest{})
		check(t, err)
	})
	behaviour(t, "a token goes in plaintext to this machine alone", func(t *testing.T) {
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
		_, err := client(t).GetStatus(within(t, patience), &ticketingv1.GetStatusRequest{})
		check(t, err)
	})
}

func TestADeadlineMayBeEndlessAndIsNeverCalledACancellation(t *testing.T) {
	behaviour(t, "a deadline that is endless", func(t *testing.T) {
		endless := client(t, ticketing.WithDeadline(math.MaxInt64))
		_, err := endless.GetStatus(context.Background(), &ticketingv1.GetStatusRequest{})
		check(t, err)
		subscribe(t, endless)
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

func TestAnErrorNamesTheRootOfTheTrouble(t *testing.T) {
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

// connections is how many the relay has had.
func (f *fixture) connections(t *testing.T) (count int) {
	t.Helper()
	_, err := fmt.Fprintln(f.orders, "relay connections")
	check(t, err)
	_, err = fmt.Fscanf(f.answers, "{\"connections\":%d}\n", &count)
	check(t, err)
	return count
}

// unusedAddress is an address at which no process listens.
func unusedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	return listener.Addr().String()
}
