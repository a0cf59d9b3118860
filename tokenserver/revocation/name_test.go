package revocation

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
