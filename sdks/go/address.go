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

// What an address says.
type place struct {
	// For gRPC.
	target string
	// Whether it asks for TLS.
	secure bool
	// Whether it is on this machine.
	here bool
}

// Reads an address; with is whether TLS was asked for beside it.
func locate(address string, with bool) (place, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok && strings.HasPrefix(path, "/") && len(path) > 1 {
		return place{target: address, secure: with, here: true}, nil
	}
	bare, secure := strings.CutPrefix(address, "https://")
	bare, plain := strings.CutPrefix(bare, "http://")
	parts := authority.FindStringSubmatch(bare)
	if parts == nil || secure && plain {
		return place{}, none(address)
	}
	name, ip := parts[1]+parts[2], net.ParseIP(parts[1]+parts[2])
	port, err := strconv.ParseUint(parts[3], 10, 16)
	if err != nil || port == 0 || parts[1] != "" && ip == nil {
		return place{}, none(address)
	}
	if plain && with {
		return place{}, errors.New("http:// is without TLS: say https:// or leave WithTLS out")
	}
	here := strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
	return place{target: bare, secure: secure || with, here: here}, nil
}

func none(address string) error {
	return fmt.Errorf("%q is no address of a server: give HOST:PORT, [IPV6]:PORT or unix:/PATH", address)
}
