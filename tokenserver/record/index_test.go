package record_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/record"
)

func TestLive(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		reason string
		change func(*v1alpha1.IssuedToken)
		revoke v1alpha1.TokenRevocationSpec
		want   bool
	}{
		"a token":                                 {"nothing speaks against it", func(*v1alpha1.IssuedToken) {}, ofToken("another"), true},
		"a token at its end":                      {"the end is not a part of its life", func(t *v1alpha1.IssuedToken) { t.Spec.Expires = v1alpha1.NewDateTime(now) }, ofToken("another"), false},
		"a token whose end no calendar has":       {"the doubt is not for it", func(t *v1alpha1.IssuedToken) { t.Spec.Expires = "2027-02-31T00:00:00Z" }, ofToken("another"), false},
		"a token without an end":                  {"as above", func(t *v1alpha1.IssuedToken) { t.Spec.Expires = "" }, ofToken("another"), false},
		"a token whose record is being deleted":   {"somebody has ended it", func(t *v1alpha1.IssuedToken) { t.DeletionTimestamp = &metav1.Time{Time: now} }, ofToken("another"), false},
		"a token that is revoked":                 {"by its id", func(*v1alpha1.IssuedToken) {}, ofToken("0-1-abcdefghijklmnopqrstuvwxyz"), false},
		"a token whose place was another's":       {"the other was revoked, and had other random bits", func(*v1alpha1.IssuedToken) {}, ofToken("0-1-zzzzzzzzzzzzzzzzzzzzzzzzzz"), true},
		"a token whose subject is revoked":        {"by the second of its creation", func(*v1alpha1.IssuedToken) {}, ofSubject(t.Name(), now), false},
		"a token from after that":                 {"records need no leeway", func(*v1alpha1.IssuedToken) {}, ofSubject(t.Name(), now.Add(-time.Second)), true},
		"a token of another subject":              {"it is another's", func(*v1alpha1.IssuedToken) {}, ofSubject("bob", now), true},
		"a token for an audience that is revoked": {"it is the one", func(*v1alpha1.IssuedToken) {}, at("registry.example.com", ofSubject(t.Name(), now)), false},
		"a token for another audience":            {"it is not the one", func(*v1alpha1.IssuedToken) {}, at("other.example.com", ofSubject(t.Name(), now)), true},
	}
	for name, c := range cases {
		token := refreshToken(t, "docker")
		t.Run(name, func(t *testing.T) {
			x := &record.Index{}
			put(x, token, 1, now)
			token.Spec.Expires = v1alpha1.NewDateTime(now.Add(time.Hour))
			c.change(token)
			x.PutRevocation(&v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: c.revoke})
			if got := x.Live(token, now); got != c.want {
				t.Errorf("%s: got %t", c.reason, got)
			}
			x.DeleteRevocation("r")
			if x.Revoked(token) {
				t.Error("a revocation that is gone holds")
			}
		})
	}
}

func at(audience v1alpha1.Audience, spec v1alpha1.TokenRevocationSpec) v1alpha1.TokenRevocationSpec {
	spec.Subject.Audience = audience
	return spec
}

// TestTheIndexHoldsWhatIsThere puts and deletes whatever comes, and compares with a map.
func TestTheIndexHoldsWhatIsThere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r, want := newIndexed(), map[string]string{}
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			name := fmt.Sprint("token-0-", rapid.IntRange(0, 6).Draw(rt, "place"))
			if rapid.Bool().Draw(rt, "delete?") {
				r.Index().DeleteRecord(name)
				delete(want, name)
				continue
			}
			user := rapid.SampledFrom([]string{"alice", "bob", "carol"}).Draw(rt, "user")
			want[name] = user
			r.Index().PutRecord(&v1alpha1.IssuedToken{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec:       v1alpha1.IssuedTokenSpec{Subject: v1alpha1.RecordedSubject{Username: user}, Expires: "2100-01-01T00:00:00Z"},
			})
		}
		all, bySubject := map[string]string{}, map[string]string{}
		for token := range r.Index().All() {
			all[token.Name] = token.Spec.Subject.Username
		}
		for _, user := range []string{"alice", "bob", "carol"} {
			for _, token := range r.List(user, time.Unix(0, 0)) {
				if _, twice := bySubject[token.Name]; twice {
					rt.Fatalf("%s is listed twice", token.Name)
				}
				bySubject[token.Name] = user
			}
		}
		if diff := cmp.Diff(want, all) + cmp.Diff(want, bySubject); diff != "" || r.Index().Len() != len(want) {
			rt.Fatalf("(-want +got):\n%s", diff)
		}
		for _, name := range slices.Collect(maps.Keys(want)) {
			r.Index().DeleteRecord(name)
		}
		if r.Index().Len() != 0 {
			rt.Fatal("something is left")
		}
	})
}

func newIndexed() *record.Store {
	return record.New(record.Options{Index: &record.Index{}, Now: time.Now})
}
