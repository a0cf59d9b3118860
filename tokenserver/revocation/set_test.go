package revocation

import (
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// noon is the time until which the tests revoke.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func ofToken(id string) v1alpha1.TokenRevocationSpec {
	return v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: id}}
}

func ofSubject(username, audience string, before time.Time) v1alpha1.TokenRevocationSpec {
	return v1alpha1.TokenRevocationSpec{Subject: &v1alpha1.RevokedSubject{
		Username: username, Audience: v1alpha1.Audience(audience), IssuedBefore: v1alpha1.NewDateTime(before),
	}}
}

func TestSubjectsAreRevokedUntilATime(t *testing.T) {
	cases := map[string]struct {
		reason             string
		username, audience string
		at                 time.Time
		subject, record    bool
	}{
		"issued long before":                 {"it is what was meant", "alice", "a", noon.Add(-time.Hour), true, true},
		"issued at that second":              {"fractions were cut off", "alice", "a", noon, true, true},
		"issued a second later":              {"the clocks of servers differ, that of records does not", "alice", "a", noon.Add(time.Second), true, false},
		"issued at the end of the leeway":    {"the last that is revoked", "alice", "a", noon.Add(Leeway), true, false},
		"issued after the leeway":            {"it is a new token", "alice", "a", noon.Add(Leeway + time.Second), false, false},
		"of somebody else":                   {"names are compared whole", "alice2", "a", noon.Add(-time.Hour), false, false},
		"of the same name in another case":   {"names are compared as they are", "Alice", "a", noon.Add(-time.Hour), false, false},
		"of another audience":                {"the revocation names none", "alice", "b", noon.Add(-time.Hour), true, true},
		"of no audience":                     {"the revocation names none", "alice", "", noon.Add(-time.Hour), true, true},
		"bound to the audience":              {"it is the one", "bob", "a", noon, true, true},
		"bound to another audience":          {"the revocation is bounded", "bob", "b", noon, false, false},
		"bound, and the token has none":      {"nobody said that all are revoked", "bob", "", noon, false, false},
		"whose name runs into the audience":  {"name and audience are apart", "bo", "ba", noon, false, false},
		"of a subject without a name":        {"an anonymous caller has no revocations", "", "a", noon, false, false},
		"issued before there was a calendar": {"a token without iat has the zero time", "alice", "a", time.Time{}, true, true},
	}
	var s Set
	s.Put("all", ofSubject("alice", "", noon))
	s.Put("one", ofSubject("bob", "a", noon))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := s.Subject(c.username, c.audience, c.at); got != c.subject {
				t.Errorf("%s: a signed token is revoked: %t, want %t", c.reason, got, c.subject)
			}
			if got := s.Record(c.username, c.audience, c.at); got != c.record {
				t.Errorf("%s: a record is revoked: %t, want %t", c.reason, got, c.record)
			}
		})
	}
}

func TestMintingWaitsUntilWhatIsMintedIsGood(t *testing.T) {
	cases := map[string]struct {
		reason             string
		username, audience string
		now                time.Time
		want               time.Duration
	}{
		"at once":                     {"iat lies a minute back, and the leeway is one", "alice", "a", noon, 121 * time.Second},
		"at once, between seconds":    {"iat is cut off", "alice", "a", noon.Add(900 * time.Millisecond), 121 * time.Second},
		"two minutes later":           {"iat is then the last second that is revoked", "alice", "a", noon.Add(2 * time.Minute), time.Second},
		"when it is good":             {"nothing is to be waited for", "alice", "a", noon.Add(121 * time.Second), 0},
		"a year later":                {"it is forgotten, and holds", "alice", "a", noon.Add(365 * 24 * time.Hour), 0},
		"for somebody else":           {"they may go on", "bob", "a", noon, 0},
		"for an audience of its own":  {"the later of two revocations counts", "carol", "a", noon, 121 * time.Second},
		"for carol's other audiences": {"the earlier one is for all", "carol", "b", noon, 61 * time.Second},
		"for one who is banned":       {"the time lies ahead", "mallory", "a", noon, 24*time.Hour + 121*time.Second},
	}
	var s Set
	s.Put("1", ofSubject("alice", "", noon))
	s.Put("2", ofSubject("carol", "", noon.Add(-time.Minute)))
	s.Put("3", ofSubject("carol", "a", noon))
	s.Put("4", ofSubject("mallory", "", noon.Add(24*time.Hour)))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := s.Minting(c.username, c.audience, c.now); got != c.want {
				t.Errorf("%s: got %s, want %s", c.reason, got, c.want)
			}
			// Whoever waits gets a token that is good.
			minted := c.now.Add(s.Minting(c.username, c.audience, c.now)).Truncate(time.Second).Add(-Backdate)
			if s.Subject(c.username, c.audience, minted) {
				t.Error("what is minted after the wait is revoked")
			}
		})
	}
}

func TestARevocationThatIsNoTimeRevokesForEver(t *testing.T) {
	spec := ofSubject("alice", "", noon)
	spec.Subject.IssuedBefore = "soon"
	var s Set
	s.Put("x", spec)
	if !s.Subject("alice", "a", noon.AddDate(1000, 0, 0)) || s.Minting("alice", "a", noon) < 100*365*24*time.Hour {
		t.Error("it does not hold")
	}
}

// TestDeletingOneRevocationLiftsNoOther has two names for one target, as two people may give.
func TestDeletingOneRevocationLiftsNoOther(t *testing.T) {
	var s Set
	s.Put("a", ofToken("t"))
	s.Put("b", ofToken("t"))
	s.Put("c", ofSubject("alice", "", noon))
	s.Put("d", ofSubject("alice", "", noon))
	for _, name := range []string{"a", "a", "never", "c"} {
		s.Delete(name)
	}
	if !s.Token("t") || !s.Record("alice", "x", noon) {
		t.Error("what another says was lifted")
	}
	s.Delete("b")
	s.Delete("d")
	if s.Token("t") || s.Record("alice", "x", noon) || s.Len() != 0 || len(s.tokens) != 0 || len(s.subjects) != 0 {
		t.Errorf("something is left: %+v", s.objects)
	}
}

// TestAnObjectThatWasMadeAgainSaysSomethingElse is what an informer tells as a change.
func TestAnObjectThatWasMadeAgainSaysSomethingElse(t *testing.T) {
	var s Set
	s.Put("a", ofToken("t"))
	s.Put("a", ofSubject("alice", "", noon))
	if s.Token("t") || !s.Record("alice", "", noon) || s.Len() != 1 || !s.Has("a") || s.Has("b") {
		t.Errorf("it says %+v", s.objects)
	}
}
