package identity

import "net/netip"

// origin is whom failures are counted for and turns are given to: one address of IPv4, or the 64 bits of an IPv6 address
// that name a network, because whoever has one address of it has 2^64. All whose address is not known are one.
type origin struct{ address netip.Addr }

// translated is how clients of IPv4 look behind a NAT64 (RFC 6052, section 2.1): all of them are in one /64.
var translated = netip.MustParsePrefix("64:ff9b::/96")

func originOf(source netip.Addr) origin {
	source = source.Unmap().WithZone("")
	if !source.Is6() || translated.Contains(source) {
		return origin{source}
	}
	network, err := source.Prefix(64)
	if err != nil {
		return origin{}
	}
	return origin{network.Addr()}
}

// text is for digests; empty if the address is not known.
func (o origin) text() string {
	if !o.address.IsValid() {
		return ""
	}
	return o.address.String()
}
