// Package timing has the times by which lost connections are noticed, which tests set shorter before they connect.
package timing

import "time"

var (
	// Ping is the time between two pings of a connection. gRPC takes none below 10 s.
	Ping = 20 * time.Second
	// Pong is the time that the answer to a ping may take.
	Pong = 10 * time.Second
	// Silence is the time after which a stream that bears nothing is dead: bookmarks come every 10 s, and never less often
	// than every 30 s.
	Silence = 35 * time.Second
)
