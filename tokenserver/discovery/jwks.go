// Package discovery serves what verifiers and clients must know: the public keys, and the server's metadata. It owns how long
// they may be cached, and where the metadata is. It does not own which keys there are (package keyring) nor what the server
// serves (package tokenserver), and never serves an older set than the snapshot's.
package discovery

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Name labels the endpoint in metrics and logs.
const Name = "jwks"

// Path is where the keys are, below the root and the prefix.
const Path = "/.well-known/jwks.json"

// Methods are what the endpoint answers.
func Methods() []string { return []string{http.MethodGet, http.MethodHead} }

// JWKS answers with the JSON Web Key Set (RFC 7517) of the snapshot.
type JWKS struct {
	Snapshots *snapshot.Holder
	// MaxAge is how long a verifier may keep the set. The lifecycle of keys counts on it: a key is public for longer
	// than this before it signs.
	MaxAge time.Duration
	// Fence says whether the set is known to be current; nil: it always is.
	Fence *snapshot.Fence
}

// Handle has the form of httpx.Endpoint's. Before the first snapshot there is nothing that may be said, least of all
// that there are no keys: a verifier would keep that. A server that is cut off from the cluster serves the last set that it
// knows, which is better than none, but tells verifiers not to keep it: it may lack a newer key.
func (j *JWKS) Handle(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	from := j.Snapshots.Load()
	if from.BuiltAt.IsZero() {
		return &httpx.Error{
			Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
			Message: "the keys are not known yet", RetryAfter: time.Second,
		}
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d, must-revalidate", int64(j.MaxAge/time.Second)))
	if j.Fence.Check(x.Start) != nil {
		header.Set("Cache-Control", "no-store")
	}
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("ETag", from.JWKSETag)
	if matches(r.Header.Values("If-None-Match"), from.JWKSETag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Length", strconv.Itoa(len(from.JWKS)))
	w.WriteHeader(http.StatusOK)
	w.Write(from.JWKS) //nolint:errcheck // the client has gone; there is nobody left to tell
	return nil
}

// matches is If-None-Match of RFC 9110, section 13.1.2: a list, compared weakly.
func matches(fields []string, etag string) bool {
	for _, field := range fields {
		for candidate := range strings.SplitSeq(field, ",") {
			candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
			if candidate == "*" || candidate == strings.TrimPrefix(etag, "W/") {
				return etag != ""
			}
		}
	}
	return false
}
