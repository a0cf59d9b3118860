package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// door is an Authenticator with users alice, bob and carol, whose password is "secret", and a note of every bcrypt check.
type door struct {
	*Authenticator
	from *snapshot.Snapshot

	mu     sync.Mutex
	hashed []string
	// held keeps checks from ending until it is closed; nil: nothing does.
	held chan struct{}
}

func newDoor(t testing.TB) *door {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Authenticator: New(Options{PasswordChecks: 1})}
	d.from = snapshot.Build(snapshot.Input{Providers: []*provider.Provider{
		users("plain", "", map[string][]byte{"alice": hash, "bob": hash, "carol": hash}, nil)}})
	d.passwords.matches = func(file *provider.Htpasswd, user, password string) bool {
		d.mu.Lock()
		d.hashed = append(d.hashed, user+" "+password)
		held := d.held
		d.mu.Unlock()
		if held != nil {
			<-held
		}
		return matches(file, user, password)
	}
	return d
}

// knock is one login; what comes back is in, bad, unavailable or limited.
func (d *door) knock(source, user, password string, after time.Duration) string {
	c := Credentials{Username: user, Password: password, Present: true, Source: netip.MustParseAddr(source)}
	_, err := d.Authenticate(context.Background(), d.from, c, noon.Add(after))
	var limited *Limited
	if errors.As(err, &limited) {
		if limited.RetryAfter <= 0 {
			return "limited without a time"
		}
		return "limited"
	}
	return outcome(err)
}

// hashes is how many passwords were hashed since it was last asked.
func (d *door) hashes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.hashed)
	d.hashed = nil
	return n
}

// guess tries n different wrong passwords and counts what came of it.
func (d *door) guess(source, user string, n int, after time.Duration) map[string]int {
	got := map[string]int{}
	for i := range n {
		got[d.knock(source, user, fmt.Sprintf("guess-%s-%d", after, i), after)]++
	}
	return got
}

const (
	office    = "192.0.2.1"
	elsewhere = "198.51.100.1"
)

func TestGuessesForOneAccountFromOneAddress(t *testing.T) {
	for _, user := range []string{"alice", "nobody"} {
		t.Run(user, func(t *testing.T) { // whether a user exists must not be found out by how many guesses there are
			d := newDoor(t)
			type round struct {
				Outcomes map[string]int
				Hashes   int
			}
			var got []round
			for _, after := range []time.Duration{0, time.Second, 30 * time.Second, 2 * time.Minute, time.Hour} {
				got = append(got, round{d.guess(office, user, 50, after), d.hashes()})
			}
			want := []round{
				{map[string]int{"bad": 10, "limited": 40}, 10},
				{map[string]int{"limited": 50}, 0},
				{map[string]int{"bad": 1, "limited": 49}, 1},
				{map[string]int{"bad": 3, "limited": 47}, 3},
				{map[string]int{"bad": 10, "limited": 40}, 10},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestGuessesAtOnceAreCountedBeforeTheyAreChecked(t *testing.T) {
	d := newDoor(t)
	d.held = make(chan struct{})
	got := make(chan string, 1000)
	for i := range cap(got) {
		go func() { got <- d.knock(office, "alice", fmt.Sprint("guess", i), 0) }()
	}
	outcomes := map[string]int{}
	for range cap(got) - accountPace.burst {
		outcomes[<-got]++
	}
	close(d.held)
	for range accountPace.burst {
		outcomes[<-got]++
	}
	if diff := cmp.Diff(map[string]int{"bad": 10, "limited": 990}, outcomes); diff != "" || d.hashes() != accountPace.burst {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestWhoIsNotKeptOut has an attacker who guesses at alice's password, and says of everybody else whether they get in.
func TestWhoIsNotKeptOut(t *testing.T) {
	type login struct {
		Source, User, Password string
		After                  time.Duration
	}
	cases := map[string]struct {
		reason string
		// before is who got in before the attack; the attack lasts from then to the login.
		before []login
		login  login
		want   string
	}{
		"alice, from another address":    {"an account has no limit of its own: anybody could lock it", nil, login{elsewhere, "alice", "secret", 0}, "in"},
		"alice, remembered, same NAT":    {"nothing has to be checked anew", []login{{office, "alice", "secret", 0}}, login{office, "alice", "secret", 0}, "in"},
		"bob, behind the same NAT":       {"it is not bob's account that was guessed at", nil, login{office, "bob", "secret", 0}, "in"},
		"alice, not remembered":          {"nothing tells her from the attacker", nil, login{office, "alice", "secret", 0}, "limited"},
		"alice, after the pause":         {"it is no lock", nil, login{office, "alice", "secret", 30 * time.Second}, "in"},
		"alice, remembered elsewhere":    {"to the attacker each try would be a guess at what is remembered", []login{{elsewhere, "alice", "secret", 0}}, login{office, "alice", "secret", 0}, "limited"},
		"alice, a wrong password":        {"the attacker must not learn more than that", []login{{office, "alice", "secret", 0}}, login{office, "alice", "secreT", 0}, "limited"},
		"alice, remembered a minute ago": {"what is remembered ends for her, too", []login{{office, "alice", "secret", -time.Minute}}, login{office, "alice", "secret", 0}, "limited"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			for _, l := range tc.before {
				if got := d.knock(l.Source, l.User, l.Password, l.After); got != "in" {
					t.Fatalf("before the attack: %s", got)
				}
			}
			d.guess(office, "alice", 60, 0)
			if diff := cmp.Diff(tc.want, d.knock(tc.login.Source, tc.login.User, tc.login.Password, tc.login.After)); diff != "" {
				t.Errorf("%s -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestOneGuessForEachOfManyAccounts is the attacker who tries a frequent password for everybody.
func TestOneGuessForEachOfManyAccounts(t *testing.T) {
	d := newDoor(t)
	spray := func(after time.Duration) map[string]int {
		got := map[string]int{}
		for i := range 500 {
			got[d.knock(office, fmt.Sprint("user", i), "123456"+after.String(), after)]++
		}
		return got
	}
	if got := d.knock(office, "bob", "secret", -time.Hour); got != "in" {
		t.Fatal(got)
	}
	if diff := cmp.Diff(map[string]int{"bad": 100, "limited": 400}, spray(0)); diff != "" {
		t.Errorf("at once -want +got:\n%s", diff)
	}
	got := map[string]string{
		"bob, who got in an hour ago": d.knock(office, "bob", "secret", 0),
		"carol, who never did":        d.knock(office, "carol", "secret", 0),
		"carol, from elsewhere":       d.knock(elsewhere, "carol", "secret", 0),
		"carol, in three seconds":     d.knock(office, "carol", "secret", 3*time.Second),
	}
	want := map[string]string{
		"bob, who got in an hour ago": "in", "carol, who never did": "limited", "carol, from elsewhere": "in", "carol, in three seconds": "in",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"bad": 21, "limited": 479}, spray(63*time.Second)); diff != "" {
		t.Errorf("a minute later -want +got:\n%s", diff)
	}
}

// TestWhatIsRememberedIsNoOracle is the attacker who shares alice's address, and guesses at what is remembered of her,
// which costs no hash. Without a bound the only limit would be HTTP's.
func TestWhatIsRememberedIsNoOracle(t *testing.T) {
	cases := map[string]struct {
		reason string
		// exhaust brings the attacker to the bound that keeps passwords from being checked.
		exhaust func(*door)
	}{
		"guesses at her account": {"the account is at its bound", func(d *door) { d.guess(office, "alice", accountPace.burst, 0) }},
		"guesses at others before her": {"her account is not, but the address is", func(d *door) {
			d.passwords.tries.known = newMemory[struct{}](1)
			for i := range originPace.burst {
				d.knock(office, fmt.Sprint("user", i), "123456", 0)
			}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			d.knock(office, "alice", "secret", 0)
			tc.exhaust(d)
			if got := d.knock(office, "alice", "secret", time.Second); got != "in" {
				t.Fatalf("%s: alice, remembered: %s", tc.reason, got)
			}
			if diff := cmp.Diff(map[string]int{"limited": 1000}, d.guess(office, "alice", 1000, time.Second)); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			got := []string{d.knock(office, "alice", "secret", time.Second), d.knock(office, "alice", "secret", 7*time.Second), d.knock(office, "bob", "secret", 7*time.Second)}
			if diff := cmp.Diff([]string{"limited", "in", "in"}, got); diff != "" {
				t.Errorf("%s: the right guess after a thousand, alice and bob seconds later -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestFullPlacesAreNoOracle has an attacker keep the only processor and all its own places busy: the tries that are
// turned away meanwhile are guesses at what is remembered, and count.
func TestFullPlacesAreNoOracle(t *testing.T) {
	d := newDoor(t)
	d.knock(elsewhere, "alice", "secret", 0)
	d.passwords.turns.mu.Lock()
	d.passwords.turns.free = 0
	d.passwords.turns.mu.Unlock()
	for range maxWaitingOfOne {
		if _, err := d.passwords.turns.join(at(office)); err != nil {
			t.Fatal(err)
		}
	}
	d.guess(office, "alice", 1000, 0)
	if diff := cmp.Diff("limited", d.knock(office, "alice", "secret", 0)); diff != "" {
		t.Errorf("the right guess after a thousand -want +got:\n%s", diff)
	}
}

func TestAWrongPasswordAgainCountsOnce(t *testing.T) {
	d := newDoor(t)
	// containerd: POST, then GET with the same.
	got := []string{d.knock(office, "alice", "old", 0), d.knock(office, "alice", "old", time.Second)}
	if diff := cmp.Diff([]string{"bad", "bad"}, got); diff != "" || d.hashes() != 1 {
		t.Fatalf("-want +got:\n%s", diff)
	}
	// A job with an old password, every ten seconds for an hour: it costs a hash a minute, and alice gets in.
	for after := 10 * time.Second; after < time.Hour; after += 10 * time.Second {
		if got := d.knock(office, "alice", "old", after); got != "bad" {
			t.Fatalf("after %s: %s", after, got)
		}
	}
	if n := d.hashes(); n > 60 {
		t.Errorf("%d hashes in an hour", n)
	}
	if got := d.knock(office, "alice", "secret", time.Hour); got != "in" {
		t.Errorf("alice: %s", got)
	}
}

// TestAWrongPasswordByManyAtOnceCountsOnce is the client with an old password that fetches many layers, and the one of its requests
// that looked before the answer to the others was remembered, and gets its turn after that.
func TestAWrongPasswordByManyAtOnceCountsOnce(t *testing.T) {
	d := newDoor(t)
	p := d.passwords
	l := login{file: d.from.Providers[0].Htpasswd, user: "alice", password: "old", now: noon}
	of, same := try{account: p.seal.of("alice")}, p.seal.of("same")
	for range 2 {
		if right, err := p.compare(context.Background(), l, of, same); right || err != nil {
			t.Error(right, err)
		}
	}
	if n := d.hashes(); n != 1 {
		t.Errorf("%d hashes, want 1", n)
	}
}

// TestWhatWasRefusedIsNotToldToOthers holds that nobody finds out, by the time that an answer takes, what somebody else
// mistyped.
func TestWhatWasRefusedIsNotToldToOthers(t *testing.T) {
	d := newDoor(t)
	d.knock(office, "alice", "secet", 0)
	d.knock(elsewhere, "alice", "secet", 0)
	if n := d.hashes(); n != 2 {
		t.Errorf("%d hashes, want one for each address", n)
	}
}

func TestARefusedPasswordThatBecameRightIsAccepted(t *testing.T) {
	d := newDoor(t)
	if got := d.knock(office, "alice", "new", 0); got != "bad" {
		t.Fatal(got)
	}
	changed := users("plain", "", map[string][]byte{"alice": hashOf(t, "new", bcrypt.MinCost)}, nil)
	changed.SecretVersion = "2"
	d.from = snapshot.Build(snapshot.Input{Providers: []*provider.Provider{changed}})
	if got := d.knock(office, "alice", "new", 0); got != "in" {
		t.Errorf("got %s", got)
	}
}

// TestAPasswordThatChangesWhileItIsCheckedIsNotRemembered is the race of a check with the change of the Secret: what was
// right by the old file is remembered for the old file only.
func TestAPasswordThatChangesWhileItIsCheckedIsNotRemembered(t *testing.T) {
	d := newDoor(t)
	d.held = make(chan struct{})
	before := d.from
	got := make(chan string)
	go func() {
		c := Credentials{Username: "alice", Password: "secret", Present: true, Source: netip.MustParseAddr(office)}
		_, err := d.Authenticate(context.Background(), before, c, noon)
		got <- outcome(err)
	}()
	until(t, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.hashed) == 1 })
	changed := users("plain", "", map[string][]byte{"alice": hashOf(t, "new", bcrypt.MinCost)}, nil)
	changed.SecretVersion = "2"
	d.from = snapshot.Build(snapshot.Input{Providers: []*provider.Provider{changed}})
	close(d.held)
	if by := <-got; by != "in" {
		t.Fatalf("by the snapshot that the request began with: %s", by)
	}
	if diff := cmp.Diff("bad", d.knock(office, "alice", "secret", 0)); diff != "" {
		t.Errorf("by the next -want +got:\n%s", diff)
	}
}

func TestWhoNeedsNoPasswordIsNeverLimited(t *testing.T) {
	d := newDoor(t)
	cluster := newFakeCluster(t)
	d.accounts = newAccounts(Options{Cluster: cluster})
	account := verifiedBy("Offline").Providers
	d.from = snapshot.Build(snapshot.Input{Providers: append(account, d.from.Providers...)})
	for i := range 200 {
		d.knock(office, fmt.Sprint("user", i), "123456", 0)
	}
	token := withToken(cluster.token(t, nil))
	token.Source = netip.MustParseAddr(office)
	for name, c := range map[string]Credentials{"anonymous": {Source: token.Source}, "a token": token} {
		if _, err := d.Authenticate(context.Background(), d.from, c, noon); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnotherAddressWaitsForFewHashes has one address send a thousand junk logins at once. Then others come, and what is
// counted is how many hashes are made before theirs.
func TestAnotherAddressWaitsForFewHashes(t *testing.T) {
	d := newDoor(t)
	d.held = make(chan struct{})
	var all sync.WaitGroup
	var turnedAway atomic.Int64
	for i := range 1000 {
		all.Go(func() {
			if d.knock(elsewhere, fmt.Sprint("junk", i), "123456", 0) == "limited" {
				turnedAway.Add(1)
			}
		})
	}
	queue := d.passwords.turns
	until(t, func() bool { return turnedAway.Load() == 1000-maxWaitingOfOne-1 })
	got := make(chan string, 2)
	go func() { got <- d.knock(office, "alice", "secret", 0) }()
	until(t, func() bool { return count(queue) == maxWaitingOfOne+1 })
	go func() { got <- d.knock("2001:db8::1", "bob", "secret", 0) }()
	until(t, func() bool { return count(queue) == maxWaitingOfOne+2 })
	close(d.held)
	for range 2 {
		if by := <-got; by != "in" {
			t.Errorf("got %s", by)
		}
	}
	all.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	junk := 0
	for _, login := range d.hashed {
		if strings.HasPrefix(login, "junk") {
			junk++
			continue
		}
		// One is being made when they come, one is next in line; bob is one origin further.
		if junk > 2 {
			t.Errorf("%d hashes for junk came before that of %s", junk, login)
		}
	}
	if junk != maxWaitingOfOne+1 {
		t.Errorf("%d hashes for junk, want those that had a place", junk)
	}
}

// TestEqualLoginsFromManyAddressesAreHashedOnce is the cluster whose nodes all begin to pull at once, as the same user.
func TestEqualLoginsFromManyAddressesAreHashedOnce(t *testing.T) {
	d := newDoor(t)
	d.held = make(chan struct{})
	got := make(chan string, 100)
	for i := range cap(got) {
		go func() { got <- d.knock(fmt.Sprint("192.0.2.", i), "alice", "secret", 0) }()
	}
	until(t, func() bool { return count(d.passwords.turns) == cap(got)-1 })
	close(d.held)
	for range cap(got) {
		if by := <-got; by != "in" {
			t.Errorf("got %s", by)
		}
	}
	if n := d.hashes(); n != 1 {
		t.Errorf("%d hashes", n)
	}
}

// TestMemoryOfFailuresIsBounded has an attacker with very many networks.
func TestMemoryOfFailuresIsBounded(t *testing.T) {
	d := newDoor(t)
	d.passwords.matches = func(*provider.Htpasswd, string, string) bool { return false }
	network := netip.MustParseAddr("2001:db8::1").As16()
	for i := range maxTries + 5000 {
		network[4], network[5], network[6] = byte(i>>16), byte(i>>8), byte(i)
		d.knock(netip.AddrFrom16(network).String(), "alice", "guess", 0)
	}
	tr := d.passwords.tries
	got := []int{len(tr.accounts.at), len(tr.origins.at), len(d.passwords.refused.entries)}
	if diff := cmp.Diff([]int{maxTries, maxTries, maxRefused}, got); diff != "" {
		t.Errorf("accounts, origins, refused (-want +got):\n%s", diff)
	}
	if by := d.knock(office, "alice", "secret", 0); by != "bad" { // as all are here: it was looked at
		t.Errorf("alice from her own address: %s", by)
	}
}
