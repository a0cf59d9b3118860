package tokenserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writeCertificate writes a self-signed certificate of 127.0.0.1 and its key, as cert-manager would.
func writeCertificate(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	err = errors.Join(
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	r := start(t, func(options *Options, _ *Parts) {
		options.TLSCertFile, options.TLSKeyFile = writeCertificate(t, dir, "first")
	})
	r.client.Transport = &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate is looked at by name
	}
	server := func() string {
		response, err := r.client.Get(r.url + "/.well-known/jwks.json")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.ProtoMajor != 2 {
			t.Errorf("protocol %s, want HTTP/2", response.Proto)
		}
		return response.TLS.PeerCertificates[0].Subject.CommonName
	}
	if got := server(); got != "first" {
		t.Fatalf("certificate of %q", got)
	}
	if got := r.get(t, "alice", "secret", asking()); got.status != http.StatusOK {
		t.Errorf("status %d over TLS", got.status)
	}

	writeCertificate(t, dir, "second")
	waitFor(t, "the new certificate is served", func() bool { return server() == "second" })

	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10} //nolint:gosec // it must fail
	if conn, err := tls.Dial("tcp", r.url[len("https://"):], old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

func TestACertificateThatIsMissingIsAnError(t *testing.T) {
	r := start(t, func(options *Options, _ *Parts) {
		options.TLSCertFile, options.TLSKeyFile = "/nonexistent/tls.crt", "/nonexistent/tls.key"
	})
	select {
	case err := <-r.ended:
		if err == nil {
			t.Error("the server ended without an error")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server runs without its certificate")
	}
}
