package opaque

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// refreshPrefix lets scanners for leaked secrets find our strings.
	refreshPrefix = "twr_"
	// MaxRefresh is the longest refresh token in bytes.
	MaxRefresh = 192

	secretSize = 32
	timeSize   = 8
	purpose    = "refresh token"
)

// ErrNotOurs says that a string is no refresh token that we made and that has not ended. It does not say why.
var ErrNotOurs = errors.New("no refresh token of ours, or one that has ended")

// Refresh is what a refresh token says. The secret is not held, but its hash.
type Refresh struct {
	// ID is that of the record.
	ID string
	// SecretHash is SHA-256 of the secret, in base64url.
	SecretHash string
	// Expires is when it ends.
	Expires time.Time
}

// Matches says in constant time whether the secret is the one with the hash.
func (r Refresh) Matches(hash string) bool {
	return subtle.ConstantTimeCompare([]byte(r.SecretHash), []byte(hash)) == 1
}

// IsRefresh says whether a string claims to be a refresh token of ours.
func IsRefresh(text string) bool { return strings.HasPrefix(text, refreshPrefix) }

// Secret is the random part of a refresh token. It must not be kept.
type Secret struct{ bits [secretSize]byte }

// NewSecret draws 256 random bits.
func NewSecret(random io.Reader) (Secret, error) {
	var s Secret
	if _, err := io.ReadFull(random, s.bits[:]); err != nil {
		return Secret{}, fmt.Errorf("draw a refresh token: %w", err)
	}
	return s, nil
}

// Hash is what a record holds of it.
func (s Secret) Hash() string {
	sum := sha256.Sum256(s.bits[:])
	return encode(sum[:])
}

// String hides the secret from logs.
func (Secret) String() string { return "secret" }

// GoString hides the secret from logs.
func (Secret) GoString() string { return "secret" }

// Seal writes a refresh token: twr_<id>.<secret>.<expiry and MAC>.
func (k Keys) Seal(id string, secret Secret, expires time.Time) (string, error) {
	if !k.Usable() {
		return "", errNoKeys
	}
	body := id + "." + encode(secret.bits[:])
	tail := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix())) //nolint:gosec // nobody asks for 1969
	tail = append(tail, mac(k.current, purpose, []string{body, string(tail)})...)
	return refreshPrefix + body + "." + encode(tail), nil
}

// Open returns what a refresh token says, or ErrNotOurs. It reads nothing of a string that is not sealed.
func (k Keys) Open(text string, now time.Time) (Refresh, error) {
	body, ok := strings.CutPrefix(text, refreshPrefix)
	if !ok || len(text) > MaxRefresh || !k.Usable() {
		return Refresh{}, ErrNotOurs
	}
	at := strings.LastIndexByte(body, '.')
	if at < 0 {
		return Refresh{}, ErrNotOurs
	}
	body, last := body[:at], body[at+1:]
	tail, ok := decode(last, timeSize+sha256.Size)
	if !ok || !k.sealed(body, tail) {
		return Refresh{}, ErrNotOurs
	}
	id, encoded, _ := strings.Cut(body, ".")
	secret, ok := decode(encoded, secretSize)
	if !ok {
		return Refresh{}, ErrNotOurs
	}
	expires := time.Unix(int64(binary.BigEndian.Uint64(tail)), 0) //nolint:gosec // sealed by us
	if !now.Before(expires) {
		return Refresh{}, ErrNotOurs
	}
	sum := sha256.Sum256(secret)
	return Refresh{ID: id, SecretHash: encode(sum[:]), Expires: expires}, nil
}

func (k Keys) sealed(body string, tail []byte) bool {
	return k.Matches(encode(tail[timeSize:]), purpose, body, string(tail[:timeSize]))
}
