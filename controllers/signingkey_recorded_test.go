package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// recorded is a SigningKey whose first key has signed a token without an expiry, and is retired since.
func (b *keyBench) recorded(left time.Duration) (*v1alpha1.SigningKey, keyring.Key) {
	b.Helper()
	key := b.signingKey(b.name(), func(k *v1alpha1.SigningKey) {
		k.Spec.KeyIdentification, k.Spec.NonExpiringTokens = v1alpha1.KeyID, v1alpha1.Allowed
	})
	b.reconcile(key)
	first, signs := b.ring(key).Active()
	if !signs {
		b.Fatal("no key signs")
	}
	create(b.T, &v1alpha1.IssuedToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.o.Namespace, Name: fmt.Sprintf("token-0-%d", b.names)},
		Spec: v1alpha1.IssuedTokenSpec{
			Type: v1alpha1.AccessToken, ID: fmt.Sprintf("0-%d-%s", b.names, strings.Repeat("a", 26)),
			Subject: v1alpha1.RecordedSubject{Username: "alice"}, Provider: v1alpha1.RecordedProvider{Name: "people", UID: "u"},
			AuthTime: v1alpha1.NewDateTime(b.clock.Now()), Audience: key.Spec.Audiences[0], KeyThumbprint: first.Thumbprint,
			Expires: v1alpha1.NewDateTime(b.clock.Now().Add(left)),
		},
	})
	for range 4 { // until the standby has taken over
		b.after(721*time.Hour, key)
		if active, _ := b.ring(key).Active(); active.Thumbprint != first.Thumbprint {
			return key, first
		}
	}
	b.Fatal("the first key was not replaced")
	return nil, first
}

func (b *keyBench) holds(key *v1alpha1.SigningKey, thumbprint string) bool {
	b.Helper()
	for _, k := range b.ring(key).Keys {
		if k.Thumbprint == thumbprint {
			return true
		}
	}
	return false
}

// TestRetiredKeyStaysWithItsRecordedTokens is a verifier who has a token without an expiry and fetches the JWKS.
func TestRetiredKeyStaysWithItsRecordedTokens(t *testing.T) {
	b := newKeyBench(t, "recorded")
	const half = 4380 * time.Hour
	key, first := b.recorded(half)
	end := b.clock.Now().Add(half)
	b.after(24*time.Hour, key)
	if !b.holds(key, first.Thumbprint) {
		t.Fatal("the key is gone, and its token is not")
	}
	if active, _ := b.ring(key).Active(); active.Private == nil || b.ring(key).Keys[0].Private != nil {
		t.Error("a key that is retired can sign")
	}
	b.clock.SetTime(end.Add(time.Hour))
	b.reconcile(key)
	if b.holds(key, first.Thumbprint) {
		t.Error("the key outlives its last token")
	}
}

// TestRetiredKeyGoesWithoutRecordedTokens has records of other keys.
func TestRetiredKeyGoesWithoutRecordedTokens(t *testing.T) {
	b := newKeyBench(t, "unrecorded")
	key, first := b.recorded(time.Hour) // it ends before the key is retired
	b.after(24*time.Hour, key)
	if b.holds(key, first.Thumbprint) {
		t.Error("the key stays for nothing")
	}
}

// TestRevokedKeyGoesInSpiteOfRecordedTokens is the emergency: the key is known to somebody else.
func TestRevokedKeyGoesInSpiteOfRecordedTokens(t *testing.T) {
	b := newKeyBench(t, "recorded-revoked")
	key, first := b.recorded(4380 * time.Hour)
	b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = []string{first.KeyID} })
	b.reconcile(key)
	if got := b.configMap(key).Data[keyring.EntryJWKS]; strings.Contains(got, first.KeyID) {
		t.Error("the key is public still")
	}
}

// TestKeysStayWhileRecordsCannotBeRead has the API server refuse the list: nothing is dropped, and a revocation goes on.
func TestKeysStayWhileRecordsCannotBeRead(t *testing.T) {
	b := newKeyBench(t, "recorded-fault")
	key, first := b.recorded(4380 * time.Hour)
	refused := errors.New("refused")
	b.faulty(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		if _, ok := list.(*v1alpha1.IssuedTokenList); ok {
			return refused
		}
		return c.List(ctx, list, opts...)
	}})
	b.clock.SetTime(b.clock.Now().Add(24 * time.Hour))
	if _, err := b.step(key); !errors.Is(err, refused) {
		t.Fatalf("got %v", err)
	}
	if !b.holds(key, first.Thumbprint) {
		t.Error("the key is gone though nobody knows of its tokens")
	}
	active, _ := b.ring(key).Active()
	b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = []string{active.KeyID} })
	if _, err := b.step(key); !errors.Is(err, refused) {
		t.Fatalf("got %v", err)
	}
	if now, signs := b.ring(key).Active(); !signs || now.Thumbprint == active.Thumbprint {
		t.Error("the revocation waits for the records")
	}
}
