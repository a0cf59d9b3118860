package record_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/record"
)

func ofToken(id string) v1alpha1.TokenRevocationSpec {
	return v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: id}}
}

func ofSubject(username string, before time.Time) v1alpha1.TokenRevocationSpec {
	return v1alpha1.TokenRevocationSpec{Subject: &v1alpha1.RevokedSubject{Username: username, IssuedBefore: v1alpha1.NewDateTime(before)}}
}

// TestARevocationHoldsOnEveryReplica has two. It is in force where it was made when Revoke returns.
func TestARevocationHoldsOnEveryReplica(t *testing.T) {
	one, other := newReplica(t), newReplica(t)
	token := mustCreate(t, one, refreshToken(t, "docker"))
	eventually(t, func() bool { return other.Count(t.Name(), "docker", time.Now()) == 1 }, "the record seen by the other")
	mine, err := one.Get(t.Context(), token.Spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Revoke(t.Context(), ofToken(token.Spec.ID)); err != nil {
		t.Fatal(err)
	}
	if one.index.Live(mine, time.Now()) || one.Count(t.Name(), "docker", time.Now()) != 0 {
		t.Error("it is live where it was revoked")
	}
	eventually(t, func() bool {
		theirs, err := other.Get(t.Context(), token.Spec.ID)
		return err == nil && !other.index.Live(theirs, time.Now())
	}, "it is revoked on the other replica")
}

func TestASubjectsRecordsAreRevokedTogether(t *testing.T) {
	r := newReplica(t)
	first := mustCreate(t, r, refreshToken(t, "docker"))
	if err := r.Revoke(t.Context(), ofSubject(t.Name(), first.CreationTimestamp.Time)); err != nil {
		t.Fatal(err)
	}
	if n := len(r.List(t.Name(), time.Now())); n != 0 {
		t.Errorf("%d are live", n)
	}
	eventually(t, func() bool { return time.Now().After(first.CreationTimestamp.Add(1100 * time.Millisecond)) }, "the next second")
	next := mustCreate(t, r, refreshToken(t, "docker"))
	if live := r.List(t.Name(), time.Now()); len(live) != 1 || live[0].Name != next.Name {
		t.Errorf("%d are live: who comes back must get a token", len(live))
	}
}

func TestToRevokeAgainIsSuccess(t *testing.T) {
	r := newReplica(t)
	soon := ofToken("again-1")
	soon.Expires = v1alpha1.NewDateTime(time.Now().Add(time.Hour))
	late := ofToken("again-1")
	late.Expires = v1alpha1.NewDateTime(time.Now().Add(48 * time.Hour))
	never := ofToken("again-1")
	steps := []struct {
		reason string
		spec   v1alpha1.TokenRevocationSpec
		want   int
	}{
		{"the first makes an object", soon, 1},
		{"the same is there", soon, 1},
		{"what is there would be forgotten too soon", late, 2},
		{"the longer one is there", late, 2},
		{"a shorter one is there, and is enough with the other", soon, 2},
		{"a year is longer still", never, 3},
		{"it is there", never, 3},
	}
	for _, step := range steps {
		if err := r.Revoke(t.Context(), step.spec); err != nil {
			t.Fatalf("%s: %v", step.reason, err)
		}
		if n := len(revocations(t, "token-again-1")); n != step.want {
			t.Fatalf("%s: %d objects, want %d", step.reason, n, step.want)
		}
	}
}

// revocations are those whose name begins like this.
func revocations(t *testing.T, prefix string) []v1alpha1.TokenRevocation {
	t.Helper()
	var list v1alpha1.TokenRevocationList
	if err := plane.Client.List(t.Context(), &list, client.InNamespace(system)); err != nil {
		t.Fatal(err)
	}
	var out []v1alpha1.TokenRevocation
	for _, r := range list.Items {
		if strings.HasPrefix(r.Name, prefix) {
			out = append(out, r)
		}
	}
	return out
}

func TestALostAnswerIsFoundOut(t *testing.T) {
	r := newBlind(t)
	r.calls.fault = func(n int) (bool, error) {
		if n == 0 {
			return true, apierrors.NewTimeoutError("slow", 0)
		}
		return true, nil
	}
	if err := r.Revoke(t.Context(), ofToken("lost-1")); err != nil {
		t.Fatal(err)
	}
	if n := len(revocations(t, "token-lost-1")); n != 1 {
		t.Errorf("%d objects", n)
	}
}

// TestANameThatSaysSomethingElseIsNoRevocation: who may make TokenRevocations could hide one behind its name.
func TestANameThatSaysSomethingElseIsNoRevocation(t *testing.T) {
	r := newBlind(t)
	for _, name := range []string{"token-hidden-1", "token-hidden-1-year"} {
		decoy := &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}, Spec: ofToken("another")}
		if err := plane.Client.Create(t.Context(), decoy); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Revoke(t.Context(), ofToken("hidden-1")); !errors.Is(err, record.ErrRefused) {
		t.Errorf("got %v, want it refused", err)
	}
	if err := r.Revoke(t.Context(), v1alpha1.TokenRevocationSpec{}); !errors.Is(err, record.ErrRefused) {
		t.Errorf("a revocation of nothing: got %v", err)
	}
}
