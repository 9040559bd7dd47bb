// Package timing has the times to detect lost connections, which tests shorten before they connect.
package timing

import "time"

var (
	// KeepaliveInterval is the interval of keep-alive pings. The minimum of gRPC is 10 s.
	KeepaliveInterval = 20 * time.Second
	// KeepaliveTimeout is the timeout of their acknowledgement.
	KeepaliveTimeout = 10 * time.Second
	// StreamTimeout is the time without a message after which a stream is considered dead: bookmarks arrive every 10 s by
	// default, and at least every 30 s.
	StreamTimeout = 35 * time.Second
)
