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
	// Code is gRPC's.
	Code codes.Code
	// Message is the server's, for people.
	Message string
	// Reason is the contract's: each of its values says by example when it is given. UNSPECIFIED when the answer has none, or
	// one that is newer than this module; ReasonName has that.
	Reason ticketingv1.ErrorReason
	// ReasonName is the reason as it was sent, for example "INCIDENT_INVALID". Empty when the answer has none: it did not come
	// from the service itself.
	ReasonName string
	// Metadata says what the error is about, for example "delivery_id". The contract's reasons tell which there are.
	Metadata map[string]string
	// Violations are all the rules that the request breaks.
	Violations []Violation
	// RetryAfter is when to try again. 0: the server did not say.
	RetryAfter time.Duration
	// Method is what was called, for example "CreateTicket".
	Method string
	// Address is where, as it was given to Connect.
	Address string

	status *status.Status
}

// Violation of a rule.
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

// GRPCStatus is the status as it was received; status.Code and status.Convert find it.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is lets errors.Is know an error whose context ended.
func (e *Error) Is(target error) bool {
	return target == context.DeadlineExceeded && e.Code == codes.DeadlineExceeded ||
		target == context.Canceled && e.Code == codes.Canceled
}

// What the error of a call says. Whatever befalls the calls of a client that is closed, it is that.
func (c *Client) failure(method string, err error) *Error {
	received := status.Convert(err)
	if c.life.Err() != nil {
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
