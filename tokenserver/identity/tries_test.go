package identity

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOrigin(t *testing.T) {
	cases := map[string]struct{ reason, source, want string }{
		"IPv4":                {"one address", "192.0.2.7", "192.0.2.7"},
		"IPv4 mapped":         {"the same in another spelling", "::ffff:192.0.2.7", "192.0.2.7"},
		"IPv6":                {"whoever has one address of the network has them all", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		"another of it":       {"it is the same origin", "2001:db8:1:2:ffff::1", "2001:db8:1:2::"},
		"another network":     {"it is somebody else", "2001:db8:1:3::1", "2001:db8:1:3::"},
		"IPv6 with a zone":    {"a zone names our side", "fe80::1%eth0", "fe80::"},
		"IPv4 behind a NAT64": {"all of IPv4 is in one network there", "64:ff9b::c000:207", "64:ff9b::c000:207"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got, want := originOf(netip.MustParseAddr(tc.source)), (origin{netip.MustParseAddr(tc.want)}); got != want {
				t.Errorf("%s: got %v, want %v", tc.reason, got, want)
			}
		})
	}
	if got := originOf(netip.Addr{}); got != (origin{}) || got.text() != "" {
		t.Errorf("an unknown address gave %v", got)
	}
}

// TestPace counts the events that get through in the course of time.
func TestPace(t *testing.T) {
	p := pace{burst: 3, every: 10 * time.Second}
	type step struct {
		After time.Duration
		Tries int
	}
	cases := map[string]struct {
		reason string
		steps  []step
		want   []int
		wait   time.Duration
	}{
		"a burst":             {"burst at once, and no more", []step{{0, 5}}, []int{3}, 10 * time.Second},
		"a burst, later more": {"one in each every", []step{{0, 5}, {10 * time.Second, 5}, {25 * time.Second, 5}}, []int{3, 1, 1}, 5 * time.Second},
		"after a long time":   {"not more than burst is ever saved up", []step{{0, 5}, {time.Hour, 9}}, []int{3, 3}, 10 * time.Second},
		"at the pace":         {"whoever keeps to it never waits", []step{{0, 1}, {10 * time.Second, 1}, {20 * time.Second, 1}, {30 * time.Second, 1}}, []int{1, 1, 1, 1}, 0},
		"a clock set back":    {"nothing is forgiven", []step{{time.Hour, 5}, {0, 5}}, []int{3, 0}, time.Hour + 10*time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLedger[string](p, 10)
			var got []int
			var wait time.Duration
			for _, s := range tc.steps {
				through := 0
				for range s.Tries {
					if l.wait("a", noon.Add(s.After)) == 0 {
						l.count("a", noon.Add(s.After))
						through++
					}
				}
				got, wait = append(got, through), l.wait("a", noon.Add(s.After))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || wait != tc.wait {
				t.Errorf("%s: wait %s, want %s (-want +got):\n%s", tc.reason, wait, tc.wait, diff)
			}
		})
	}
}

func TestALedgerIsBoundedAndKeepsWhoIsAtTheBound(t *testing.T) {
	const most = 64
	l := newLedger[int](pace{burst: 3, every: time.Minute}, most)
	for range 3 {
		l.count(-1, noon)
	}
	for i := range 100 * most {
		l.count(i, noon)
	}
	if len(l.at) > most || l.wait(-1, noon) == 0 {
		t.Errorf("%d keys; the one at its bound waits %s", len(l.at), l.wait(-1, noon))
	}
	l.count(-2, noon.Add(time.Hour))
	if got := len(l.at); got > most-15 {
		t.Errorf("of what has passed, %d keys were kept", got)
	}
}

// TestWhatWasRightIsTakenBack holds that nothing but the password that was right is forgiven.
func TestWhatWasRightIsTakenBack(t *testing.T) {
	tr, of := newTries(), try{account: digest{1}, origin: at("192.0.2.1")}
	for range accountPace.burst - 1 {
		tr.enter(of, noon)
		tr.begin(of, noon)
	}
	tr.enter(of, noon)
	counted, _ := tr.begin(of, noon)
	if tr.wait(of, noon) == 0 || tr.calm(noon) {
		t.Fatal("the account is not at its bound")
	}
	tr.right(of, counted)
	if wait := tr.enter(of, noon); wait > 0 {
		t.Errorf("what was right was not taken back: wait %s", wait)
	}
	if wait := tr.enter(of, noon); wait != accountPace.every {
		t.Errorf("more than that was taken back: wait %s", wait)
	}
}

// TestWhoGetsInUsesNothingUp is a large office in the morning.
func TestWhoGetsInUsesNothingUp(t *testing.T) {
	tr := newTries()
	for i := range 5 * originPace.burst {
		of := try{account: digest{byte(i), byte(i >> 8)}, origin: at("192.0.2.1")}
		enters := tr.enter(of, noon)
		counted, wait := tr.begin(of, noon)
		if enters > 0 || wait > 0 {
			t.Fatalf("user %d must wait", i)
		}
		tr.right(of, counted)
	}
}

// TestWhoIsExemptDoesNotPutOthersOff holds that an address waits no longer than its bound says, whatever its known users
// mistype meanwhile, and that they win nothing back for it.
func TestWhoIsExemptDoesNotPutOthersOff(t *testing.T) {
	tr := newTries()
	office := at("192.0.2.1")
	for i := range originPace.burst {
		tr.begin(try{account: digest{1, byte(i)}, origin: office}, noon)
	}
	stranger := try{account: digest{2}, origin: office}
	for i := range 50 {
		known := try{account: digest{3, byte(i)}, origin: office}
		tr.gotIn(known, noon)
		counted, wait := tr.begin(known, noon)
		if wait > 0 {
			t.Fatalf("the known user %d must wait", i)
		}
		if i%2 == 0 {
			tr.right(known, counted)
		}
	}
	if wait := tr.wait(stranger, noon); wait != originPace.every {
		t.Errorf("the others wait %s, want %s", wait, originPace.every)
	}
}

// TestWhoMustWaitTakesNoPlace holds that what is going to be turned away does not keep others waiting until then.
func TestWhoMustWaitTakesNoPlace(t *testing.T) {
	tr := newTries()
	office := at("192.0.2.1")
	for i := range originPace.burst {
		tr.begin(try{account: digest{1, byte(i)}, origin: office}, noon)
	}
	if wait := tr.enter(try{account: digest{2}, origin: office}, noon); wait != originPace.every {
		t.Errorf("it waits %s, want %s", wait, originPace.every)
	}
}
