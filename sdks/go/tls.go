package ticketing

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS has the trusted authorities and the client certificate. The zero value trusts the system's authorities and has no
// certificate.
type TLS struct {
	// CAFile is a PEM file with the authorities to trust instead of the system's.
	CAFile string
	// CertificateFile and KeyFile are PEM files with the client's certificate and key. They are read again for each connection, so
	// that a certificate can be renewed while the program runs.
	CertificateFile, KeyFile string
	// ServerName is the name that the server's certificate must be valid for. Empty: the host of the address.
	ServerName string
}

func (t *TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", t.CAFile)
		}
	}
	if (t.CertificateFile == "") != (t.KeyFile == "") {
		return nil, errors.New("a client certificate needs both CertificateFile and KeyFile")
	}
	if t.CertificateFile == "" {
		return config, nil
	}
	if _, err := t.certificate(nil); err != nil {
		return nil, err
	}
	config.GetClientCertificate = t.certificate
	return config, nil
}

func (t *TLS) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(t.CertificateFile, t.KeyFile)
	return &pair, err
}
