// Package ticketing is the client of RhythmX Ticketing: it turns incidents into tickets in Jira and ServiceNow, effectively
// once.
//
// [Connect] makes a [Client], which has every call of the service, with the generated messages of package ticketingv1:
//
//	client, err := ticketing.Connect("127.0.0.1:50051", ticketing.WithToken("rxt_..."))
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	answer, err := client.CreateTicket(ctx, &ticketingv1.CreateTicketRequest{
//		Incident:    incident,
//		Destination: &ticketingv1.CreateTicketRequest_Connection{Connection: "jira"},
//	})
//
// A call ends when its context does; one without a deadline gets 30 s, see [WithDeadline]. The deadline travels with the call:
// a push waits on the server for its first attempt as long as the caller does.
//
// # Errors
//
// A call that fails returns an [*Error], which errors.As finds:
//
//	var failure *ticketing.Error
//	if errors.As(err, &failure) && failure.Reason == ticketingv1.ErrorReason_ERROR_REASON_INCIDENT_INVALID {
//		for _, violation := range failure.Violations {
//			fmt.Println(violation.Field, violation.Description)
//		}
//	}
//
// status.Code(err), and errors.Is with context.Canceled or context.DeadlineExceeded, work too. A failed delivery is no error:
// the push was accepted, and the delivery tells its story.
//
// # Repeated calls
//
// Every unary call of the service may be repeated: there is one delivery for an incident and a connection, and settings merge by
// presence. So a call that fails with UNAVAILABLE, or with RESOURCE_EXHAUSTED and the time to come back, is repeated: up to
// five times, for about 6 s, and never beyond its deadline. The exception is RetryDelivery with create_anyway, which puts a
// doubt aside: asked twice, it may make two tickets, so it is sent once.
//
// # Events
//
// [Client.Subscribe] hands over each event once and in order, and goes on by itself after the server was restarted, and over a
// new connection where one died without a word: that is noticed within 45 s, and for calls within 30 s.
package ticketing
