package controllers

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestYoungerSigningKeyGivesWayAndTakesOver(t *testing.T) {
	b := newKeyBench(t, "audience")
	startManager(t, b.config(), b.o)
	older := b.signingKey("a-older") // its name comes first too: both may be made within one second
	eventually(t, func() error { refresh(t, older); return currentStatus(older) })
	younger := b.signingKey("b-younger", func(k *v1alpha1.SigningKey) { k.Spec.Audiences = append(k.Spec.Audiences, older.Spec.Audiences...) })
	eventually(t, func() error {
		refresh(t, younger)
		if diff := cmp.Diff(stalledFor(v1alpha1.ReasonAudienceTaken), saidOf(younger)); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	if len(keysIn(younger, active)) != 1 {
		t.Error("the younger does not keep its keys")
	}
	refresh(t, older)
	if err := currentStatus(older); err != nil {
		t.Errorf("the older is disturbed: %v", err)
	}
	if err := plane.Client.Delete(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { refresh(t, younger); return currentStatus(younger) })
}

func TestManagerHealsWhatItOwns(t *testing.T) {
	b := newKeyBench(t, "heal")
	startManager(t, b.config(), b.o)
	key := b.signingKey("registry")
	eventually(t, func() error { refresh(t, key); return currentStatus(key) })
	before := b.configMap(key)
	if err := plane.Client.Delete(t.Context(), before.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		m := before.DeepCopy()
		if err := plane.Client.Get(t.Context(), client.ObjectKeyFromObject(m), m); err != nil {
			return err
		}
		if diff := cmp.Diff(before.Data, m.Data); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}
