package httpx

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// from is a request over a connection from the address, with the lines of X-Forwarded-For.
func from(remote string, lines ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/token", nil)
	r.RemoteAddr = remote
	for _, line := range lines {
		r.Header.Add("X-Forwarded-For", line)
	}
	return r
}

func proxies(t testing.TB, ranges ...string) Proxies {
	t.Helper()
	p, err := ParseProxies(ranges)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSource(t *testing.T) {
	trusted := proxies(t, "10.0.0.0/8", "fd00::/8", "fe80::/10")
	with := func(r *http.Request, name, value string) *http.Request {
		r.Header.Set(name, value)
		return r
	}
	const proxy = "10.0.0.1:4711"
	cases := map[string]struct {
		reason  string
		request *http.Request
		want    string
	}{
		"An IPv4 address":                     {"the plain case", from("192.0.2.1:99"), "192.0.2.1"},
		"An IPv4 address in IPv6":             {"a dual-stack socket reports it so; ranges are in IPv4", from("[::ffff:192.0.2.1]:99"), "192.0.2.1"},
		"A connection of a proxy with a zone": {"no range has a zone", from("[fe90::1%eth0]:99", "192.0.2.7"), "192.0.2.7"},
		"A connection of no address":          {"an unknown address lies in no range, and is no proxy", from("@", "192.0.2.7"), ""},
		"A client that speaks for others":     {"whoever is no proxy is not believed", from("192.0.2.1:99", "10.1.1.1"), "192.0.2.1"},
		"A client that says it is nobody":     {"whoever is no proxy is not believed", from("192.0.2.1:99", "unknown"), "192.0.2.1"},

		"A proxy":                             {"it says for whom it asks", from(proxy, "192.0.2.7"), "192.0.2.7"},
		"A proxy, in IPv6 form":               {"it is the same proxy", from("[::ffff:10.0.0.1]:99", "192.0.2.7"), "192.0.2.7"},
		"A proxy in IPv6":                     {"ranges may be of both kinds", from("[fd00::1]:99", "2001:db8::7"), "2001:db8::7"},
		"A proxy without the header":          {"it asks for itself", from(proxy), "10.0.0.1"},
		"Two proxies":                         {"the nearer one names the other", from(proxy, "192.0.2.7, 10.0.0.2"), "192.0.2.7"},
		"Proxies only":                        {"the farthest asks for itself", from(proxy, "10.0.0.3, 10.0.0.2"), "10.0.0.3"},
		"An address that the client invented": {"the proxy appends what it saw", from(proxy, "10.9.9.9, 192.0.2.7"), "192.0.2.7"},
		"A list that the client invented":     {"what is left of the client's address is the client's", from(proxy, "10.9.9.9, 198.51.100.1, 192.0.2.7, 10.0.0.2"), "192.0.2.7"},
		"Lines that the client sent": {
			"a proxy may add a line instead of appending to one: all lines are one list",
			from(proxy, "10.9.9.9", "198.51.100.1, 10.9.9.9", "192.0.2.7", "10.0.0.2"), "192.0.2.7",
		},
		"The client's line of proxies only": {"the proxy's own line comes first from the right", from(proxy, "10.9.9.9", "192.0.2.7"), "192.0.2.7"},
		"A header of 10 KB": {
			"the client's part is not even looked at",
			from(proxy, strings.Repeat("10.9.9.9,", 10<<10/9)+"192.0.2.7"), "192.0.2.7",
		},
		"10 KB of proxies": {"what is looked at is bounded by the header", from(proxy, strings.Repeat("10.9.9.9,", 10<<10/9)+"10.0.0.2"), "10.9.9.9"},

		"No space":                     {"both are written", from(proxy, "10.9.9.9,192.0.2.7"), "192.0.2.7"},
		"Tabs and spaces":              {"RFC 9110, section 5.6.3", from(proxy, "\t 192.0.2.7 \t"), "192.0.2.7"},
		"An address with a port":       {"Azure's gateways write it", from(proxy, "192.0.2.7:5678"), "192.0.2.7"},
		"A proxy with a port":          {"it is the same proxy", from(proxy, "192.0.2.7, 10.0.0.2:80"), "192.0.2.7"},
		"IPv6 in brackets":             {"as RFC 7239 writes it", from(proxy, "[2001:db8::7]"), "2001:db8::7"},
		"IPv6 in brackets with a port": {"as RFC 7239 writes it", from(proxy, "[2001:db8::7]:80"), "2001:db8::7"},
		"IPv4 mapped":                  {"it is the IPv4 address", from(proxy, "::ffff:192.0.2.7"), "192.0.2.7"},
		"A proxy, mapped":              {"a proxy in another spelling is no client", from(proxy, "192.0.2.7, ::ffff:10.0.0.2"), "192.0.2.7"},
		"A zone":                       {"no range has one", from(proxy, "2001:db8::7%eth0"), "2001:db8::7"},
		"A proxy with a zone":          {"it is the same proxy", from(proxy, "192.0.2.7, fe80::2%eth0"), "192.0.2.7"},

		"No address":                        {"neither the proxy's nor what the client may have invented", from(proxy, "10.9.9.9, unknown"), ""},
		"A name":                            {"it is not looked up", from(proxy, "192.0.2.7, localhost"), ""},
		"An empty entry":                    {"somebody stands there, and what is left of it is not theirs", from(proxy, "10.9.9.9, "), ""},
		"An empty line":                     {"the same", from(proxy, "10.9.9.9", ""), ""},
		"Nonsense behind a proxy":           {"the second proxy does not know its client", from(proxy, "10.9.9.9, _hidden, 10.0.0.2"), ""},
		"Nonsense left of the client":       {"the client's part is not looked at", from(proxy, "unknown, 192.0.2.7"), "192.0.2.7"},
		"Leading zeros":                     {"some would read an octal number", from(proxy, "192.0.2.7, 010.0.0.2"), ""},
		"A quoted address":                  {"it is Forwarded's form", from(proxy, `"192.0.2.7"`), ""},
		"IPv4 in brackets":                  {"nobody writes it", from(proxy, "[10.0.0.2]"), ""},
		"A port that is none":               {"what is broken is not guessed at", from(proxy, "192.0.2.7:99999"), ""},
		"A line break":                      {"an address has none", from(proxy, "192.0.2.7\n"), ""},
		"Forwarded":                         {"a proxy that does not know it passes on what the client sent", with(from(proxy, "192.0.2.7"), "Forwarded", "for=10.9.9.9"), "192.0.2.7"},
		"Forwarded alone":                   {"it is not read", with(from(proxy), "Forwarded", "for=192.0.2.7"), "10.0.0.1"},
		"X-Real-IP":                         {"it is not read", with(from(proxy, "192.0.2.7"), "X-Real-Ip", "10.9.9.9"), "192.0.2.7"},
		"A header that only looks like it":  {"some proxies take it for the same", with(from(proxy, "192.0.2.7"), "X_forwarded_for", "10.9.9.9"), "192.0.2.7"},
		"Two addresses without a separator": {"what is broken is not guessed at", from(proxy, "10.9.9.9 192.0.2.7"), ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var want netip.Addr
			if tc.want != "" {
				want = netip.MustParseAddr(tc.want)
			}
			if got := newExchange(tc.request, trusted, time.Now()).Source; got != want {
				t.Errorf("%s: got %v, want %v", tc.reason, got, want)
			}
		})
	}
}

func TestWithoutTrustedProxiesNobodyIsBelieved(t *testing.T) {
	if got, want := Proxies(nil).Source(from("10.0.0.1:99", "192.0.2.7")), netip.MustParseAddr("10.0.0.1"); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseProxies(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"None":                      {"the default", nil, ""},
		"Ranges of both kinds":      {"a cluster may have both", []string{"10.0.0.0/8", "fd00::/8", "192.0.2.1/32"}, ""},
		"An address":                {"a range is asked for, and how it is written is said", []string{"10.0.0.1"}, `"10.0.0.1" must be a range of addresses such as 10.0.0.0/8, 10.1.2.3/32 or fd00::/8`},
		"A name":                    {"names can be made to mean another address", []string{"ingress"}, `"ingress" must be a range of addresses such as 10.0.0.0/8, 10.1.2.3/32 or fd00::/8`},
		"IPv4 mapped":               {"addresses are compared as IPv4: it would hold none", []string{"::ffff:10.0.0.0/104"}, `"::ffff:10.0.0.0/104" must be a range of addresses such as 10.0.0.0/8, 10.1.2.3/32 or fd00::/8`},
		"Everybody":                 {"anybody could be anybody", []string{"0.0.0.0/0"}, `"0.0.0.0/0" must not be everybody: every client could then say that it is another`},
		"Everybody in IPv6":         {"the same", []string{"::/0"}, `"::/0" must not be everybody: every client could then say that it is another`},
		"An address with a length":  {"one proxy was meant, or all of them?", []string{"10.0.0.1/8"}, `"10.0.0.1/8" must have no bits beyond its length: write 10.0.0.0/8 for all of it`},
		"Two mistakes":              {"all are told of at once", []string{"a", "0.0.0.0/0"}, "\"a\" must be a range of addresses such as 10.0.0.0/8, 10.1.2.3/32 or fd00::/8\n\"0.0.0.0/0\" must not be everybody: every client could then say that it is another"},
		"An empty one between good": {"a template that came out empty", []string{"10.0.0.0/8", ""}, `"" must be a range of addresses such as 10.0.0.0/8, 10.1.2.3/32 or fd00::/8`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := ""
			if _, err := ParseProxies(tc.args); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// FuzzSource is the client that sends any header at all, through a proxy that appends the client's address, through one
// that adds a line of its own, and without a proxy.
func FuzzSource(f *testing.F) {
	for _, seed := range []string{"", "10.9.9.9", "10.9.9.9, ", "unknown", "[::1]:80, fe80::1%eth0", "10.9.9.9,,\x00", "::ffff:10.9.9.9", "a\nX-Forwarded-For: b"} {
		f.Add(seed)
	}
	trusted := proxies(f, "10.0.0.0/8", "fd00::/8", "fe80::/10")
	client := netip.MustParseAddr("192.0.2.7")
	f.Fuzz(func(t *testing.T, sent string) {
		for reason, r := range map[string]*http.Request{
			"a proxy that appends":           from("10.0.0.1:99", sent+", 192.0.2.7"),
			"a proxy that adds a line":       from("10.0.0.1:99", sent, "192.0.2.7"),
			"two proxies":                    from("[fd00::1]:99", sent+",192.0.2.7:80, 10.0.0.2"),
			"the client itself, without one": from("192.0.2.7:99", sent),
		} {
			if got := trusted.Source(r); got != client {
				t.Errorf("%s: %q gave %v", reason, sent, got)
			}
		}
		// A proxy that passes on what it got is a mistake of whoever trusts it; what comes out must still be an address as
		// policies have it, or none.
		if got := trusted.Source(from("10.0.0.1:99", sent)); got.Zone() != "" || got.Is4In6() {
			t.Errorf("%q gave %v", sent, got)
		}
	})
}
