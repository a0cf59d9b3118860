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
