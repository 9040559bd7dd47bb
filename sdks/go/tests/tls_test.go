package tests

import (
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/rhythmx/ticketing/sdks/go"
	"github.com/rhythmx/ticketing/sdks/go/ticketingv1"
)

func TestAuthenticatesServerAndClient(t *testing.T) {
	behaviour(t, "TLS with a custom CA and a client certificate", func(t *testing.T) {
		secure, err := start("--tls")
		check(t, err)
		defer secure.stop()
		trusted := ticketing.WithTLS(ticketing.TLS{CAFile: secure.CA})
		with := connect(t, secure.Address, trusted, ticketing.WithToken(secure.Tokens.Viewer))
		_, err = with.GetStatus(within(t, testTimeout), &ticketingv1.GetStatusRequest{})
		check(t, err)

		untrusting := connect(t, secure.Address, ticketing.WithTLS(ticketing.TLS{}))
		_, err = untrusting.GetStatus(within(t, 2*time.Second), &ticketingv1.GetStatusRequest{})
		expect(t, err, codes.Unavailable, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)

		address := startWithCertificates(t, filepath.Dir(secure.CA))
		shown := ticketing.TLS{CAFile: secure.CA, CertificateFile: secure.ClientCert, KeyFile: secure.ClientKey}
		certified := connect(t, address, ticketing.WithTLS(shown))
		up := until(func() bool {
			_, err = certified.GetStatus(within(t, testTimeout), &ticketingv1.GetStatusRequest{})
			return err == nil
		})
		if !up {
			t.Fatal(err)
		}
		_, err = connect(t, address, trusted).GetStatus(within(t, 2*time.Second), &ticketingv1.GetStatusRequest{})
		expect(t, err, codes.Unavailable, ticketingv1.ErrorReason_ERROR_REASON_UNSPECIFIED)
	})
}

// startWithCertificates starts a server that authenticates clients only by certificates.
func startWithCertificates(t *testing.T, files string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := free.Addr().String()
	check(t, free.Close())
	file := func(flag, name string) string { return "--" + flag + "=" + filepath.Join(files, name) }
	server := exec.Command(ticketingBinary(), "serve", "--listen="+address, "--data="+t.TempDir(), "--auth=certificate",
		file("tls-cert", "server.pem"), file("tls-key", "server.key"), file("tls-client-ca", "ca.pem"),
		"--certificate-roles=spiffe://ticketing.test/trial=admin")
	check(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return address
}
