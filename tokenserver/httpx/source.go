package httpx

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// forwardedFor is the only header that is read. Forwarded (RFC 7239), X-Real-IP and the others are not: a proxy passes on
// those that it does not know, and so they are the client's word.
const forwardedFor = "X-Forwarded-For"

// Proxies are the ranges of the proxies that are believed when they say for whom they ask. None: nobody is believed.
type Proxies []netip.Prefix

// ParseProxies reads ranges such as 10.0.0.0/8 or fd00::/8, and says of all that are broken what is wrong with them.
func ParseProxies(texts []string) (Proxies, error) {
	var proxies Proxies
	var problems []error
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		switch {
		case err != nil || prefix.Addr().Is4In6():
			problems = append(problems, fmt.Errorf("%q must be a range of addresses such as 10.0.0.0/8, 10.1.2.3/32 or fd00::/8", text))
		case prefix.Bits() == 0:
			problems = append(problems, fmt.Errorf("%q must not be everybody: every client could then say that it is another", text))
		case prefix != prefix.Masked():
			problems = append(problems, fmt.Errorf("%q must have no bits beyond its length: write %s for all of it", text, prefix.Masked()))
		default:
			proxies = append(proxies, prefix)
		}
	}
	return proxies, errors.Join(problems...)
}

func (p Proxies) contain(address netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// Source returns the address that the request comes from; the zero Addr if it is not known.
//
// It is that of the connection, unless a trusted proxy is there. Then it is the rightmost address in X-Forwarded-For that
// is not a trusted proxy's: each proxy appends the address that it sees, so that what stands left of that one is whatever
// the client sent. Several lines of the header are one list (RFC 9110, section 5.3). If all in the list are trusted
// proxies, or there is no list, it is the last of them: a proxy that asks for itself.
//
// An entry that is no address ends the search, and the source is then not known. A proxy wrote it, or passed it on
// unread. It stands for somebody who is not that proxy, so to take the proxy's address would give strangers what
// sourceRanges grant to the proxy's network; and what stands left of it may be the client's invention. Policies fail closed
// when a source is not known: an Allow with ranges does not match, a Deny with ranges does.
func (p Proxies) Source(r *http.Request) netip.Addr {
	source := sourceOf(r.RemoteAddr)
	if len(p) == 0 || !p.contain(source) {
		return source
	}
	lines := r.Header[forwardedFor]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var entry string
			rest, entry, more = cutLast(rest)
			source = forwarded(entry)
			if !p.contain(source) {
				return source
			}
		}
	}
	return source
}

// cutLast takes the last entry off a list.
func cutLast(list string) (rest, last string, more bool) {
	comma := strings.LastIndexByte(list, ',')
	if comma < 0 {
		return "", list, false
	}
	return list[:comma], list[comma+1:], true
}

// sourceOf reads the address of a connection.
func sourceOf(remote string) netip.Addr {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return plain(at.Addr())
}

// forwarded reads one entry in the forms that proxies write: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] and
// [2001:db8::1]:80. The zero Addr is what else there may be.
func forwarded(entry string) netip.Addr {
	entry = strings.Trim(entry, " \t")
	if address, err := netip.ParseAddr(entry); err == nil {
		return plain(address)
	}
	if inner, ok := strings.CutPrefix(entry, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			address, err := netip.ParseAddr(inner)
			if err != nil || !address.Is6() {
				return netip.Addr{}
			}
			return plain(address)
		}
	}
	return sourceOf(entry)
}

// plain is the address as policies have it. An IPv4 address in IPv6 form is the IPv4 address: a policy's range must not
// depend on how a socket was opened. The zone is dropped: no range has one.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }
