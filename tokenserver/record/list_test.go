package record_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
)

func TestTheTokenThatWasNotUsedForLongestMakesRoom(t *testing.T) {
	r := newReplica(t)
	access := mustCreate(t, r, accessToken(t, "docker"))
	other := mustCreate(t, r, refreshToken(t, "containerd"))
	var tokens []*v1alpha1.IssuedToken
	for range record.MaxPerClient {
		tokens = append(tokens, mustCreate(t, r, refreshToken(t, "docker")))
	}
	// Of the first three, which are the oldest, the second was used: the first and the third go, though times of creation
	// may be equal.
	background(t, r.Run)
	for i, token := range tokens {
		if i != 0 && i != 2 {
			r.Used(token.Spec.ID, time.Now().Add(time.Minute))
		}
	}
	eventually(t, func() bool {
		return !slices.ContainsFunc(r.List(t.Name(), time.Now()), func(token *v1alpha1.IssuedToken) bool {
			return token.Spec.ClientID == "docker" && token.Spec.Type == v1alpha1.RefreshToken && token.Status.LastUsed == "" &&
				token.Name != tokens[0].Name && token.Name != tokens[2].Name
		})
	}, "the last uses seen")
	want := map[string]bool{access.Name: true, other.Name: true}
	for i, token := range tokens {
		want[token.Name] = i != 0 && i != 2
	}
	newest := tokens[len(tokens)-1].CreationTimestamp
	eventually(t, func() bool { return time.Now().After(newest.Add(1100 * time.Millisecond)) }, "the next second: times of creation have no fractions")
	for range 2 {
		want[mustCreate(t, r, refreshToken(t, "docker")).Name] = true
	}
	got := map[string]bool{}
	for name := range want {
		got[name] = slices.ContainsFunc(r.List(t.Name(), time.Now()), func(token *v1alpha1.IssuedToken) bool { return token.Name == name })
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("live (-want +got):\n%s", diff)
	}
	if n := r.Count(t.Name(), "docker", time.Now()); n != record.MaxPerClient {
		t.Errorf("%d refresh tokens with docker, want %d", n, record.MaxPerClient)
	}
	// The end of a token that made room is stored: every replica hears of it.
	if made := revocations(t, "token-"+tokens[0].Spec.ID); len(made) != 1 || made[0].Spec.Expires != tokens[0].Spec.Expires {
		t.Errorf("the first is revoked by %+v", made)
	}
}

// TestAUserHasABoundedNumberOfRecords: the name of the client is whatever the caller says.
func TestAUserHasABoundedNumberOfRecords(t *testing.T) {
	r := newBlind(t)
	now := time.Now()
	for i := range record.MaxPerSubject {
		token := refreshToken(t, fmt.Sprint("client-", i))
		if i < record.MaxPerClient {
			token.Spec.ClientID = "full"
		}
		put(r.index, token, i, now)
	}
	for name, tc := range map[string]struct {
		reason string
		token  *v1alpha1.IssuedToken
		refuse bool
	}{
		"one more client":            {"it is one too many", refreshToken(t, "new"), true},
		"an access token":            {"none makes room for it", accessToken(t, "full"), true},
		"a client that is at its 20": {"another makes room", refreshToken(t, "full"), false},
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Create(t.Context(), tc.token, slot.Draw)
			if errors.Is(err, record.ErrRefused) != tc.refuse || err != nil && !tc.refuse {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
	r.index.DeleteRecord("token-0-150")
	if err := r.Create(t.Context(), refreshToken(t, "new"), slot.Draw); err != nil {
		t.Errorf("when one is gone: %v", err)
	}
}

// put puts a record into the index as an observer would.
func put(x *record.Index, token *v1alpha1.IssuedToken, place int, created time.Time) *v1alpha1.IssuedToken {
	token.Name, token.Spec.ID = fmt.Sprint("token-0-", place), fmt.Sprintf("0-%d-abcdefghijklmnopqrstuvwxyz", place)
	token.CreationTimestamp.Time = created
	x.PutRecord(token)
	return token
}

func TestListIsInAnOrderThatStays(t *testing.T) {
	r := newBlind(t)
	now := time.Now()
	for i := range 30 {
		put(r.index, refreshToken(t, "docker"), i, now.Add(time.Duration(i/3)*time.Second))
	}
	names := func() (names []string) {
		for _, token := range r.List(t.Name(), now) {
			names = append(names, token.Name)
		}
		return names
	}
	before := names()
	r.index.DeleteRecord("token-0-7")
	put(r.index, refreshToken(t, "docker"), 30, now.Add(time.Hour))
	want := append(slices.DeleteFunc(before, func(name string) bool { return name == "token-0-7" }), "token-0-30")
	if diff := cmp.Diff(want, names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := r.List("somebody else", now); len(got) != 0 {
		t.Errorf("%d of somebody else", len(got))
	}
}
