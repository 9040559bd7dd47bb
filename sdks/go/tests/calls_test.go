package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

func TestCallsSucceed(t *testing.T) {
	behaviour(t, "good calls", func(t *testing.T) {
		client, ctx := client(t), within(t, testTimeout)
		status, err := client.GetStatus(ctx, &ticketingv1.GetStatusRequest{})
		check(t, err)
		if len(status.GetConnections()) != 2 || !status.GetConnections()[0].GetEnabled() {
			t.Fatal(status)
		}
		tested, err := client.TestConnection(ctx, &ticketingv1.TestConnectionRequest{Destination: &ticketingv1.TestConnectionRequest_System{System: jira}})
		check(t, err)
		if !tested.GetTest().GetPassed() {
			t.Fatal(tested)
		}
		first, err := client.CreateTicket(ctx, push("INC-good"))
		check(t, err)
		again, err := client.CreateTicket(ctx, push("INC-good"))
		check(t, err)
		if !again.GetAlreadyExisted() || again.GetDelivery().GetTicket().GetKey() != first.GetDelivery().GetTicket().GetKey() {
			t.Fatal(again)
		}
		listed, err := client.ListDeliveries(ctx, &ticketingv1.ListDeliveriesRequest{Filter: &ticketingv1.DeliveryFilter{IncidentId: "INC-good"}})
		check(t, err)
		if len(listed.GetDeliveries()) != 1 || listed.GetDeliveries()[0].GetId() != first.GetDelivery().GetId() {
			t.Fatal(listed)
		}
		audit, err := client.ListAuditEntries(ctx, &ticketingv1.ListAuditEntriesRequest{})
		check(t, err)
		if len(audit.GetEntries()) == 0 {
			t.Fatal("no entry of Configure")
		}
	})
}

func TestPreservesUnicodeText(t *testing.T) {
	behaviour(t, "unicode", func(t *testing.T) {
		name := "Zoë 王小明 😀 \u202eابن e\u0301"
		asked := incident("INC-unicode")
		asked.InvestigationNotes = "λόγος\n" + name
		request := &ticketingv1.PreviewTicketRequest{
			Incident: asked, Destination: &ticketingv1.PreviewTicketRequest_System{System: jira},
		}
		preview, err := client(t).PreviewTicket(within(t, testTimeout), request)
		check(t, err)
		for _, part := range []string{"λόγος", "Zoë 王小明 😀", "e\u0301"} {
			if !strings.Contains(preview.GetTicket().GetPlainText(), part) {
				t.Errorf("%q is not in %q", part, preview.GetTicket().GetPlainText())
			}
		}
		created, err := client(t).CreateTicket(within(t, testTimeout), pushOf(asked))
		check(t, err)
		if created.GetDelivery().GetTicket().GetKey() == "" {
			t.Fatal(created)
		}
	})
}

func TestPushesIncidentNearTheLimits(t *testing.T) {
	behaviour(t, "large incident", func(t *testing.T) {
		large := incident("INC-large")
		large.InvestigationNotes = strings.Repeat("王", 65_536)
		large.Sla = &ticketingv1.Sla{Target: durationpb.New(time.Hour), Status: ticketingv1.SlaStatus_SLA_STATUS_AT_RISK}
		for i := range 1_000 {
			rule := &ticketingv1.FiringRule{Name: strings.Repeat("r", 252) + fmt.Sprintf("%04d", i), Count: uint32(i + 1)}
			large.FiringRules = append(large.FiringRules, rule)
		}
		for i := range 200 {
			technique := &ticketingv1.Technique{Id: fmt.Sprintf("T%04d", i), Name: strings.Repeat("t", 256)}
			large.Techniques = append(large.Techniques, technique)
		}
		request := pushOf(large)
		created, err := client(t).CreateTicket(within(t, testTimeout), request)
		check(t, err)
		if created.GetDelivery().GetTicket().GetKey() == "" {
			t.Fatal(created)
		}
	})
}
