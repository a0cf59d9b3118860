package identity

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

func hashOf(t *testing.T, password string, cost int) []byte {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func users(name, prefix string, hashes map[string][]byte, groups map[string][]string) *provider.Provider {
	return &provider.Provider{
		Name: name, UID: "uid-" + name, Generation: 1, Prefix: prefix, SecretVersion: "1",
		Htpasswd: &provider.Htpasswd{Hashes: hashes, Groups: groups, Cost: bcrypt.MinCost},
	}
}

func TestAuthenticateUser(t *testing.T) {
	secret := hashOf(t, "secret", bcrypt.MinCost)
	long := strings.Repeat("x", maxPassword)
	full := snapshot.Build(snapshot.Input{
		Providers: []*provider.Provider{
			users("plain", "", map[string][]byte{
				"alice": secret, "corp-alice": hashOf(t, "mine", bcrypt.MinCost), "long": hashOf(t, long, bcrypt.MinCost),
				"empty": hashOf(t, "", bcrypt.MinCost), "lab-eve": secret, "dots": hashOf(t, "a.b.c", bcrypt.MinCost),
				"system:serviceaccount:ci:builder": secret, "zero": hashOf(t, "a", bcrypt.MinCost),
			}, map[string][]string{"alice": {"corp-admins", "devs", "system:masters"}}),
			users("corp", "corp-", map[string][]byte{"alice": secret}, map[string][]string{"alice": {"corp-admins"}}),
		},
		Prefixes: []string{"", "corp-", "lab-"},
	})
	as := func(username, provider string, groups ...string) caller.Caller {
		return caller.Caller{Username: username, Provider: provider, Method: caller.MethodPassword, AuthTime: noon,
			Groups: append(groups, caller.GroupAuthenticated)}
	}
	cases := map[string]struct {
		reason   string
		from     *snapshot.Snapshot
		username string
		password string
		want     caller.Caller
		outcome  string
	}{
		"a user with the right password": {
			reason:   "A group of another provider's prefix or of Kubernetes' own is not this provider's to give.",
			username: "alice", password: "secret", want: as("alice", "plain", "devs"), outcome: "in",
		},
		"a user of a provider with a prefix": {
			reason:   "The client gives the name as policies spell it.",
			username: "corp-alice", password: "secret", want: as("corp-alice", "corp", "corp-admins"), outcome: "in",
		},
		"a name that looks like another provider's": {
			reason:   "The unprefixed provider has a user corp-alice; the name belongs to the provider with the prefix.",
			username: "corp-alice", password: "mine", outcome: "bad",
		},
		"a name of a provider that cannot serve": {
			reason:   "The unprefixed provider must not answer in its place.",
			username: "lab-eve", password: "secret", outcome: "unavailable",
		},
		"the prefix given twice":   {reason: "It is taken off once.", username: "corp-corp-alice", password: "secret", outcome: "bad"},
		"the prefix alone":         {reason: "Nobody has the empty name.", username: "corp-", password: "secret", outcome: "bad"},
		"a wrong password":         {reason: "It is wrong.", username: "alice", password: "Secret", outcome: "bad"},
		"an unknown user":          {reason: "Nobody knows them.", username: "mallory", password: "secret", outcome: "bad"},
		"no user name":             {reason: "Nobody has the empty name.", username: "", password: "secret", outcome: "bad"},
		"another user's case":      {reason: "Names are compared as they are.", username: "Alice", password: "secret", outcome: "bad"},
		"the hash as the password": {reason: "alauda/registry-auth compares the two; a leaked file must not be a list of passwords.", username: "alice", password: string(secret), outcome: "bad"},
		"an empty password":        {reason: "Even if somebody hashed one.", username: "empty", password: "", outcome: "bad"},
		"72 bytes":                 {reason: "bcrypt's own limit.", username: "long", password: long, want: as("long", "plain"), outcome: "in"},
		"73 bytes":                 {reason: "bcrypt would cut the last off.", username: "long", password: long + "y", outcome: "bad"},
		"a megabyte":               {reason: "The length is looked at first.", username: "alice", password: strings.Repeat("x", 1<<20), outcome: "bad"},
		"a zero byte":              {reason: "bcrypt repeats the password with zero bytes between: a and a\\0a are one.", username: "zero", password: "a\x00a", outcome: "bad"},
		"a short password with two dots": {
			reason:   "It is too short to be a token.",
			username: "dots", password: "a.b.c", want: as("dots", "plain"), outcome: "in",
		},
		"a name of Kubernetes' own, if a compiler ever let one in": {
			reason:   "So much hangs on it that it is asked twice.",
			username: "system:serviceaccount:ci:builder", password: "secret", outcome: "bad",
		},
		"no provider at all": {reason: "Nobody can be known.", from: snapshot.Build(snapshot.Input{}), username: "alice", password: "secret", outcome: "bad"},
	}
	a := New(Options{})
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			from := tc.from
			if from == nil {
				from = full
			}
			got, err := a.Authenticate(context.Background(), from, Credentials{Username: tc.username, Password: tc.password, Present: true}, noon)
			if diff := cmp.Diff(tc.outcome, outcome(err)); diff != "" {
				t.Errorf("%s\noutcome -want +got:\n%s\n%v", tc.reason, diff, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\ncaller -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestWithoutCredentialsTheCallerIsAnonymous(t *testing.T) {
	got, err := New(Options{}).Authenticate(context.Background(), new(snapshot.Holder).Load(), Credentials{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(caller.Anonymous(), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestErrorsDoNotQuoteCredentials(t *testing.T) {
	s := snapshot.Build(snapshot.Input{Providers: []*provider.Provider{users("plain", "", nil, nil)}})
	token := strings.Repeat("hunter2", 20) + ".hunter2.hunter2"
	for _, password := range []string{"hunter2", strings.Repeat("hunter2", 20), token} {
		_, err := New(Options{}).Authenticate(context.Background(), s, Credentials{Username: "hunter2", Password: password, Present: true}, noon)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got the error %v", err)
		}
	}
}

func TestARightPasswordIsRememberedOnlyForWhatItWasProvedFor(t *testing.T) {
	right := hashOf(t, "secret", bcrypt.MinCost)
	other := hashOf(t, "changed", bcrypt.MinCost)
	type args struct {
		edit     func(*provider.Provider)
		password string
		later    time.Duration
	}
	cases := map[string]struct {
		reason string
		args   args
		want   string
	}{
		// The file is changed without its version, so that only what is remembered can let the caller in.
		"the same again":             {"It is remembered.", args{func(*provider.Provider) {}, "secret", 0}, "in"},
		"a minute later":             {"It is remembered for a minute.", args{func(*provider.Provider) {}, "secret", time.Minute}, "bad"},
		"another password":           {"Only the right one is remembered.", args{func(*provider.Provider) {}, "secre", 0}, "bad"},
		"another Secret":             {"A changed password counts at once.", args{func(p *provider.Provider) { p.SecretVersion = "2" }, "secret", 0}, "bad"},
		"another generation":         {"A changed provider counts at once.", args{func(p *provider.Provider) { p.Generation = 2 }, "secret", 0}, "bad"},
		"another provider, one name": {"A provider that was deleted and made anew is another.", args{func(p *provider.Provider) { p.UID = "other" }, "secret", 0}, "bad"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := New(Options{})
			ask := func(p *provider.Provider, password string, now time.Time) error {
				s := snapshot.Build(snapshot.Input{Providers: []*provider.Provider{p}})
				_, err := a.Authenticate(context.Background(), s, Credentials{Username: "alice", Password: password, Present: true}, now)
				return err
			}
			if err := ask(users("plain", "", map[string][]byte{"alice": right}, nil), "secret", noon); err != nil {
				t.Fatal(err)
			}
			after := users("plain", "", map[string][]byte{"alice": other}, nil)
			tc.args.edit(after)
			if diff := cmp.Diff(tc.want, outcome(ask(after, tc.args.password, noon.Add(tc.args.later)))); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestADeletedProviderIsNotTrustedThoughItsUsersAreRemembered(t *testing.T) {
	a := New(Options{})
	with := snapshot.Build(snapshot.Input{Providers: []*provider.Provider{
		users("plain", "", map[string][]byte{"alice": hashOf(t, "secret", bcrypt.MinCost)}, nil)}})
	alice := Credentials{Username: "alice", Password: "secret", Present: true}
	if _, err := a.Authenticate(context.Background(), with, alice, noon); err != nil {
		t.Fatal(err)
	}
	_, err := a.Authenticate(context.Background(), snapshot.Build(snapshot.Input{}), alice, noon)
	if diff := cmp.Diff("bad", outcome(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnUnknownUserCostsAsMuchAsAKnownOne(t *testing.T) {
	const most = 9 // 32 times the work of the least, so that no noise hides a difference
	file := &provider.Htpasswd{Cost: most, Hashes: map[string][]byte{
		"slow": hashOf(t, "secret", most), "fast": hashOf(t, "secret", bcrypt.MinCost),
	}}
	// In turn, so that the noise of the machine meets all of them.
	best := map[string]time.Duration{"slow": time.Hour, "fast": time.Hour, "nobody": time.Hour}
	for range 10 {
		for user, least := range best {
			began := time.Now()
			if matches(file, user, "wrong") {
				t.Fatal("a wrong password was accepted")
			}
			best[user] = min(least, time.Since(began))
		}
	}
	for user, took := range best {
		if slow := best["slow"]; took < slow/2 || took > slow*2 {
			t.Errorf("user %s took %s, user slow %s", user, took, slow)
		}
	}
}

// TestAFullQueueTellsNothingOfPasswords holds that whoever cannot be checked is neither let in nor refused: a 401 would
// tell clients to forget a password that is right, and a difference would tell which users exist.
func TestAFullQueueTellsNothingOfPasswords(t *testing.T) {
	s := snapshot.Build(snapshot.Input{Providers: []*provider.Provider{
		users("plain", "", map[string][]byte{"alice": hashOf(t, "secret", bcrypt.MinCost)}, nil)}})
	for name, fill := range map[string]func(*turns){
		"too many wait": func(q *turns) { q.free = 0; crowd(t, q, maxWaiting) },
		"all places taken until the client gives up": func(q *turns) { q.free = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			a := New(Options{PasswordChecks: 1})
			fill(a.passwords.turns)
			got := map[string]string{}
			for _, c := range []Credentials{
				{Username: "alice", Password: "secret", Present: true},
				{Username: "alice", Password: "wrong", Present: true},
				{Username: "nobody", Password: "wrong", Present: true},
			} {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				_, err := a.Authenticate(ctx, s, c, noon)
				cancel()
				got[c.Username+" "+c.Password] = outcome(err)
			}
			want := map[string]string{"alice secret": "unavailable", "alice wrong": "unavailable", "nobody wrong": "unavailable"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
