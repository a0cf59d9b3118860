// Package statuslist owns how a Token Status List is written (draft-ietf-oauth-status-list, one bit for each token): the
// bits, and the claims of the token that carries them. It does not own which tokens are good (package record) nor who asks
// (package discovery).
package statuslist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/tokenwright/tokenwright/tokenserver/quote"
)

const (
	// TokenType is the header typ of a status list token.
	TokenType = "statuslist+jwt"
	// MediaType is how it is served.
	MediaType = "application/statuslist+jwt"
	// AggregationPath is where all lists are named, below the root and the prefix.
	AggregationPath = "/statuslists"
	// Path is where lists are, below the root and the prefix: their number follows.
	Path = AggregationPath + "/"
)

// URI names a list in tokens, and is where it can be had: below the URL of the server.
func URI(base string, list int) string {
	return strings.TrimSuffix(base, "/") + Path + strconv.Itoa(list)
}

// AggregationURI is where all lists are named: below the URL of the server.
func AggregationURI(base string) string { return strings.TrimSuffix(base, "/") + AggregationPath }

// List has a bit for each of its tokens: 0 is VALID and 1 is INVALID.
type List struct{ bits []byte }

// New returns a list of so many tokens, of which none is valid: what nobody knows must not look good.
func New(size int) *List {
	return &List{bits: bytes.Repeat([]byte{0xff}, (size+7)/8)}
}

// Valid says that the token is good. An index that the list does not have says nothing.
func (l *List) Valid(index int) {
	if index >= 0 && index/8 < len(l.bits) {
		l.bits[index/8] &^= 1 << (index % 8) // the least significant bit first
	}
}

// Equal says whether two lists say the same.
func (l *List) Equal(other *List) bool { return other != nil && bytes.Equal(l.bits, other.bits) }

// Encode returns the bits as the claim `lst` has them: compressed (zlib), in base64url.
func (l *List) Encode() (string, error) {
	var compressed bytes.Buffer
	w, err := zlib.NewWriterLevel(&compressed, zlib.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(l.bits); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(compressed.Bytes()), nil
}

// Claims are those of a status list token.
type Claims struct {
	// Subject is the list's URI.
	Subject string
	// IssuedAt and Expiry are in seconds since 1970; TTL is for how many seconds the list may be kept.
	IssuedAt, Expiry, TTL int64
	// Encoded is what Encode returned.
	Encoded string
	// Aggregation is where all lists are named; empty: nowhere.
	Aggregation string
}

// AppendJSON implements token.Claims.
func (c Claims) AppendJSON(dst []byte) []byte {
	dst = quote.Append(append(dst, `{"sub":`...), c.Subject)
	dst = strconv.AppendInt(append(dst, `,"iat":`...), c.IssuedAt, 10)
	dst = strconv.AppendInt(append(dst, `,"exp":`...), c.Expiry, 10)
	dst = strconv.AppendInt(append(dst, `,"ttl":`...), c.TTL, 10)
	dst = quote.Append(append(dst, `,"status_list":{"bits":1,"lst":`...), c.Encoded)
	if c.Aggregation != "" {
		dst = quote.Append(append(dst, `,"aggregation_uri":`...), c.Aggregation)
	}
	return append(dst, "}}"...)
}
