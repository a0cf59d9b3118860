package keyring_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func TestOwnedByBelievesNothingButTheOwner(t *testing.T) {
	owner := &metav1.ObjectMeta{Namespace: "tokenwright-system", Name: "registry", UID: "1"}
	good := metav1.ObjectMeta{
		Namespace: "tokenwright-system", Name: "registry-signing-key", Labels: map[string]string{v1alpha1.LabelSigningKey: "registry"},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "tokenwright.dev/v1alpha1", Kind: "SigningKey", Name: "registry", UID: "1", Controller: new(true),
		}},
	}
	cases := map[string]struct {
		change func(*metav1.ObjectMeta)
		kind   string
		want   bool
	}{
		"our own":                       {func(*metav1.ObjectMeta) {}, keyring.SecretType, true},
		"of another type":               {func(*metav1.ObjectMeta) {}, "Opaque", false},
		"of the authority's type":       {func(*metav1.ObjectMeta) {}, keyring.CASecretType, false},
		"without an owner":              {func(m *metav1.ObjectMeta) { m.OwnerReferences = nil }, keyring.SecretType, false},
		"of an earlier SigningKey":      {func(m *metav1.ObjectMeta) { m.OwnerReferences[0].UID = "0" }, keyring.SecretType, false},
		"of an owner without a UID":     {func(m *metav1.ObjectMeta) { m.OwnerReferences[0].UID = "" }, keyring.SecretType, false},
		"of an owner of another kind":   {func(m *metav1.ObjectMeta) { m.OwnerReferences[0].Kind = "Secret" }, keyring.SecretType, false},
		"of an owner of another group":  {func(m *metav1.ObjectMeta) { m.OwnerReferences[0].APIVersion = "v1" }, keyring.SecretType, false},
		"of an owner that is no master": {func(m *metav1.ObjectMeta) { m.OwnerReferences[0].Controller = nil }, keyring.SecretType, false},
		"without the label":             {func(m *metav1.ObjectMeta) { m.Labels = nil }, keyring.SecretType, false},
		"with another's label":          {func(m *metav1.ObjectMeta) { m.Labels[v1alpha1.LabelSigningKey] = "other" }, keyring.SecretType, false},
		"in another namespace":          {func(m *metav1.ObjectMeta) { m.Namespace = "team-a" }, keyring.SecretType, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			meta := good.DeepCopy()
			c.change(meta)
			if err := keyring.OwnedBy(owner, meta, c.kind); (err == nil) != c.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLabelIsALabelForEveryName(t *testing.T) {
	long := strings.Repeat("a", 200)
	for _, name := range []string{"registry", "registry.example.com", long[:63], long[:64], long, long[:45] + "." + long[:100]} {
		if problems := validation.IsValidLabelValue(keyring.Label(name)); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
		for _, object := range []string{keyring.SecretName(name), keyring.CASecretName(name), keyring.ConfigMapName(&v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Name: name}})} {
			if problems := validation.IsDNS1123Subdomain(object); len(problems) > 0 {
				t.Errorf("%s: %v", object, problems)
			}
		}
	}
	if keyring.Label(long) == keyring.Label(long[:199]) {
		t.Error("two names have the same label")
	}
}

func TestAudienceOwners(t *testing.T) {
	key := func(name string, age int, audiences ...v1alpha1.Audience) v1alpha1.SigningKey {
		return v1alpha1.SigningKey{
			ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(now.Add(-time.Duration(age) * time.Hour))},
			Spec:       v1alpha1.SigningKeySpec{Audiences: audiences},
		}
	}
	going := func(key v1alpha1.SigningKey) v1alpha1.SigningKey {
		key.DeletionTimestamp = &metav1.Time{Time: now}
		return key
	}
	cases := map[string]struct {
		keys []v1alpha1.SigningKey
		want map[v1alpha1.Audience]string
	}{
		"one that is being deleted gives up":  {[]v1alpha1.SigningKey{key("a", 1, "x"), going(key("b", 2, "x", "y"))}, map[v1alpha1.Audience]string{"x": "a"}},
		"nobody":                              {nil, map[v1alpha1.Audience]string{}},
		"each its own":                        {[]v1alpha1.SigningKey{key("a", 1, "x"), key("b", 2, "y")}, map[v1alpha1.Audience]string{"x": "a", "y": "b"}},
		"the older keeps it":                  {[]v1alpha1.SigningKey{key("a", 1, "x"), key("b", 2, "x")}, map[v1alpha1.Audience]string{"x": "b"}},
		"of the same age the first name":      {[]v1alpha1.SigningKey{key("b", 1, "x"), key("a", 1, "x")}, map[v1alpha1.Audience]string{"x": "a"}},
		"the younger keeps what nobody holds": {[]v1alpha1.SigningKey{key("a", 1, "x", "y"), key("b", 2, "x")}, map[v1alpha1.Audience]string{"x": "b", "y": "a"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, keyring.AudienceOwners(c.keys)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJWKSIsTheSameWhateverTheOrder(t *testing.T) {
	first, _ := rotated(t)
	second, _ := rotated(t)
	first.Keys[0].State = v1alpha1.KeyRevoked
	text := func(rings ...keyring.Ring) string {
		out, err := json.Marshal(keyring.JWKS(rings...))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	want := text(first, second)
	if diff := cmp.Diff(want, text(second, first, second)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(want, first.Keys[0].KeyID) {
		t.Error("a revoked key is in the JWKS")
	}
	if got := len(keyring.JWKS(first, second).Keys); got != 5 {
		t.Errorf("%d keys, want 5", got)
	}
	if diff := cmp.Diff(`{"keys":[]}`, text()); diff != "" {
		t.Errorf("no keys are a list too (-want +got):\n%s", diff)
	}
}

// statusOf is what the controller writes.
func statusOf(ring keyring.Ring) v1alpha1.SigningKeyStatus {
	at := v1alpha1.NewDateTime
	status := v1alpha1.SigningKeyStatus{LastHandledRotate: ring.LastHandledRotate}
	for _, k := range ring.Keys {
		jwk, _ := k.JWK().MarshalJSON()
		status.Keys = append(status.Keys, v1alpha1.KeyStatus{
			KeyID: k.KeyID, Thumbprint: k.Thumbprint, State: k.State, JWK: string(jwk), CreatedTime: at(k.Created),
			PublishedTime: at(k.Published), ActivatedTime: at(k.Activated), SignUntil: at(k.SignUntil), RetiredTime: at(k.Retired),
		})
	}
	return status
}

func TestRecoverKeepsPublicHalvesAndBelievesNoneUnchecked(t *testing.T) {
	ring, _ := rotated(t)
	later := now.Add(1000 * time.Hour)
	cases := map[string]struct {
		reason string
		change func(*v1alpha1.SigningKeyStatus)
		want   []string
	}{
		"keys that signed": {
			reason: "the standby may have signed since the status was written", change: func(*v1alpha1.SigningKeyStatus) {},
			want: []string{"Retired " + ring.Keys[0].Thumbprint, "Retired " + ring.Keys[1].Thumbprint, "Retired " + ring.Keys[2].Thumbprint},
		},
		"a revoked key stays revoked": {
			change: func(s *v1alpha1.SigningKeyStatus) { s.Keys[1].State = v1alpha1.KeyRevoked },
			want: []string{"Retired " + ring.Keys[0].Thumbprint, "Revoked " + ring.Keys[1].Thumbprint,
				"Retired " + ring.Keys[2].Thumbprint},
		},
		"not a key under another's name": {
			change: func(s *v1alpha1.SigningKeyStatus) { s.Keys[1].JWK = s.Keys[2].JWK },
			want:   []string{"Retired " + ring.Keys[0].Thumbprint, "Retired " + ring.Keys[2].Thumbprint},
		},
		"not a kid that somebody chose": {
			change: func(s *v1alpha1.SigningKeyStatus) { s.Keys[1].KeyID = "chosen" },
			want:   []string{"Retired " + ring.Keys[0].Thumbprint, "Retired " + ring.Keys[2].Thumbprint},
		},
		"not what is no key": {
			change: func(s *v1alpha1.SigningKeyStatus) { s.Keys[0].JWK, s.Keys[1].JWK = "", `{"kty":"oct","k":"c2VjcmV0"}` },
			want:   []string{"Retired " + ring.Keys[2].Thumbprint},
		},
		"not the same key twice": {
			change: func(s *v1alpha1.SigningKeyStatus) { s.Keys = append(s.Keys[:1], s.Keys[0]) },
			want:   []string{"Retired " + ring.Keys[0].Thumbprint},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			status := statusOf(ring)
			c.change(&status)
			recovered := keyring.Recover(status, later, 7)
			var got []string
			for _, k := range recovered.Keys {
				got = append(got, string(k.State)+" "+k.Thumbprint)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if _, err := keyring.Decode(encoded(t, recovered)); err != nil {
				t.Errorf("it cannot be kept in a Secret: %v", err)
			}
		})
	}
}

func TestRecallKnowsWhatHappenedSinceTheBackup(t *testing.T) {
	ring, _ := rotated(t)
	later := now.Add(1000 * time.Hour)
	retired, signing, standby := ring.Keys[0], ring.Keys[1], ring.Keys[2]
	was := func(k keyring.Key, state v1alpha1.KeyState) keyring.Key {
		k.State = state
		return k
	}
	cases := map[string]struct {
		reason string
		backup []keyring.Key
		state  v1alpha1.KeyState // of the last key in the status
		want   []string
	}{
		"the standby signs since": {
			reason: "its private half is there", backup: []keyring.Key{signing, standby}, state: v1alpha1.KeyActive,
			want: []string{"Retired false", "Active true", "Retired false"},
		},
		"keys made since": {
			reason: "their tokens are out, and nobody can sign with them any more", backup: []keyring.Key{signing}, state: v1alpha1.KeyActive,
			want: []string{"Retired false", "Retired false", "Retired false"},
		},
		"a standby that still is one": {
			reason: "it signs next", backup: []keyring.Key{signing, standby}, state: v1alpha1.KeyPublished,
			want: []string{"Retired false", "Published true", "Retired false"},
		},
		"a key that signed and was replaced": {
			reason: "a standby of the backup that has signed must not be dropped as one that never did",
			backup: []keyring.Key{signing, standby}, state: v1alpha1.KeyRetired,
			want: []string{"Retired false", "Retired false", "Retired false"},
		},
		"the key that signed then, of which the status knows nothing any more": {
			reason: "there must not be two that sign", state: v1alpha1.KeyActive,
			backup: []keyring.Key{named(was(signing, v1alpha1.KeyActive), t), standby},
			want:   []string{"Retired false", "Active true", "Retired false", "Retired false"},
		},
		"a key revoked since": {
			reason: "a backup does not revive it", backup: []keyring.Key{was(standby, v1alpha1.KeyActive)}, state: v1alpha1.KeyRevoked,
			want: []string{"Revoked false", "Retired false", "Retired false"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			status := statusOf(ring)
			status.Keys[1].State, status.Keys[2].State = v1alpha1.KeyRetired, c.state
			before := keyring.Ring{Generation: 1, Keys: slices.Clone(c.backup)}
			recalled := keyring.Recall(before, status, later)
			var got []string
			for _, k := range recalled.Keys {
				got = append(got, fmt.Sprintf("%s %t", k.State, k.Private != nil))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if !keyring.Behind(before, status) || keyring.Behind(recalled, status) {
				t.Errorf("behind: %t before, %t after", keyring.Behind(before, status), keyring.Behind(recalled, status))
			}
			if _, err := keyring.Decode(encoded(t, recalled)); err != nil {
				t.Errorf("it cannot be kept in a Secret: %v", err)
			}
			if before.Keys[0].State != c.backup[0].State {
				t.Error("the backup itself was changed")
			}
		})
	}
	if retired.Private != nil {
		t.Error("the bench has a Retired key with a private half")
	}
}

// named is another key that was made at the same time as the status' newest.
func named(k keyring.Key, t *testing.T) keyring.Key {
	t.Helper()
	other, err := keyring.GenerateKey(rand.Reader, keyring.Params{Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint}, now)
	if err != nil {
		t.Fatal(err)
	}
	k.Thumbprint, k.KeyID, k.Public, k.Private = other.Thumbprint, other.KeyID, other.Public, other.Private
	k.Chain, k.CertifiedUntil = nil, time.Time{}
	k.Created = k.Created.Add(1000 * time.Hour)
	return k
}

func TestRingThatWentOnWithoutTheStatusIsNotBehind(t *testing.T) {
	ring, _ := rotated(t)
	status := statusOf(ring)
	status.Keys = status.Keys[:2] // from before the standby was made
	gone := keyring.Ring{Generation: 9, Keys: slices.Clone(ring.Keys[2:])}
	gone.Keys[0].Created = ring.Keys[1].Created.Add(time.Hour)
	if keyring.Behind(gone, status) {
		t.Error("the key that the status calls Active is dead; its successor is there")
	}
	if diff := cmp.Diff(v1alpha1.KeyPublished, keyring.Recall(gone, status, now).Keys[0].State); diff != "" {
		t.Errorf("a key that is newer than the status (-want +got):\n%s", diff)
	}
}
