package tests

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

func TestSamplesPrintExpectedOutput(t *testing.T) {
	folder := t.TempDir()
	built, err := exec.Command("go", "build", "-o", folder+"/", "../samples/...").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, built)
	}
	behaviour(t, "sample configure", func(t *testing.T) {
		checkOutput(t, folder, "configure", "Tickets go to project SEC of http", "CHECK_OUTCOME_PASSED authentication")
	})
	behaviour(t, "sample preview", func(t *testing.T) {
		checkOutput(t, folder, "preview", "j.doe", "Priority: Highest")
	})
	behaviour(t, "sample create", func(t *testing.T) {
		checkOutput(t, folder, "create", "/browse/SEC-")
	})
	behaviour(t, "sample submit", func(t *testing.T) {
		checkOutput(t, folder, "submit", "jira true", "servicenow false")
	})
	behaviour(t, "sample watch", func(t *testing.T) { checkWatch(t, folder) })
	behaviour(t, "sample retry_failed", func(t *testing.T) { checkRetryFailed(t, folder) })
}

func checkWatch(t *testing.T, folder string) {
	watch := sample(t, folder, "watch")
	out, err := watch.StdoutPipe()
	check(t, err)
	check(t, watch.Start())
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "watching" {
		t.Fatalf("it printed %q", lines.Text())
	}
	_, err = client(t).CreateTicket(within(t, testTimeout), push("INC-watched"))
	check(t, err)
	for _, kind := range []string{"ACCEPTED", "ATTEMPT_STARTED", "DELIVERED"} {
		// Events of other tests' incidents arrive too.
		for lines.Scan() && !strings.Contains(lines.Text(), "INC-watched") {
		}
		if !strings.Contains(lines.Text(), "TICKET_EVENT_KIND_"+kind+" INC-watched") {
			t.Fatalf("it printed %q, not %s", lines.Text(), kind)
		}
	}
	check(t, watch.Process.Signal(syscall.SIGINT))
	check(t, watch.Wait())
}

func checkRetryFailed(t *testing.T, folder string) {
	server.command(t, "jira reject")
	client := client(t)
	pushed, err := client.CreateTicket(within(t, testTimeout), push("INC-refused"))
	check(t, err)
	id := pushed.GetDelivery().GetId()
	failed := until(func() bool {
		found, err := client.GetDelivery(within(t, testTimeout), &ticketingv1.GetDeliveryRequest{DeliveryId: id})
		check(t, err)
		return found.GetDelivery().GetState() == ticketingv1.DeliveryState_DELIVERY_STATE_FAILED
	})
	if !failed {
		t.Fatal("it never failed")
	}
	server.command(t, "jira ok")
	checkOutput(t, folder, "retry_failed", "INC-refused DELIVERY_STATE_DELIVERED", "/browse/SEC-")
}

func checkOutput(t *testing.T, folder, name string, expected ...string) {
	t.Helper()
	out, err := sample(t, folder, name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, words := range expected {
		if !strings.Contains(string(out), words) {
			t.Fatalf("%q is not in:\n%s", words, out)
		}
	}
}

func sample(t *testing.T, folder, name string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(within(t, testTimeout), filepath.Join(folder, name))
	command.Env = append(os.Environ(),
		"TICKETING_ADDRESS="+server.Address, "TICKETING_TOKEN="+server.Tokens.Admin,
		"JIRA_URL="+server.Jira.URL, "JIRA_EMAIL="+server.Jira.Email,
		"JIRA_API_TOKEN="+server.Jira.APIToken, "JIRA_PROJECT_KEY="+server.Jira.ProjectKey)
	return command
}
