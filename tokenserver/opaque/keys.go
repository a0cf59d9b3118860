package opaque

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// SecretName is the Secret in the system namespace that holds the keys.
	SecretName = "tokenwright-server"
	// SecretType is its type. It is immutable, so that no Secret of another kind becomes ours.
	SecretType = "tokenwright.dev/server-keys"

	// RotateAfter is how old the current key becomes.
	RotateAfter = MaxLifetime + 24*time.Hour
	// MaxLifetime is the longest that a string is good: what the key before the current one sealed last has ended when a
	// third takes its place.
	MaxLifetime = 365 * 24 * time.Hour

	keySize = 32
)

// The keys of the Secret's data. The values are base64 of the Secret's own encoding, and 32 bytes each.
const (
	dataCurrent  = "current"
	dataSince    = "current-since"
	dataPrevious = "previous"
)

// Keys seal with the current key, and open with that and the one before. The zero value seals and opens nothing.
type Keys struct {
	current, previous []byte
	since             time.Time
}

// Generate draws the first key.
func Generate(random io.Reader, now time.Time) (Keys, error) {
	key := make([]byte, keySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return Keys{}, fmt.Errorf("draw a key: %w", err)
	}
	return Keys{current: key, since: now.UTC().Truncate(time.Second)}, nil
}

// Rotate draws a new current key; the one before stays to open with.
func (k Keys) Rotate(random io.Reader, now time.Time) (Keys, error) {
	next, err := Generate(random, now)
	if err != nil {
		return Keys{}, err
	}
	next.previous = k.current
	return next, nil
}

// Due is when the keys are to be rotated.
func (k Keys) Due() time.Time { return k.since.Add(RotateAfter) }

// Usable says whether there is a key.
func (k Keys) Usable() bool { return len(k.current) == keySize }

// Equal says in constant time whether two are the same.
func (k Keys) Equal(other Keys) bool {
	return hmac.Equal(k.current, other.current) && hmac.Equal(k.previous, other.previous) && k.since.Equal(other.since)
}

// String hides the keys from logs.
func (Keys) String() string { return "keys" }

// GoString hides the keys from logs.
func (Keys) GoString() string { return "keys" }

// Encode returns the data of the Secret.
func (k Keys) Encode() map[string][]byte {
	data := map[string][]byte{dataCurrent: k.current, dataSince: []byte(k.since.Format(time.RFC3339))}
	if k.previous != nil {
		data[dataPrevious] = k.previous
	}
	return data
}

// Decode reads the data of the Secret. Errors hold nothing of the keys.
func Decode(data map[string][]byte) (Keys, error) {
	k := Keys{current: data[dataCurrent], previous: data[dataPrevious]}
	if len(k.current) != keySize {
		return Keys{}, fmt.Errorf("data.%s: must have %d bytes, has %d", dataCurrent, keySize, len(k.current))
	}
	if _, ok := data[dataPrevious]; ok && len(k.previous) != keySize {
		return Keys{}, fmt.Errorf("data.%s: must have %d bytes, has %d", dataPrevious, keySize, len(k.previous))
	}
	if hmac.Equal(k.current, k.previous) {
		return Keys{}, fmt.Errorf("data.%s: must differ from data.%s", dataPrevious, dataCurrent)
	}
	var err error
	if k.since, err = time.Parse(time.RFC3339, string(data[dataSince])); err != nil {
		return Keys{}, fmt.Errorf("data.%s: must be a time of RFC 3339", dataSince)
	}
	return k, nil
}

// Digest is a keyed digest of the parts for one purpose, by the current key. What somebody reads in a record does not help
// to guess what it was made of.
func (k Keys) Digest(purpose string, parts ...string) (string, error) {
	if !k.Usable() {
		return "", errNoKeys
	}
	return encode(mac(k.current, purpose, parts)), nil
}

// Matches says in constant time whether one of the keys gives the parts this digest.
func (k Keys) Matches(digest, purpose string, parts ...string) bool {
	got, ok := decode(digest, sha256.Size)
	if !ok {
		return false
	}
	found := false
	for _, key := range [][]byte{k.current, k.previous} {
		if len(key) == keySize && hmac.Equal(mac(key, purpose, parts), got) {
			found = true
		}
	}
	return found
}

var errNoKeys = errors.New("there is no key to seal with")

// encoding is base64url in its one canonical spelling, so that one string cannot be written in two ways.
var encoding = base64.RawURLEncoding.Strict()

func encode(b []byte) string { return encoding.EncodeToString(b) }

// decode reads so many bytes. Go's decoder passes over line breaks: the length shows them.
func decode(text string, size int) ([]byte, bool) {
	if len(text) != encoding.EncodedLen(size) {
		return nil, false
	}
	b, err := encoding.DecodeString(text)
	return b, err == nil && len(b) == size
}

// mac is HMAC-SHA-256 under a key for the purpose (HKDF, RFC 5869). Lengths go in, so that no two lists run together.
func mac(key []byte, purpose string, parts []string) []byte {
	derived, err := hkdf.Key(sha256.New, key, nil, "tokenwright "+purpose, keySize)
	if err != nil {
		panic(err) // only for a length that no hash can give
	}
	h := hmac.New(sha256.New, derived)
	for _, part := range parts {
		fmt.Fprintf(h, "%d:", len(part)) //nolint:errcheck // a hash takes everything
		io.WriteString(h, part)          //nolint:errcheck // a hash takes everything
	}
	return h.Sum(nil)
}
