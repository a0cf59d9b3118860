package record

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// TestWhoHasTooManyRecordsGetsNoMore holds what counts. A record of an access token stays until it expires, so that whoever
// makes and revokes in turn would otherwise have any number of objects stored; refresh tokens that are revoked are collected.
func TestWhoHasTooManyRecordsGetsNoMore(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	// owned are records of one kind that the index has.
	type owned struct {
		n        int
		username string
		kind     v1alpha1.IssuedTokenType
		revoked  bool
		expires  time.Time
	}
	later := now.Add(time.Hour)
	const access, refresh = v1alpha1.AccessToken, v1alpha1.RefreshToken
	cases := map[string]struct {
		reason  string
		there   []owned
		asks    v1alpha1.IssuedTokenType
		refused bool
	}{
		"an access token, and as many live ones": {
			"the bound is the bound", []owned{{MaxPerSubject, "alice", access, false, later}}, access, true,
		},
		"an access token, and as many revoked ones": {
			"their records stay until they expire", []owned{{MaxPerSubject, "alice", access, true, later}}, access, true,
		},
		"an access token, and one fewer that is revoked": {
			"there is room for one", []owned{{MaxPerSubject - 1, "alice", access, true, later}}, access, false,
		},
		"an access token, and half live, half revoked": {
			"both are objects", []owned{{MaxPerSubject / 2, "alice", access, false, later}, {MaxPerSubject / 2, "alice", access, true, later}}, access, true,
		},
		"an access token, and as many revoked refresh tokens": {
			"they are objects, too, until they are collected", []owned{{MaxPerSubject, "alice", refresh, true, later}}, access, true,
		},
		"an access token, and as many that have expired": {
			"they are about to be collected", []owned{{MaxPerSubject, "alice", access, true, now}}, access, false,
		},
		"an access token, and one of those still lives": {
			"the last moment counts", []owned{{MaxPerSubject, "alice", access, true, now.Add(time.Second)}}, access, true,
		},
		"an access token, and as many of somebody else": {
			"nobody takes another's room", []owned{{MaxPerSubject, "bob", access, true, later}}, access, false,
		},
		"a refresh token, and as many revoked access tokens": {
			"who has deleted them may still log in", []owned{{MaxPerSubject, "alice", access, true, later}}, refresh, false,
		},
		"a refresh token, and as many live access tokens": {
			"none makes room for it", []owned{{MaxPerSubject, "alice", access, false, later}}, refresh, true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			index := &Index{}
			for kind, o := range tc.there {
				for n := range o.n {
					have := recordOf(o.username, o.kind, o.expires)
					have.Name = fmt.Sprintf("token-%d-%d", kind, n)
					have.Spec.ID = fmt.Sprintf("%d-%d-abcdefghijklmnopqrstuvwxyz", kind, n)
					index.PutRecord(have)
					if o.revoked {
						index.PutRevocation(revocationOf(have.Spec.ID))
					}
				}
			}
			s := New(Options{Index: index, Now: func() time.Time { return now }})
			err := s.admit(recordOf("alice", tc.asks, later))
			if (err != nil) != tc.refused || err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}

// TestMakingAndRevokingInTurnEnds is the attack: whoever deletes each access token at once never has a live one.
func TestMakingAndRevokingInTurnEnds(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	index := &Index{}
	s := New(Options{Index: index, Now: func() time.Time { return now }})
	for n := range 2 * MaxPerSubject {
		next := recordOf("mallory", v1alpha1.AccessToken, now.Add(time.Hour))
		next.Name, next.Spec.ID = fmt.Sprintf("token-0-%d", n), fmt.Sprintf("0-%d-abcdefghijklmnopqrstuvwxyz", n)
		if s.admit(next) != nil {
			if live := len(s.List("mallory", now)); n != MaxPerSubject || live != 0 {
				t.Errorf("it ended after %d with %d live", n, live)
			}
			return
		}
		index.PutRecord(next)
		index.PutRevocation(revocationOf(next.Spec.ID))
	}
	t.Errorf("%d records of revoked tokens are stored", index.Len())
}

func recordOf(username string, kind v1alpha1.IssuedTokenType, expires time.Time) *v1alpha1.IssuedToken {
	return &v1alpha1.IssuedToken{Spec: v1alpha1.IssuedTokenSpec{
		Type: kind, Subject: v1alpha1.RecordedSubject{Username: username}, ClientID: "cli",
		Expires: v1alpha1.NewDateTime(expires),
	}}
}

func revocationOf(id string) *v1alpha1.TokenRevocation {
	r := &v1alpha1.TokenRevocation{Spec: v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: id}}}
	r.Name = "token-" + id
	return r
}
