package keyring

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"
)

// The validity of certificates. They begin in the past, for verifiers whose clocks are late.
const (
	authorityLifetime = 20 * 365 * 24 * time.Hour
	authorityBackdate = 24 * time.Hour
	leafBackdate      = 2 * time.Hour
)

// Authority is the certificate authority of one SigningKey. It is an ECDSA P-256 key whatever the tokens' algorithm:
// all registries that know x5c verify it, and it keeps tokens short.
type Authority struct {
	Certificate *x509.Certificate
	private     crypto.Signer
}

// Until is the NotAfter of the authority; zero for nil.
func (a *Authority) Until() time.Time {
	if a == nil {
		return time.Time{}
	}
	return a.Certificate.NotAfter
}

// ID names the authority in the leaves that it issued: its SubjectKeyId, in hexadecimal. Empty for nil.
func (a *Authority) ID() string {
	if a == nil {
		return ""
	}
	return hex.EncodeToString(a.Certificate.SubjectKeyId)
}

// NewAuthority makes a self-signed certificate authority for the SigningKey of that name.
func NewAuthority(random io.Reader, signingKey string, now time.Time) (*Authority, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("generate the authority's key: %w", err)
	}
	serial, err := serialNumber(random)
	if err != nil {
		return nil, err
	}
	name := "Tokenwright " + signingKey
	id, err := shortKeyIdentifier(private.Public())
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name[:min(len(name), 32)]}, // it is in every leaf
		SubjectKeyId:          id,
		NotBefore:             now.Add(-authorityBackdate),
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(random, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("create the authority's certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse the authority's certificate: %w", err)
	}
	return &Authority{Certificate: certificate, private: private}, nil
}

// Certify issues a certificate for the public key, valid from some time ago until then, and says as little as registries
// accept, not even a subject: it is part of every token. It refuses to outlive the authority.
func (a *Authority) Certify(random io.Reader, public crypto.PublicKey, now, until time.Time) ([]byte, error) {
	if until.After(a.Certificate.NotAfter) || !until.After(now) {
		return nil, fmt.Errorf("certificate until %s lies outside the authority's validity", until.UTC().Format(time.RFC3339))
	}
	serial, err := serialNumber(random)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    now.Add(-leafBackdate),
		NotAfter:     until,
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(random, template, a.Certificate, public, a.private)
	if err != nil {
		return nil, fmt.Errorf("create a certificate: %w", err)
	}
	return der, nil
}

// shortKeyIdentifier is RFC 5280's second way to name a key (4.2.1.2), in 8 bytes.
func shortKeyIdentifier(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encode the authority's key: %w", err)
	}
	sum := sha256.Sum256(der)
	id := sum[:8]
	id[0] = id[0]&0x0f | 0x40
	return id, nil
}

// serialNumber draws 63 random bits; never zero (RFC 5280, 4.1.2.2).
func serialNumber(random io.Reader) (*big.Int, error) {
	raw := make([]byte, 8)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	raw[0] = raw[0]&0x7f | 0x40
	return new(big.Int).SetBytes(raw), nil
}

// ParseAuthorities returns the certificates of authorities that the text of a ca.crt holds, as DER and each once. What is
// none is left out: nobody can trust it.
func ParseAuthorities(text []byte) [][]byte {
	var out [][]byte
	for len(text) <= maxAuthorityEntry {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || slices.ContainsFunc(out, func(der []byte) bool { return bytes.Equal(der, block.Bytes) }) {
			continue
		}
		if _, err := parseAuthority(block.Bytes); err == nil {
			out = append(out, block.Bytes)
		}
	}
	return out
}

// parseAuthority reads a certificate that may sign others.
func parseAuthority(der []byte) (*x509.Certificate, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse the certificate: %w", err)
	}
	if !certificate.IsCA || !certificate.BasicConstraintsValid {
		return nil, errors.New("the certificate is not that of an authority")
	}
	if len(certificate.SubjectKeyId) == 0 {
		return nil, errors.New("the certificate has no SubjectKeyId, by which leaves name their authority")
	}
	return certificate, nil
}
