package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTLSReadsItsFiles(t *testing.T) {
	cert, key := writePair(t)
	c := mustLoad(t, minimal+`
[kafka.tls]
ca = "`+cert+`"
cert = "`+cert+`"
key = "`+key+`"
`)
	client, err := c.Kafka.TLS.Client()
	if err != nil {
		t.Fatal(err)
	}
	if client.RootCAs == nil || len(client.Certificates) != 1 {
		t.Errorf("authorities %v and %d certificates, want some and 1", client.RootCAs, len(client.Certificates))
	}
}

func TestEmptyTLSSectionMeansTheSystemsAuthorities(t *testing.T) {
	client, err := mustLoad(t, minimal+"[kafka.tls]\n").Kafka.TLS.Client()
	if err != nil || client == nil || client.RootCAs != nil || client.InsecureSkipVerify {
		t.Errorf("client = %v, %v; want one with the defaults", client, err)
	}
	client, err = mustLoad(t, minimal).Kafka.TLS.Client()
	if err != nil || client != nil {
		t.Errorf("without a section, client = %v, %v; want nil", client, err)
	}
}

func TestTLSFilesOfDifferentPairsAreRefused(t *testing.T) {
	cert, _ := writePair(t)
	_, key := writePair(t)
	if _, err := load(t, minimal+"[kafka.tls]\ncert = \""+cert+"\"\nkey = \""+key+"\"\n"); err == nil {
		t.Error("a certificate with the key of another was accepted")
	}
}

// writePair writes a self-signed certificate and its key, and returns their paths.
func writePair(t *testing.T) (certPath, keyPath string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	return writePEM(t, folder, "CERTIFICATE", cert), writePEM(t, folder, "PRIVATE KEY", private)
}

func writePEM(t *testing.T, folder, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(folder, kind+".pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
