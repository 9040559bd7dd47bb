package ticketing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// The domain of the service's errors.
const domain = "ticketing.rhythmx"

// Error is why a call failed.
type Error struct {
	// Code is the gRPC code.
	Code codes.Code
	// Message is the server's message, for people.
	Message string
	// Reason is the reason in the contract, which documents each value. UNSPECIFIED if the response has none, or one that this
	// version does not know; ReasonName still has it.
	Reason ticketingv1.ErrorReason
	// ReasonName is the name of the reason, for example "INCIDENT_INVALID". Empty if the response has none, because it is not
	// from the service itself.
	ReasonName string
	// Metadata has details by name, for example "delivery_id". The contract documents the names for each reason.
	Metadata map[string]string
	// Violations are the rules that the request violates.
	Violations []Violation
	// RetryAfter is the delay before a retry. 0: the server sent none.
	RetryAfter time.Duration
	// Method is the called method, for example "CreateTicket".
	Method string
	// Address is the address of the server, as given to Connect.
	Address string

	status *status.Status
}

// Violation is a rule that a field of the request violates.
type Violation struct {
	// Field is a path, for example "incident.firing_rules[3].name". Indices count from 0.
	Field string
	// Description is what is wrong, for people.
	Description string
}

// Error implements error. It names the method, the address, the code and the reason.
func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "ticketing: %s at %s: %s", e.Method, e.Address, e.Code)
	if e.ReasonName != "" {
		fmt.Fprintf(&text, " (%s)", e.ReasonName)
	}
	fmt.Fprintf(&text, ": %s", e.Message)
	for _, violation := range e.Violations {
		fmt.Fprintf(&text, "; %s %s", violation.Field, violation.Description)
	}
	return text.String()
}

// GRPCStatus is the status as received, for status.Code and status.Convert.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is makes errors.Is match context.DeadlineExceeded and context.Canceled.
func (e *Error) Is(target error) bool {
	return target == context.DeadlineExceeded && e.Code == codes.DeadlineExceeded ||
		target == context.Canceled && e.Code == codes.Canceled
}

// failure converts the error of a call. After Close it is always Canceled.
func (c *Client) failure(method string, err error) *Error {
	received := status.Convert(err)
	if c.lifetime.Err() != nil {
		received = status.New(codes.Canceled, "the client is closed")
	}
	failure := &Error{
		Code:    received.Code(),
		Message: received.Message(),
		Method:  method[strings.LastIndexByte(method, '/')+1:],
		Address: c.address,
		status:  received,
	}
	for _, detail := range received.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == domain {
				failure.ReasonName = detail.GetReason()
				failure.Reason = reason(detail.GetReason())
				failure.Metadata = detail.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				failure.Violations = append(failure.Violations, Violation{violation.GetField(), violation.GetDescription()})
			}
		case *errdetails.RetryInfo:
			failure.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return failure
}

func reason(name string) ticketingv1.ErrorReason {
	return ticketingv1.ErrorReason(ticketingv1.ErrorReason_value["ERROR_REASON_"+name])
}
