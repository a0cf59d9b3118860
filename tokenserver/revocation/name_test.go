package revocation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestName(t *testing.T) {
	both := ofToken("t")
	both.Subject = ofSubject("alice", "", noon).Subject
	badTime := ofSubject("alice", "", noon)
	badTime.Subject.IssuedBefore = "2026-02-31T00:00:00Z"
	reasoned := ofToken("0-1-abcdefghijklmnopqrstuvwxyz")
	reasoned.Reason, reasoned.Expires = "lost", "2027-01-01T00:00:00Z"
	cases := map[string]struct {
		reason string
		spec   v1alpha1.TokenRevocationSpec
		want   string
		err    string
	}{
		"a token":                      {"its id", ofToken("abc"), "token-abc", ""},
		"a token, with a reason":       {"reasons and times are no part of the target", reasoned, "token-0-1-abcdefghijklmnopqrstuvwxyz", ""},
		"a subject":                    {"SHA-256 of name and audience, and the time", ofSubject("alice", "", noon), "subject-x7v67chewnuhj3rg6msbfg6sr6-1795694400", ""},
		"a subject in another zone":    {"the same instant", ofSubject("alice", "", noon.In(time.FixedZone("", 3600))), "subject-x7v67chewnuhj3rg6msbfg6sr6-1795694400", ""},
		"a subject with an audience":   {"another target", ofSubject("alice", "a", noon), "subject-4bfmrkxn2uxcnqcoawfnlrosv5-1795694400", ""},
		"nothing":                      {"there is no target", v1alpha1.TokenRevocationSpec{}, "", "expected a token's id, or a subject"},
		"two targets":                  {"which of them?", both, "", "expected a token's id, or a subject"},
		"a token without an id":        {"there is no target", ofToken(""), "", "expected a token's id, or a subject"},
		"a time that no calendar has":  {"who writes one writes it well", badTime, "", "is not a time"},
		"a time before there was Unix": {"a name cannot hold it", ofSubject("alice", "", time.Unix(-1, 0)), "", "after 1970"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Name(c.spec)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatalf("%s: got the error %v, want %q", c.reason, err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if problems := validation.IsDNS1123Subdomain(got); err == nil && len(problems) > 0 {
				t.Errorf("it cannot name an object: %v", problems)
			}
		})
	}
}

func TestSameTarget(t *testing.T) {
	reasoned := ofToken("t")
	reasoned.Reason, reasoned.Expires = "lost", "2027-01-01T00:00:00Z"
	if !SameTarget(ofToken("t"), reasoned) || SameTarget(ofToken("t"), ofToken("u")) ||
		SameTarget(ofSubject("alice", "", noon), ofSubject("alice", "a", noon)) || SameTarget(ofToken("t"), ofSubject("t", "", noon)) {
		t.Error("targets are mixed up")
	}
}

func TestNames(t *testing.T) {
	bounded := ofToken("t")
	bounded.Expires = "2027-01-01T00:00:00Z"
	cases := map[string]struct {
		reason string
		spec   v1alpha1.TokenRevocationSpec
		want   []string
	}{
		"until a time":   {"the time is a part of the second name", bounded, []string{"token-t", "token-t-1798761600"}},
		"without an end": {"it is remembered for a year", ofToken("t"), []string{"token-t", "token-t-year"}},
		"of nothing":     {"there is no target", v1alpha1.TokenRevocationSpec{}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Names(c.spec)
			if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.want != nil) {
				t.Errorf("%s: %v (-want +got):\n%s", c.reason, err, diff)
			}
		})
	}
}

func TestCovers(t *testing.T) {
	until := func(id string, expires v1alpha1.DateTime) v1alpha1.TokenRevocationSpec {
		spec := ofToken(id)
		spec.Expires = expires
		return spec
	}
	const soon, late = "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"
	cases := map[string]struct {
		reason        string
		there, wanted v1alpha1.TokenRevocationSpec
		leaving       bool
		want          bool
	}{
		"the same":                   {"", until("t", soon), until("t", soon), false, true},
		"a longer one":               {"it holds until the wanted one would not", until("t", late), until("t", soon), false, true},
		"a shorter one":              {"the token would be good again", until("t", soon), until("t", late), false, false},
		"one for a year":             {"that is for longer", until("t", ""), until("t", late), false, true},
		"less than a wanted year":    {"", until("t", late), until("t", ""), false, false},
		"of another token":           {"", until("u", late), until("t", soon), false, false},
		"one that is being deleted":  {"it is about to be forgotten", until("t", late), until("t", soon), true, false},
		"an end that is no time":     {"it is later than any other", until("t", "never"), until("t", late), false, true},
		"a wanted end that is none":  {"nothing else is as late", until("t", late), until("t", "never"), false, false},
		"of a subject, not a token":  {"", ofSubject("t", "", noon), until("t", soon), false, false},
		"of the subject, at a time":  {"", ofSubject("alice", "", noon), ofSubject("alice", "", noon), false, true},
		"of the subject, at another": {"", ofSubject("alice", "", noon), ofSubject("alice", "", noon.Add(time.Second)), false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			there := &v1alpha1.TokenRevocation{Spec: c.there}
			there.CreationTimestamp = metav1.NewTime(noon)
			if c.leaving {
				there.DeletionTimestamp = &there.CreationTimestamp
			}
			if got := Covers(there, c.wanted); got != c.want {
				t.Errorf("%s: got %t", c.reason, got)
			}
		})
	}
}
