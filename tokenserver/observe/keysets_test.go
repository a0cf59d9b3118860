package observe

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

func (o observing) waitSigns(t *testing.T, audience, kid string) {
	t.Helper()
	eventually(t, func() bool { return o.signs(audience) == kid }, kid+" signs for "+audience)
}

func (o observing) serves(kid string) bool {
	return strings.Contains(string(o.holder.Load().JWKS), kid)
}

func TestAKeySetIsUsedAndFollowed(t *testing.T) {
	o := startReady(t)
	owner := newSigningKey(t, "follow", "follow.example.com")
	eventually(t, func() bool { return strings.Contains(o.signs("follow.example.com"), "does not exist") }, "the audience without a key set")
	first, second := newKey(t, v1alpha1.KeyActive), newKey(t, v1alpha1.KeyActive)
	secret := secretOf(t, owner, 1, first)
	create(t, secret)
	o.waitSigns(t, "follow.example.com", first.KeyID)

	retired := first
	retired.State, retired.Private, retired.Retired = v1alpha1.KeyRetired, nil, first.Activated
	secret.Data = secretOf(t, owner, 2, retired, second).Data
	update(t, secret)
	o.waitSigns(t, "follow.example.com", second.KeyID)
	if !o.serves(first.KeyID) || !o.serves(second.KeyID) {
		t.Errorf("the JWKS lacks a key: %s", o.holder.Load().JWKS)
	}
}

// TestALostKeySetIsKept has the ways in which a Secret can be lost or damaged. None of them may stop tokens.
func TestALostKeySetIsKept(t *testing.T) {
	type args struct {
		edit   func(*corev1.Secret)
		remove bool
	}
	cases := map[string]struct {
		reason string
		args   args
	}{
		"deleted":                  {"A slip of a hand.", args{remove: true}},
		"emptied":                  {"A slip of a hand.", args{edit: func(s *corev1.Secret) { s.Data = nil }}},
		"damaged":                  {"A half that is missing.", args{edit: func(s *corev1.Secret) { s.Data["keyring.json"] = []byte(`{"version":1`) }}},
		"without the watch label":  {"It is out of sight.", args{edit: func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelWatch) }}},
		"of another SigningKey":    {"The label says that it is another's.", args{edit: func(s *corev1.Secret) { s.Labels[v1alpha1.LabelSigningKey] = "other" }}},
		"without an owner":         {"Nobody says that it is the SigningKey's.", args{edit: func(s *corev1.Secret) { s.OwnerReferences = nil }}},
		"of an owner of that name": {"The name alone says nothing.", args{edit: func(s *corev1.Secret) { s.OwnerReferences[0].UID = "00000000-0000-0000-0000-000000000000" }}},
	}
	o := startReady(t)
	n := 0
	for name, tc := range cases {
		n++
		object := "lost-" + string(rune('a'+n))
		audience := object + ".example.com"
		t.Run(name, func(t *testing.T) {
			owner := newSigningKey(t, object, v1alpha1.Audience(audience))
			key, replacement := newKey(t, v1alpha1.KeyActive), newKey(t, v1alpha1.KeyActive)
			secret := secretOf(t, owner, 1, key)
			create(t, secret)
			o.waitSigns(t, audience, key.KeyID)
			if tc.args.remove {
				remove(t, secret)
			} else {
				tc.args.edit(secret)
				update(t, secret)
			}
			eventually(t, func() bool { return o.Stats().KeySetsKept == 1 }, "the loss seen")
			if o.signs(audience) != key.KeyID || !o.serves(key.KeyID) {
				t.Errorf("%s\nafter the loss: %s", tc.reason, o.signs(audience))
			}
			_ = plane.Client.Delete(t.Context(), secret)
			create(t, secretOf(t, owner, 2, replacement))
			o.waitSigns(t, audience, replacement.KeyID)
			remove(t, owner)
			eventually(t, func() bool { return o.signs(audience) == "no such audience" && !o.serves(replacement.KeyID) }, "the key set dropped with its SigningKey")
		})
	}
}

// TestAForgedKeySetIsNotUsed has the ways in which somebody who may write Secrets, but is not the manager, could try to
// have their own key used.
func TestAForgedKeySetIsNotUsed(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(*corev1.Secret)
	}{
		"another type":          {"The type is what admission can guard.", func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }},
		"another name":          {"A name in a status or label is not followed.", func(s *corev1.Secret) { s.Name = "mine" }},
		"no controller":         {"A mere owner is not the controller.", func(s *corev1.Secret) { s.OwnerReferences[0].Controller = nil }},
		"an owner of that name": {"UIDs do not come back.", func(s *corev1.Secret) { s.OwnerReferences[0].UID = "00000000-0000-0000-0000-000000000000" }},
		"an owner of another kind": {"Its UID is what counts, and its kind.", func(s *corev1.Secret) {
			s.OwnerReferences[0].Kind = "ConfigMap"
		}},
	}
	o := startReady(t)
	n := 0
	for name, tc := range cases {
		n++
		object := "forged-" + string(rune('a'+n))
		t.Run(name, func(t *testing.T) {
			owner := newSigningKey(t, object, v1alpha1.Audience(object))
			secret := secretOf(t, owner, 1, newKey(t, v1alpha1.KeyActive))
			tc.edit(secret)
			create(t, secret)
			// A second SigningKey whose Secret is good shows when the first has been looked at.
			other := newSigningKey(t, object+"-after", v1alpha1.Audience(object+"-after"))
			good := newKey(t, v1alpha1.KeyActive)
			create(t, secretOf(t, other, 1, good))
			o.waitSigns(t, object+"-after", good.KeyID)
			if a := o.holder.Load().Audiences[object]; a == nil || a.Signer != nil {
				t.Errorf("%s\nthe audience is %+v", tc.reason, a)
			}
		})
	}
}

// TestALostKeySignsUntilItsReplacementDoes is what the manager does after a loss: the lost key is Retired, the new one
// Pending, and none is Active for a while.
func TestALostKeySignsUntilItsReplacementDoes(t *testing.T) {
	o := startReady(t)
	owner := newSigningKey(t, "bridged", "bridged.example.com")
	lost, replacement := newKey(t, v1alpha1.KeyActive), newKey(t, v1alpha1.KeyActive)
	secret := secretOf(t, owner, 1, lost)
	create(t, secret)
	o.waitSigns(t, "bridged.example.com", lost.KeyID)

	known, pending := lost, replacement
	known.State, known.Private, known.Retired = v1alpha1.KeyRetired, nil, lost.Activated
	pending.State, pending.Published = v1alpha1.KeyPending, time.Time{}
	pending.Activated, pending.SignUntil = time.Time{}, time.Time{}
	remove(t, secret)
	again := secretOf(t, owner, 2, known, pending)
	create(t, again)
	eventually(t, func() bool { return o.serves(pending.KeyID) }, "the new set seen")
	if got := o.signs("bridged.example.com"); got != lost.KeyID {
		t.Errorf("while no other key is Active: %s", got)
	}

	again.Data = secretOf(t, owner, 3, known, replacement).Data
	update(t, again)
	o.waitSigns(t, "bridged.example.com", replacement.KeyID)

	dead := replacement
	dead.State, dead.Private, dead.Retired = v1alpha1.KeyRevoked, nil, replacement.Activated
	again.Data = secretOf(t, owner, 4, known, dead).Data
	update(t, again)
	eventually(t, func() bool { return o.signs("bridged.example.com") == "no key is active" }, "a revoked key stopped, though no other is Active")
}

func TestARevokedKeyStaysRevokedWhateverIsRestored(t *testing.T) {
	o := startReady(t)
	owner := newSigningKey(t, "revoked", "revoked.example.com")
	leaked, next := newKey(t, v1alpha1.KeyActive), newKey(t, v1alpha1.KeyActive)
	secret := secretOf(t, owner, 1, leaked)
	create(t, secret)
	o.waitSigns(t, "revoked.example.com", leaked.KeyID)
	before := secret.DeepCopy()

	dead := leaked
	dead.State, dead.Private, dead.Retired = v1alpha1.KeyRevoked, nil, leaked.Activated
	secret.Data = secretOf(t, owner, 2, dead, next).Data
	update(t, secret)
	o.waitSigns(t, "revoked.example.com", next.KeyID)

	secret.Data = before.Data
	update(t, secret)
	eventually(t, func() bool { return o.signs("revoked.example.com") == "no key is active" }, "the restored key refused")
	if o.serves(leaked.KeyID) {
		t.Error("the revoked key is in the JWKS again")
	}
}

func TestNamespacesAreAdmittedByLabel(t *testing.T) {
	o := startReady(t)
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "selected"},
		Spec: v1alpha1.SigningKeySpec{
			Audiences: []v1alpha1.Audience{"selected.example.com"}, KeyIdentification: v1alpha1.KeyID,
			Namespaces: v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector,
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"registry": "yes"}}},
		},
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "selected-team"}}
	create(t, key, namespace)
	admits := func() bool {
		a := o.holder.Load().Audiences["selected.example.com"]
		return a != nil && a.Namespaces.Admits("selected-team")
	}
	eventually(t, func() bool { return o.holder.Load().Audiences["selected.example.com"] != nil }, "the audience")
	if admits() {
		t.Error("a namespace without the label is admitted")
	}
	namespace.Labels = map[string]string{"registry": "yes"}
	update(t, namespace)
	eventually(t, admits, "the namespace admitted")
	namespace.Labels = nil
	update(t, namespace)
	eventually(t, func() bool { return !admits() }, "the namespace not admitted any more")
}

// TestReadyWaitsForAKeySetThatTheManagerHasMade holds that a new replica does not take over from one that can sign.
func TestReadyWaitsForAKeySetThatTheManagerHasMade(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    keySet
		active string
		want   string
	}{
		"there":                      {"It can be used.", keySet{known: true}, "kid", ""},
		"not there, never was":       {"An installation must be able to finish.", keySet{missing: true}, "", ""},
		"not there, and a key signs": {"The Secret is still on its way.", keySet{missing: true}, "kid", "registry"},
		"damaged, and a key signs":   {"It is known to be unusable.", keySet{fault: "damaged"}, "kid", ""},
		"lost, and kept":             {"The last good one serves.", keySet{known: true, missing: true}, "kid", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Name: "registry", UID: "u"}, Status: v1alpha1.SigningKeyStatus{ActiveKeyID: tc.active}}
			k := &keySets{current: []snapshot.Keys{{Object: object, Ring: keyring.Ring{}}}}
			k.sets = map[types.UID]*keySet{"u": &tc.set}
			if got := k.awaited(); got != tc.want {
				t.Errorf("%s\ngot %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
