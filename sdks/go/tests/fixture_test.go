// Package tests tests the client with the real server.
package tests

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// The streams of a healthy server are never silent for long.
var shortBookmarks = []string{"--", "--bookmark-interval=300ms"}

// The maximum time that a test waits.
const testTimeout = 30 * time.Second

const jira = ticketingv1.TicketSystem_TICKET_SYSTEM_JIRA

// The server of all tests, which run sequentially.
var server *fixture

// fixture is the real server with simulated ticket systems.
type fixture struct {
	Address    string
	Relay      string
	Tokens     struct{ Admin, Analyst, Producer, Viewer string }
	CA         string `json:"ca"`
	ClientCert string `json:"client_cert"`
	ClientKey  string `json:"client_key"`
	Jira       struct {
		URL        string `json:"url"`
		Email      string `json:"email"`
		APIToken   string `json:"api_token"`
		ProjectKey string `json:"project_key"`
	}

	process *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Reader
}

func TestMain(m *testing.M) {
	if results := os.Getenv("SDK_RESULTS"); results != "" {
		_ = os.Remove(results)
	}
	var err error
	if server, err = start(); err != nil {
		fmt.Fprintln(os.Stderr, "failed to start the fixture:", err)
		os.Exit(1)
	}
	code := m.Run()
	server.stop()
	os.Exit(code)
}

// behaviour runs a test that provides a row of the table in sdks/README.md.
func behaviour(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	verdict := "failed"
	if t.Run(name, test) {
		verdict = "passed"
	}
	results := os.Getenv("SDK_RESULTS")
	if results == "" {
		return
	}
	file, err := os.OpenFile(results, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	check(t, err)
	defer file.Close()
	_, err = fmt.Fprintf(file, "%s\t%s\n", name, verdict)
	check(t, err)
}

// === fixture ===

func binary() string {
	if path := os.Getenv("TICKETING_FIXTURE"); path != "" {
		return path
	}
	return "../../../target/debug/sdk-fixture"
}

func start(flags ...string) (*fixture, error) {
	f := &fixture{process: exec.Command(binary(), flags...)}
	f.process.Stderr = os.Stderr
	var err error
	if f.stdin, err = f.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := f.process.Start(); err != nil {
		return nil, err
	}
	f.answers = bufio.NewReader(out)
	line, err := f.answers.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	return f, json.Unmarshal(line, f)
}

func (f *fixture) stop() {
	_ = f.stdin.Close()
	_ = f.process.Wait()
}

// command sends a command to the fixture and waits until it is done.
func (f *fixture) command(t *testing.T, command string) {
	t.Helper()
	_, err := fmt.Fprintln(f.stdin, command)
	check(t, err)
	answer, err := f.answers.ReadString('\n')
	check(t, err)
	if answer != fmt.Sprintf("{\"done\":%q}\n", command) {
		t.Fatalf("%s: %s", command, answer)
	}
}

// setJira changes the behavior of Jira until the test ends.
func (f *fixture) setJira(t *testing.T, command string) {
	t.Helper()
	f.command(t, command)
	t.Cleanup(func() { f.command(t, "jira ok") })
}

// client of the shared server.
func client(t *testing.T, options ...ticketing.Option) *ticketing.Client {
	t.Helper()
	return connect(t, server.Address, append([]ticketing.Option{ticketing.WithToken(server.Tokens.Admin)}, options...)...)
}

func connect(t *testing.T, address string, options ...ticketing.Option) *ticketing.Client {
	t.Helper()
	client, err := ticketing.Connect(address, options...)
	check(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// === helpers ===

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// until polls until the condition holds; false after the timeout.
func until(holds func() bool) bool {
	for end := time.Now().Add(testTimeout); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	return false
}

func incident(id string) *ticketingv1.Incident {
	return &ticketingv1.Incident{
		Id:    id,
		Actor: &ticketingv1.Actor{Name: "j.doe", Type: ticketingv1.ActorType_ACTOR_TYPE_USER},
		Risk:  &ticketingv1.Risk{Score: 91},
		Timeline: &ticketingv1.Timeline{
			FirstAlert: &timestamppb.Timestamp{Seconds: 1_770_000_000},
			LastAlert:  &timestamppb.Timestamp{Seconds: 1_770_003_600},
		},
	}
}

func push(id string) *ticketingv1.CreateTicketRequest {
	return pushOf(incident(id))
}

func pushOf(incident *ticketingv1.Incident) *ticketingv1.CreateTicketRequest {
	return &ticketingv1.CreateTicketRequest{
		Incident: incident, Destination: &ticketingv1.CreateTicketRequest_System{System: jira},
	}
}

func ticketingBinary() string {
	return filepath.Join(filepath.Dir(binary()), "ticketing")
}
