package ticketing_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

// The error names an unreachable server, within the deadline.
func Example() {
	client, err := ticketing.Connect("127.0.0.1:1", ticketing.WithToken("rxt_..."), ticketing.WithDeadline(time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, err = client.GetStatus(context.Background(), &ticketingv1.GetStatusRequest{})
	var failure *ticketing.Error
	if errors.As(err, &failure) && failure.Code == codes.Unavailable {
		fmt.Println(failure.Method, "could not reach", failure.Address)
	}
	// Output: GetStatus could not reach 127.0.0.1:1
}
