package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestOlderKeySetLearnsWhichAuthorityIssues(t *testing.T) {
	b := newKeyBench(t, "older-set")
	key := b.signingKey("registry")
	b.reconcile(key)
	older := b.secret(key)
	b.clock.SetTime(b.clock.Now().Add(time.Minute))
	b.replaced(key, "1")
	trusted := b.trusted(key)
	b.restore(older)
	b.after(time.Minute, key)
	b.reconcile(key)
	b.current(key)
	if diff := cmp.Diff([]string{trusted, "1", ""}, []string{b.trusted(key), key.Status.LastHandledRotateCA, warningOf(key).Reason}); diff != "" {
		t.Errorf("ca.crt, the request that was answered, the warning (-before +after):\n%s", diff)
	}
	if err := b.verifies(mustActive(b, key), string(b.authority(key).Data["ca.crt"])); err != nil {
		t.Errorf("the key that signs: %v", err)
	}
}

// Whoever may edit ConfigMaps cannot make an authority of their own trusted for longer than it takes to look.
func TestEditedConfigMapAddsNoAuthority(t *testing.T) {
	b := newKeyBench(t, "edited")
	other, key := b.signingKey("other"), b.signingKey("registry")
	b.reconcile(other)
	b.reconcile(key)
	trusted := b.trusted(key)
	m := b.configMap(key)
	m.Data["ca.crt"] = b.trusted(other) + trusted
	m.Annotations[v1alpha1.AnnotationGeneration] = "1000"
	if err := plane.Client.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	b.reconcile(key)
	b.current(key)
	if diff := cmp.Diff(trusted, b.trusted(key)); diff != "" {
		t.Errorf("ca.crt (-before +after):\n%s", diff)
	}
}

// The same while the Secret with the key set is lost, and nothing but the ConfigMap says which authorities are trusted.
func TestEditedConfigMapAddsNoAuthorityForGoodWhenTheKeysAreLost(t *testing.T) {
	cases := map[string]struct {
		younger time.Duration // than ours
		join    func(own, foreign string) string
	}{
		"a younger one behind ours": {time.Hour, func(own, foreign string) string { return own + foreign }},
		"an older one behind ours":  {-time.Hour, func(own, foreign string) string { return own + foreign }},
		"an older one before ours":  {-time.Hour, func(own, foreign string) string { return foreign + own }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newKeyBench(t, "edited-lost")
			start := b.clock.Now()
			key := b.signingKey("registry")
			b.reconcile(key)
			b.clock.SetTime(start.Add(c.younger))
			other := b.signingKey("other")
			b.reconcile(other)
			b.clock.SetTime(start.Add(time.Hour))
			own, foreign := b.trusted(key), b.trusted(other)
			m := b.configMap(key)
			m.Data["ca.crt"] = c.join(own, foreign)
			if err := plane.Client.Update(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			b.delete(b.secret(key))
			b.reconcile(key)
			b.after(25*time.Hour+b.o.MaxStaleness, key) // the longest that a token can live
			b.reconcile(key)
			b.current(key)
			if diff := cmp.Diff(own, b.trusted(key)); diff != "" {
				t.Errorf("ca.crt (-ours +got):\n%s", diff)
			}
			if err := b.verifies(mustActive(b, key), own); err != nil {
				t.Errorf("the key that signs: %v", err)
			}
		})
	}
}

// A SigningKey without certificates has no authority. One that somebody puts into its ConfigMap is nobody's, also when the
// spec asks for certificates later on.
func TestAuthorityOfNobodyIsNotTakenUpWithTheFirst(t *testing.T) {
	b := newKeyBench(t, "nobodys-ca")
	other := b.signingKey("other")
	b.reconcile(other)
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) {
		k.Spec.KeyIdentification, k.Spec.Rotation.PublishAhead = v1alpha1.KeyID, "2h"
	})
	b.reconcile(key)
	foreign := b.trusted(other)
	m := b.configMap(key)
	m.Data["ca.crt"] = foreign
	if err := plane.Client.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	b.reconcile(key)
	b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.KeyIdentification = v1alpha1.X509Chain })
	b.reconcile(key)
	b.reconcile(key)
	b.current(key)
	if strings.Contains(b.trusted(key), foreign) {
		t.Error("ca.crt holds it")
	}
	if err := b.verifies(mustActive(b, key), b.trusted(key)); err != nil {
		t.Errorf("the key that signs: %v", err)
	}
}

func TestImmutableAuthorityIsSaidWhenItShallBeReplaced(t *testing.T) {
	b := newKeyBench(t, "frozen-ca")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.freeze(b.authority(key))
	b.after(interval, key)
	b.current(key)
	b.ask(key, "1", "")
	b.after(interval, key)
	if diff := cmp.Diff(stalledFor(v1alpha1.ReasonImmutable), saidOf(key)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if got := len(keysIn(key, retired)); got == 0 {
		t.Error("keys do not rotate any more")
	}
	// What the message says: delete it and create it again with the same content.
	frozen := b.authority(key)
	b.delete(frozen.DeepCopy())
	frozen.ResourceVersion, frozen.UID, frozen.Immutable = "", "", nil
	create(t, frozen)
	b.after(time.Minute, key)
	b.current(key)
	if reason := warningOf(key).Reason; reason != v1alpha1.ReasonAuthorityUnconfirmed || strings.Count(b.trusted(key), "BEGIN") != 2 {
		t.Errorf("the next authority is not there: %s", reason)
	}
}
