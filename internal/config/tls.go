package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// TLS turns transport encryption on; an empty [kafka.tls] is enough. All three are paths of PEM files.
type TLS struct {
	CA   string `toml:"ca"`   // Empty: the system's certificate authorities.
	Cert string `toml:"cert"` // Empty: no client certificate.
	Key  string `toml:"key"`
}

const pemMaxBytes = 4 << 20

// Client reads the files and returns the settings for a client, or nil for a nil receiver.
func (t *TLS) Client() (*tls.Config, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // No TLS is a valid configuration and not an error.
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if t.CA != "" {
		if c.RootCAs, err = readAuthorities(t.CA); err != nil {
			return nil, err
		}
	}
	if t.Cert != "" {
		pair, err := readPair(t.Cert, t.Key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	content, err := readSmall(path, pemMaxBytes)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("file %s holds no certificate: name a PEM file of certificate authorities", path)
	}
	return pool, nil
}

func readPair(certPath, keyPath string) (tls.Certificate, error) {
	cert, err := readSmall(certPath, pemMaxBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readSmall(keyPath, pemMaxBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s and key %s: %w: name two PEM files that belong together", certPath, keyPath, err)
	}
	return pair, nil
}
