package httpx

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/netip"
	"time"
)

// Exchange is what is known of one request before it is parsed.
type Exchange struct {
	// ID names the request in the answer's X-Request-Id, in the log and in the audit log: 128 random bits in hex. It
	// is always our own: a client that could choose it could make two requests look like one.
	ID string
	// Source is the address that the request comes from, see Proxies.Source; the zero Addr if it is not known.
	Source netip.Addr
	// Start is when the handler was entered.
	Start time.Time
	// Grant labels the request in the metrics. The endpoint sets it from a fixed set of names.
	Grant string
}

func newExchange(r *http.Request, proxies Proxies, now time.Time) Exchange {
	var id [16]byte
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return Exchange{ID: hex.EncodeToString(id[:]), Source: proxies.Source(r), Start: now, Grant: "none"}
}
