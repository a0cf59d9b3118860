package controllers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
)

// noon is when the tests collect.
var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// issued is the record of a token of alice's in the place; it was made an hour before noon.
func issued(place int, kind v1alpha1.IssuedTokenType, expires time.Time) v1alpha1.IssuedToken {
	return v1alpha1.IssuedToken{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("token-0-", place), CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))},
		Spec: v1alpha1.IssuedTokenSpec{
			Type: kind, ID: fmt.Sprintf("0-%d-abcdefghijklmnopqrstuvwxyz", place), Audience: "a",
			Subject: v1alpha1.RecordedSubject{Username: "alice"}, Expires: v1alpha1.NewDateTime(expires),
		},
	}
}

func revokedToken(place int, expires v1alpha1.DateTime) v1alpha1.TokenRevocation {
	id := fmt.Sprintf("0-%d-abcdefghijklmnopqrstuvwxyz", place)
	return v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: "token-" + id, CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))},
		Spec:       v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: id}, Expires: expires},
	}
}

func revokedSubject(username string, before time.Time, expires v1alpha1.DateTime) v1alpha1.TokenRevocation {
	return v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: "subject-" + username, CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))},
		Spec: v1alpha1.TokenRevocationSpec{Expires: expires, Subject: &v1alpha1.RevokedSubject{
			Username: username, IssuedBefore: v1alpha1.NewDateTime(before),
		}},
	}
}

func TestDeadRecords(t *testing.T) {
	past, future := noon.Add(-time.Second), noon.Add(time.Hour)
	going := issued(1, v1alpha1.RefreshToken, past)
	going.DeletionTimestamp = &metav1.Time{Time: past}
	unrecorded := revokedToken(1, "")
	unrecorded.Spec.Token.ID = "mfrggzdfmztwq2lknnwg23tpoa"
	old := *unrecorded.DeepCopy()
	old.CreationTimestamp = metav1.NewTime(noon.AddDate(-1, 0, -1))
	cases := map[string]struct {
		reason      string
		tokens      []v1alpha1.IssuedToken
		revocations []v1alpha1.TokenRevocation
		want        []string
	}{
		"a live token": {
			reason: "it is needed", tokens: []v1alpha1.IssuedToken{issued(1, v1alpha1.RefreshToken, future)},
		},
		"an expired token": {
			reason: "nobody can use it", tokens: []v1alpha1.IssuedToken{issued(1, v1alpha1.RefreshToken, past)}, want: []string{"token-0-1"},
		},
		"an expired token that is on its way out": {
			reason: "it was asked to go", tokens: []v1alpha1.IssuedToken{going},
		},
		"a revoked refresh token": {
			reason:      "its revocation is remembered, the record is not needed",
			tokens:      []v1alpha1.IssuedToken{issued(1, v1alpha1.RefreshToken, future), issued(2, v1alpha1.RefreshToken, future)},
			revocations: []v1alpha1.TokenRevocation{revokedToken(1, v1alpha1.NewDateTime(future))},
			want:        []string{"token-0-1"},
		},
		"a revoked access token": {
			reason:      "its place in the status list must not become another's",
			tokens:      []v1alpha1.IssuedToken{issued(1, v1alpha1.AccessToken, future)},
			revocations: []v1alpha1.TokenRevocation{revokedToken(1, v1alpha1.NewDateTime(future))},
		},
		"tokens of a revoked subject": {
			reason: "only those that were made until then",
			tokens: []v1alpha1.IssuedToken{issued(1, v1alpha1.RefreshToken, future)}, want: []string{"token-0-1"},
			revocations: []v1alpha1.TokenRevocation{revokedSubject("alice", noon.Add(-time.Hour), v1alpha1.NewDateTime(future))},
		},
		"tokens of a subject who came back": {
			reason:      "they were made later",
			tokens:      []v1alpha1.IssuedToken{issued(1, v1alpha1.RefreshToken, future)},
			revocations: []v1alpha1.TokenRevocation{revokedSubject("alice", noon.Add(-time.Hour-time.Second), v1alpha1.NewDateTime(future)), revokedSubject("bob", noon, "")},
		},
		"an expired revocation": {
			reason: "nothing is there that it speaks of", revocations: []v1alpha1.TokenRevocation{revokedToken(1, v1alpha1.NewDateTime(past))},
			tokens: []v1alpha1.IssuedToken{issued(2, v1alpha1.AccessToken, future)},
			want:   []string{"token-0-1-abcdefghijklmnopqrstuvwxyz"},
		},
		"a revocation without an end": {
			reason: "a year is longer than any token lives", revocations: []v1alpha1.TokenRevocation{unrecorded},
		},
		"a revocation of a recorded token that has no record": {
			reason: "no server takes the token without", revocations: []v1alpha1.TokenRevocation{revokedToken(1, "")},
			want: []string{"token-0-1-abcdefghijklmnopqrstuvwxyz"},
		},
		"a revocation without an end, a year later": {
			reason: "as above", revocations: []v1alpha1.TokenRevocation{old}, want: []string{"token-0-1-abcdefghijklmnopqrstuvwxyz"},
		},
		"a revocation that would end before its token": {
			reason:      "the token would be good again",
			tokens:      []v1alpha1.IssuedToken{issued(1, v1alpha1.AccessToken, future)},
			revocations: []v1alpha1.TokenRevocation{revokedToken(1, v1alpha1.NewDateTime(past)), revokedSubject("alice", noon, v1alpha1.NewDateTime(past))},
		},
		"a revocation that would end with its refresh token": {
			reason:      "the record goes first: servers may hear of both in any order",
			tokens:      []v1alpha1.IssuedToken{issued(1, v1alpha1.RefreshToken, future)},
			revocations: []v1alpha1.TokenRevocation{revokedToken(1, v1alpha1.NewDateTime(past))},
			want:        []string{"token-0-1"},
		},
		"a revocation of a subject that has nothing left": {
			reason: "what it speaks of is over", revocations: []v1alpha1.TokenRevocation{revokedSubject("alice", noon.AddDate(0, 0, -1), v1alpha1.NewDateTime(past))},
			tokens: []v1alpha1.IssuedToken{issued(1, v1alpha1.AccessToken, future)}, want: []string{"subject-alice"},
		},
		"an end that no calendar has": {
			reason: "31 February is 3 March", revocations: []v1alpha1.TokenRevocation{revokedToken(1, "2026-02-31T00:00:00Z")},
			want: []string{"token-0-1-abcdefghijklmnopqrstuvwxyz"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, object := range deadRecords(c.tokens, c.revocations, noon) {
				got = append(got, object.GetName())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// estate is what is stored, and a token is good by it or not.
type estate struct {
	tokens      []v1alpha1.IssuedToken
	revocations []v1alpha1.TokenRevocation
}

func (e *estate) good(t v1alpha1.IssuedToken, now time.Time) bool {
	there := slices.ContainsFunc(e.tokens, func(other v1alpha1.IssuedToken) bool { return other.Name == t.Name })
	var revoked revocation.Set
	for _, r := range e.revocations {
		revoked.Put(r.Name, r.Spec)
	}
	return there && now.Before(revocation.Time(t.Spec.Expires)) && !isRevoked(&revoked, &t)
}

func (e *estate) remove(object client.Object) {
	e.tokens = slices.DeleteFunc(e.tokens, func(t v1alpha1.IssuedToken) bool { return t.Name == object.GetName() })
	e.revocations = slices.DeleteFunc(e.revocations, func(r v1alpha1.TokenRevocation) bool { return r.Name == object.GetName() })
}

// TestNoTokenComesBackAndNothingStays lets tokens and revocations with any ends come, and the collector delete any part of
// what it may, in any order: no token that was not good becomes good again, and in the end all is gone.
func TestNoTokenComesBackAndNothingStays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var e estate
		var ever []v1alpha1.IssuedToken
		bad := map[string]bool{}
		hours := func(label string, least, most int) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(rt, label)) * time.Hour
		}
		now := noon
		for step := range rapid.IntRange(1, 30).Draw(rt, "steps") {
			now = now.Add(hours("later", 0, 5))
			switch kind := rapid.SampledFrom([]v1alpha1.IssuedTokenType{v1alpha1.RefreshToken, v1alpha1.AccessToken}).Draw(rt, "kind"); rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				token := issued(step, kind, now.Add(hours("life", 1, 40)))
				token.CreationTimestamp = metav1.NewTime(now)
				e.tokens, ever = append(e.tokens, token), append(ever, token)
			case 1:
				r := revokedToken(rapid.IntRange(0, step).Draw(rt, "place"), v1alpha1.NewDateTime(now.Add(hours("end", -5, 40))))
				r.Name += fmt.Sprint("-", step)
				e.revocations = append(e.revocations, r)
			case 2:
				r := revokedSubject("alice", now.Add(hours("before", -10, 10)), v1alpha1.NewDateTime(now.Add(hours("end", -5, 40))))
				r.Name += fmt.Sprint("-", step)
				e.revocations = append(e.revocations, r)
			default:
				for _, object := range deadRecords(slices.Clone(e.tokens), slices.Clone(e.revocations), now) {
					if rapid.Bool().Draw(rt, "deleted?") {
						e.remove(object)
					}
				}
			}
			for _, token := range ever {
				switch good := e.good(token, now); {
				case good && bad[token.Name]:
					rt.Fatalf("%s is good again", token.Name)
				case !good:
					bad[token.Name] = true
				}
			}
		}
		for range 2 { // records, then what spoke of them
			for _, object := range deadRecords(slices.Clone(e.tokens), slices.Clone(e.revocations), now.AddDate(2, 0, 0)) {
				e.remove(object)
			}
		}
		if n := len(e.tokens) + len(e.revocations); n != 0 {
			rt.Fatalf("%d objects stay for ever", n)
		}
	})
}
