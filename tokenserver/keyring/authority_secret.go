package keyring

import (
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// The entries of an authority's Secret: those of the authority that issues, and those of its successor.
const (
	authorityCertificateEntry = "ca.crt"
	authorityPrivateEntry     = "ca.key"
	nextCertificateEntry      = "next.crt"
	nextPrivateEntry          = "next.key"
	maxAuthorityEntry         = 16 << 10
)

// Held is what the Secret of the certificate authority holds.
type Held struct {
	// Current issues leaves; nil if it is not known.
	Current *Authority
	// Next is published beside it and waits to be confirmed; nil if there is none.
	Next *Authority
}

// EncodeAuthorities returns the data of the authority's Secret. What is not held is not in it: an update with it erases
// the private half of an authority that was replaced.
func EncodeAuthorities(held Held) (map[string][]byte, error) {
	data := map[string][]byte{}
	if err := encodeAuthority(data, held.Current, authorityCertificateEntry, authorityPrivateEntry); err != nil {
		return nil, err
	}
	if held.Next != nil {
		if err := encodeAuthority(data, held.Next, nextCertificateEntry, nextPrivateEntry); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func encodeAuthority(into map[string][]byte, a *Authority, certificate, private string) error {
	text, err := encodePrivate(a.private)
	if err != nil {
		return fmt.Errorf("encode the authority's key: %w", err)
	}
	into[certificate] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
	into[private] = text
	return nil
}

// DecodeAuthorities reads the data of an authority's Secret and believes none of it: certificates and keys must belong
// together, and nothing else may be there.
func DecodeAuthorities(data map[string][]byte) (Held, error) {
	known := []string{authorityCertificateEntry, authorityPrivateEntry, nextCertificateEntry, nextPrivateEntry}
	for name := range data {
		if !slices.Contains(known, name) {
			return Held{}, errors.New("there is an entry that belongs to no authority")
		}
	}
	var held Held
	var err error
	if held.Current, err = decodeAuthority(data, authorityCertificateEntry, authorityPrivateEntry); err != nil {
		return Held{}, err
	}
	_, certificate := data[nextCertificateEntry]
	_, private := data[nextPrivateEntry]
	if !certificate && !private {
		return held, nil
	}
	if held.Next, err = decodeAuthority(data, nextCertificateEntry, nextPrivateEntry); err != nil {
		return Held{}, err
	}
	if samePublic(held.Current.Certificate.PublicKey, held.Next.Certificate.PublicKey) || held.Current.ID() == held.Next.ID() {
		return Held{}, fmt.Errorf("entry %s is not another authority than that of entry %s", nextCertificateEntry, authorityCertificateEntry)
	}
	return held, nil
}

func decodeAuthority(data map[string][]byte, certificateEntry, privateEntry string) (*Authority, error) {
	der, err := decodePEM("CERTIFICATE", data[certificateEntry], maxAuthorityEntry)
	if err != nil {
		return nil, fmt.Errorf("entry %s: %w", certificateEntry, err)
	}
	certificate, err := parseAuthority(der)
	if err != nil {
		return nil, fmt.Errorf("entry %s: %w", certificateEntry, err)
	}
	private, err := decodePrivate(data[privateEntry])
	if err != nil {
		return nil, fmt.Errorf("entry %s: %w", privateEntry, err)
	}
	if !samePublic(certificate.PublicKey, private.Public()) {
		return nil, fmt.Errorf("the key of entry %s is not that of the certificate of entry %s", privateEntry, certificateEntry)
	}
	return &Authority{Certificate: certificate, private: private}, nil
}
