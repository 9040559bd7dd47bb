package ticketing

import "os"

// DefaultAddress is the default listen address of a server.
const DefaultAddress = "127.0.0.1:50051"

// ConnectFromEnv creates a client from environment variables, for example in a container: TICKETING_ADDRESS is the address, by default
// DefaultAddress; TICKETING_TOKEN the bearer token. TICKETING_TLS_CA names a PEM file with the authorities to trust, and
// TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY the client's certificate and its key: any of them enables TLS. Empty
// variables count as unset. Options override the environment.
func ConnectFromEnv(with ...Option) (*Client, error) {
	var options []Option
	tls := TLS{
		CAFile:          os.Getenv("TICKETING_TLS_CA"),
		CertificateFile: os.Getenv("TICKETING_TLS_CLIENT_CERT"),
		KeyFile:         os.Getenv("TICKETING_TLS_CLIENT_KEY"),
	}
	if tls != (TLS{}) {
		options = append(options, WithTLS(tls))
	}
	if token := os.Getenv("TICKETING_TOKEN"); token != "" {
		options = append(options, WithToken(token))
	}
	address := os.Getenv("TICKETING_ADDRESS")
	if address == "" {
		address = DefaultAddress
	}
	return Connect(address, append(options, with...)...)
}
