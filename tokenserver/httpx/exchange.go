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
	// Source is the address at the other end of the connection; the zero Addr if it is not known.
	Source netip.Addr
	// Start is when the handler was entered.
	Start time.Time
	// Grant labels the request in the metrics. The endpoint sets it from a fixed set of names.
	Grant string
}

func newExchange(r *http.Request, now time.Time) Exchange {
	var id [16]byte
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return Exchange{ID: hex.EncodeToString(id[:]), Source: sourceOf(r.RemoteAddr), Start: now, Grant: "none"}
}

// sourceOf reads the address of a connection. An IPv4 address in IPv6 form is the IPv4 address: a policy's range must
// not depend on how the socket was opened. The zone is dropped: no range has one.
func sourceOf(remote string) netip.Addr {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
