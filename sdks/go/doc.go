// Package ticketing is the client of RhythmX Ticketing: it turns incidents into tickets in Jira and ServiceNow, effectively
// once.
//
// [Connect] creates a [Client], which has every method of the service, with the generated messages of package ticketingv1:
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
// A call ends with its context; a context without a deadline gets 30 s, see [WithDeadline]. The deadline is sent with the call: the
// server waits for the first attempt of a push until then.
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
// status.Code(err), and errors.Is with context.Canceled or context.DeadlineExceeded, work too. A failed delivery is not an error:
// the push was accepted, and the delivery has its state and attempts.
//
// # Retries
//
// Every unary call of the service is idempotent: there is one delivery for an incident and a connection, and settings merge by
// presence. A call that fails with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a retry delay, is retried up to five times, for
// about 6 s, and never beyond its deadline. The exception is RetryDelivery with create_anyway, which ignores an unknown outcome:
// sent twice, it may create two tickets, so it is never retried.
//
// # Events
//
// [Client.Subscribe] returns each event once and in order. It resumes automatically after a restart of the server, and over a new
// connection if one failed silently. That is detected within 45 s, and for calls within 30 s.
package ticketing
