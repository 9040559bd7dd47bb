package ticketing

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
)

// A host and a port, the host by name, as IPv4 or in brackets as IPv6.
var authority = regexp.MustCompile(`^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$`)

// address is a parsed server address.
type address struct {
	// The target in gRPC's syntax.
	target string
	// Whether it uses TLS.
	secure bool
	// Whether the server is on this machine.
	local bool
}

// parseAddress parses an address; withTLS is whether the options enable TLS.
func parseAddress(text string, withTLS bool) (address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok && strings.HasPrefix(path, "/") && len(path) > 1 {
		return address{target: text, secure: withTLS, local: true}, nil
	}
	bare, secure := strings.CutPrefix(text, "https://")
	bare, plain := strings.CutPrefix(bare, "http://")
	parts := authority.FindStringSubmatch(bare)
	if parts == nil || secure && plain {
		return address{}, invalid(text)
	}
	name, ip := parts[1]+parts[2], net.ParseIP(parts[1]+parts[2])
	port, err := strconv.ParseUint(parts[3], 10, 16)
	if err != nil || port == 0 || parts[1] != "" && ip == nil {
		return address{}, invalid(text)
	}
	if plain && withTLS {
		return address{}, errors.New("http:// contradicts WithTLS: use https:// or omit WithTLS")
	}
	local := strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
	return address{target: bare, secure: secure || withTLS, local: local}, nil
}

func invalid(text string) error {
	return fmt.Errorf("%q is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH", text)
}
