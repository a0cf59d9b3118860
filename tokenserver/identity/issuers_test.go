package identity

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// fetch fetches the keys of a provider now, whenever that was last done.
func fetch(a *Authenticator, s *snapshot.Snapshot) {
	known := a.issuers.of(s.Providers[0])
	known.keys.mu.Lock()
	attempted := known.keys.attempted
	known.keys.mu.Unlock()
	<-known.keys.begin(context.Background(), attempted, time.Now())
}

func TestIssuerThatIsDown(t *testing.T) {
	i, neighbour := issuer.New(t), issuer.New(t)
	s := trusting(t, i.Provider("", "a", "a:", nil), neighbour.Provider("", "b", "b:", nil))
	a := New(Options{})
	token := i.Token(t, i.GitHub(nil))
	expect := func(when, want, token string) {
		t.Helper()
		if diff := cmp.Diff(want, outcome(second(prove(a, s, token)))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", when, diff)
		}
	}
	i.Down(true)
	expect("down at start", "unavailable", token)
	expect("down, asked again at once", "unavailable", token)
	expect("the neighbour meanwhile", "in", neighbour.Token(t, neighbour.GitHub(nil)))

	i.Down(false)
	fetch(a, s)
	expect("back", "in", token)

	i.Down(true)
	fetch(a, s)
	expect("down again, with the keys known", "in", i.Token(t, i.GitHub(map[string]any{"jti": "2"})))
	i.Rotate(t, jose.ES256)
	expect("down again, with a new key", "unavailable", i.Token(t, i.GitHub(nil)))
}

// TestIssuersAreCounted has a provider whose issuer goes away, one that changes, and one that is deleted.
func TestIssuersAreCounted(t *testing.T) {
	i, neighbour := issuer.New(t), issuer.New(t)
	one, other := i.Provider("", "a", "a:", nil), neighbour.Provider("", "b", "b:", nil)
	s := trusting(t, one, other)
	a := New(Options{})
	if got := a.Issuers(); got != nil {
		t.Errorf("nobody was asked for, and there is %v", got)
	}
	expect := func(when string, want ...metrics.Issuer) {
		t.Helper()
		got := a.Issuers()
		for n := range got {
			if got[n].Fetched.IsZero() == (got[n].Fetches > 0) {
				t.Errorf("%s: fetched at %v", when, got[n].Fetched)
			}
			got[n].Fetched = time.Time{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	fetch(a, s)
	expect("one was asked", metrics.Issuer{Provider: "a", Fetches: 1})
	i.Down(true)
	fetch(a, s)
	expect("it is down", metrics.Issuer{Provider: "a", Fetches: 1, Failures: 1})
	one.Generation++
	changed := trusting(t, one, other)
	i.Down(false)
	fetch(a, changed)
	expect("two versions are known", metrics.Issuer{Provider: "a", Fetches: 2, Failures: 1})
	known := a.issuers.of(changed.Providers[1])
	<-known.keys.begin(context.Background(), time.Time{}, time.Now())
	expect("the other one, too", metrics.Issuer{Provider: "a", Fetches: 2, Failures: 1}, metrics.Issuer{Provider: "b", Fetches: 1})
	a.issuers.keep(t.Context(), changed, time.Now())
	expect("the older version is forgotten", metrics.Issuer{Provider: "a", Fetches: 1}, metrics.Issuer{Provider: "b", Fetches: 1})
	a.issuers.keep(t.Context(), trusting(t, other), time.Now())
	expect("a provider was deleted", metrics.Issuer{Provider: "b", Fetches: 1})
}

// TestNobodyWaitsForAnIssuerThatHangs has an issuer that takes connections and never answers: tokens that nobody can verify
// must not pile up before it.
func TestNobodyWaitsForAnIssuerThatHangs(t *testing.T) {
	i := issuer.New(t)
	s := trusting(t, i.Provider("", "a", "a:", nil))
	a := New(Options{})
	known := a.issuers.of(s.Providers[0])
	hangs := make(chan struct{}, 1)
	known.keys.get = func(ctx context.Context) (string, map[string][]jose.JSONWebKey, error) {
		hangs <- struct{}{}
		<-ctx.Done()
		return "", nil, ctx.Err()
	}
	known.keys.timeout = time.Millisecond
	fetch(a, s)
	<-hangs
	known.keys.timeout, known.keys.retry = time.Hour, 0
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for n := range 100 {
		_, err := a.Authenticate(ctx, s, withToken(i.Token(t, i.GitHub(nil))), time.Now())
		if outcome(err) != "unavailable" || ctx.Err() != nil {
			t.Fatalf("token %d: %v; want at once that nothing can tell", n, err)
		}
	}
	<-hangs // somebody looks again all the same
}

// TestKeysAreNotTrustedForEver has somebody who keeps the server from the issuer: a key that was withdrawn must end.
func TestKeysAreNotTrustedForEver(t *testing.T) {
	i := issuer.New(t)
	s := trusting(t, i.Provider("", "a", "a:", nil))
	a := New(Options{})
	now := time.Now()
	fetch(a, s)
	i.Down(true)
	known := a.issuers.of(s.Providers[0])
	find := func(at time.Time) string {
		_, err := known.find(context.Background(), i.Key().KeyID, at)
		if err == nil {
			return "in"
		}
		return err.Error()
	}
	if diff := cmp.Diff("in", find(now.Add(issuerTrusted))); diff != "" {
		t.Errorf("within the time: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(errOldKeys.Error(), find(now.Add(issuerTrusted+time.Minute))); diff != "" {
		t.Errorf("after it: -want +got:\n%s", diff)
	}
	i.Down(false)
	back := now.Add(issuerTrusted + 2*time.Minute)
	for deadline := time.Now().Add(20 * time.Second); find(back) != "in"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("with the issuer back: %s", find(back))
		}
		back = back.Add(issuerRetry)
	}
}

func TestIssuerRotatesItsKeys(t *testing.T) {
	i := issuer.New(t)
	s := trusting(t, i.Provider("", "a", "a:", nil))
	a := New(Options{})
	old := i.Token(t, i.GitHub(nil))
	expect := func(when, want, token string) {
		t.Helper()
		if diff := cmp.Diff(want, outcome(second(prove(a, s, token)))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", when, diff)
		}
	}
	expect("before", "in", old)
	i.Rotate(t, jose.PS256)
	fetch(a, s)
	expect("the new key", "in", i.Token(t, i.GitHub(nil)))
	expect("the old key, which is still published", "in", i.Token(t, i.GitHub(map[string]any{"jti": "2"})))
	i.Withdraw()
	fetch(a, s)
	unremembered := New(Options{})
	if diff := cmp.Diff("bad", outcome(second(prove(unremembered, s, old)))); diff != "" {
		t.Errorf("the old key, which was withdrawn: -want +got:\n%s", diff)
	}
}

// TestNewKeyIsFoundByItsFirstToken shows that nobody has to wait for the next look where the last is long ago.
func TestNewKeyIsFoundByItsFirstToken(t *testing.T) {
	i := issuer.New(t)
	s := trusting(t, i.Provider("", "a", "a:", nil))
	a := New(Options{})
	known := a.issuers.of(s.Providers[0])
	<-known.keys.begin(context.Background(), time.Time{}, time.Now().Add(-keysCooldown))
	i.Rotate(t, jose.ES384)
	if _, err := prove(a, s, i.Token(t, i.GitHub(nil))); err != nil {
		t.Error(err)
	}
}

func TestOnlyKeyNeedsNoName(t *testing.T) {
	i := issuer.New(t)
	s := trusting(t, i.Provider("", "a", "a:", nil))
	key := i.Key()
	if _, err := prove(New(Options{}), s, issuer.Sign(t, jose.ES256, key.Key, "", i.GitHub(nil), nil)); err != nil {
		t.Errorf("a token that names no key: %v", err)
	}
	key.KeyID = ""
	document, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	i.Publish(document)
	if _, err := prove(New(Options{}), s, issuer.Sign(t, jose.ES256, key.Key, "", i.GitHub(nil), nil)); err != nil {
		t.Errorf("a key without a name: %v", err)
	}
}

// TestProviderThatIsGoneIsNotTrusted has tokens that were proved a moment ago.
func TestProviderThatIsGoneIsNotTrusted(t *testing.T) {
	i := issuer.New(t)
	object := i.Provider("", "a", "a:", nil)
	edited := func(edit func(*v1alpha1.IdentityProvider)) *snapshot.Snapshot {
		changed := object.DeepCopy()
		edit(changed)
		return trusting(t, changed)
	}
	rule := func(o *v1alpha1.IdentityProvider) {
		o.Spec.JWT.ClaimValidationRules = []v1alpha1.ClaimValidationRule{{Claim: "event_name", RequiredValue: "schedule"}}
	}
	cases := map[string]struct {
		reason string
		args   *snapshot.Snapshot
		want   string
	}{
		"deleted": {"Nobody vouches any more.", trusting(t), "bad"},
		"changed": {"The token does not fulfil the new rule.", edited(func(o *v1alpha1.IdentityProvider) {
			o.Generation++
			rule(o)
		}), "bad"},
		"made anew": {"It is another one, whatever its name.", edited(func(o *v1alpha1.IdentityProvider) {
			o.UID = "another"
			rule(o)
		}), "bad"},
		"changed in a file": {"Files have neither generation nor uid.", edited(rule), "bad"},
		"for others": {"The audience is no longer ours.", edited(func(o *v1alpha1.IdentityProvider) {
			o.Spec.JWT.Issuer.Audiences = []v1alpha1.Audience{"other"}
		}), "bad"},
		"read again":       {"Nothing has changed.", trusting(t, object), "in"},
		"of another name":  {"It is another provider of the same issuer.", edited(func(o *v1alpha1.IdentityProvider) { o.Name = "b" }), "in"},
		"of other numbers": {"A generation that changed nothing.", edited(func(o *v1alpha1.IdentityProvider) { o.Generation++ }), "in"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := New(Options{})
			token := i.Token(t, i.GitHub(nil))
			if _, err := prove(a, trusting(t, object), token); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, outcome(second(prove(a, tc.args, token)))); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestGoodTokenIsRememberedUntilItExpires looks into the memory: the library has no clock that could be set.
func TestGoodTokenIsRememberedUntilItExpires(t *testing.T) {
	i := issuer.New(t)
	s := trusting(t, i.Provider("", "a", "a:", nil))
	for name, tc := range map[string]struct {
		reason string
		life   time.Duration
		most   time.Duration
	}{
		"a short one": {"Never past its expiry.", 20 * time.Second, 20 * time.Second},
		"a long one":  {"Never for longer than a minute.", time.Hour, tokenProvedFor},
	} {
		t.Run(name, func(t *testing.T) {
			a, began := New(Options{}), time.Now()
			if _, err := prove(a, s, i.Token(t, i.GitHub(map[string]any{"exp": began.Add(tc.life).Unix()}))); err != nil {
				t.Fatal(err)
			}
			if len(a.issuers.proved.entries) != 1 {
				t.Fatalf("%d tokens are remembered, want 1", len(a.issuers.proved.entries))
			}
			for _, entry := range a.issuers.proved.entries {
				if most := time.Now().Add(tc.most); entry.until.After(most) || entry.until.Before(began.Add(tc.most-2*time.Second)) {
					t.Errorf("%s\nremembered until %v, want until about %v", tc.reason, entry.until, most)
				}
			}
		})
	}
}

func TestProviderThatCannotBeUsedAnswersNothing(t *testing.T) {
	i := issuer.New(t)
	for name, tc := range map[string]struct {
		reason string
		args   func(*v1alpha1.JWTProvider)
	}{
		"an expression that does not compile": {"Nobody can be mapped.", func(s *v1alpha1.JWTProvider) {
			s.ClaimMappings.Username = v1alpha1.ClaimOrExpression{Expression: "claims."}
		}},
		"a certificate that cannot be read": {"Nobody can be asked.", func(s *v1alpha1.JWTProvider) { s.Issuer.CertificateAuthority = "x" }},
		"a certificate of another":          {"It is not the issuer.", func(s *v1alpha1.JWTProvider) { s.Issuer.CertificateAuthority = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff("unavailable", outcome(second(prove(New(Options{}), trusting(t, i.Provider("", "a", "a:", tc.args)), i.Token(t, i.GitHub(nil)))))); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestKeysOfIssuersAreKept(t *testing.T) {
	i, down := issuer.New(t), issuer.New(t)
	down.Down(true)
	s := trusting(t, down.Provider("", "a", "a:", nil), i.Provider("", "b", "b:", nil))
	a := New(Options{})
	keeping(t, a, s)
	known := func(p *provider.Provider) bool { return a.issuers.of(p).keys.last().byID != nil }
	for deadline := time.Now().Add(10 * time.Second); !known(s.Providers[1]); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody fetched the keys")
		}
	}
	i.Down(true)
	if _, err := prove(a, s, i.Token(t, i.GitHub(nil))); err != nil {
		t.Errorf("the first token of a server whose issuer has gone away: %v", err)
	}
	down.Down(false)
	for deadline := time.Now().Add(20 * time.Second); !known(s.Providers[0]); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody tried again")
		}
	}
}

func TestIssuersThatNobodyNamesAreForgotten(t *testing.T) {
	i := issuer.New(t)
	a := New(Options{})
	if _, err := prove(a, trusting(t, i.Provider("", "a", "a:", nil)), i.Token(t, i.GitHub(nil))); err != nil {
		t.Fatal(err)
	}
	a.issuers.keep(context.Background(), trusting(t), time.Now())
	if len(a.issuers.known) != 0 {
		t.Errorf("%d issuers are kept that no provider names", len(a.issuers.known))
	}
}
