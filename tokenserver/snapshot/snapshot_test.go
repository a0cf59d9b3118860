package snapshot

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func newKey(t *testing.T, state v1alpha1.KeyState) keyring.Key {
	t.Helper()
	key, err := keyring.GenerateKey(rand.Reader, keyring.Params{
		Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, TokenLifetime: 15 * time.Minute}, noon)
	if err != nil {
		t.Fatal(err)
	}
	key.State, key.Published, key.Activated, key.SignUntil = state, noon, noon, noon.Add(time.Hour)
	if state == v1alpha1.KeyRetired || state == v1alpha1.KeyRevoked {
		key.Private, key.Retired = nil, noon
	}
	return key
}

func signingKey(name string, minute int, audiences ...v1alpha1.Audience) *v1alpha1.SigningKey {
	return &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(minute) * time.Minute))},
		Spec:       v1alpha1.SigningKeySpec{Audiences: audiences, TokenLifetime: "10m", KeyIdentification: v1alpha1.KeyID},
	}
}

func TestAudienceOfOneSigningKey(t *testing.T) {
	active := newKey(t, v1alpha1.KeyActive)
	broken := active
	broken.Private = newKey(t, v1alpha1.KeyActive).Private
	short := active
	short.TokenLifetime = 5 * time.Minute
	ring := func(keys ...keyring.Key) keyring.Ring { return keyring.Ring{Generation: 1, Keys: keys} }
	type want struct {
		usable   bool
		why      string // part of Unusable
		lifetime time.Duration
	}
	cases := map[string]struct {
		reason string
		args   Keys
		edit   func(*v1alpha1.SigningKey)
		want   want
	}{
		"an active key signs": {
			reason: "That is what it is for.",
			args:   Keys{Ring: ring(active), Known: true},
			want:   want{usable: true, lifetime: 10 * time.Minute},
		},
		"a key that was allowed less": {
			reason: "A longer token would outlive the key's publication.",
			args:   Keys{Ring: ring(short), Known: true},
			want:   want{usable: true, lifetime: 5 * time.Minute},
		},
		"a key whose halves do not fit": {
			reason: "Nobody could verify what it signs.",
			args:   Keys{Ring: ring(broken), Known: true},
			want:   want{why: "probe"},
		},
		"no active key": {
			reason: "A standby must not sign.",
			args:   Keys{Ring: ring(newKey(t, v1alpha1.KeyPublished)), Known: true},
			want:   want{why: "no key is active"},
		},
		"no key set": {
			reason: "There is nothing to sign with.",
			args:   Keys{Fault: "Secret x does not exist"},
			want:   want{why: "Secret x does not exist"},
		},
		"X509Chain without a certificate": {
			reason: "Registries could not verify what it signs.",
			args:   Keys{Ring: ring(active), Known: true},
			edit:   func(k *v1alpha1.SigningKey) { k.Spec.KeyIdentification = "" },
			want:   want{why: "certificate"},
		},
		"a lifetime that is none": {
			reason: "The schema refuses it; the offline tools have no schema.",
			args:   Keys{Ring: ring(active), Known: true},
			edit:   func(k *v1alpha1.SigningKey) { k.Spec.TokenLifetime = "90d" },
			want:   want{why: "tokenLifetime"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.args.Object = signingKey("registry", 0, "a", "b")
			if tc.edit != nil {
				tc.edit(tc.args.Object)
			}
			s := Build(Input{Keys: []Keys{tc.args}})
			for _, audience := range []string{"a", "b"} {
				a := s.Audiences[audience]
				if a == nil || a.Name != audience || a.SigningKey != "registry" {
					t.Fatalf("%s\naudience %s is %+v", tc.reason, audience, a)
				}
				got := want{usable: a.Signer != nil, lifetime: a.TokenLifetime}
				if tc.want.why != "" && strings.Contains(a.Unusable, tc.want.why) {
					got.why = tc.want.why
				}
				if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(want{})); diff != "" {
					t.Errorf("%s\n-want +got:\n%s\n%s", tc.reason, diff, a.Unusable)
				}
			}
		})
	}
}

func TestTheOlderOfTwoSigningKeysKeepsAnAudience(t *testing.T) {
	older, younger := newKey(t, v1alpha1.KeyActive), newKey(t, v1alpha1.KeyActive)
	s := Build(Input{Keys: []Keys{
		{Object: signingKey("a-younger", 1, "shared", "own"), Ring: keyring.Ring{Keys: []keyring.Key{younger}}, Known: true},
		{Object: signingKey("b-older", 0, "shared"), Ring: keyring.Ring{Keys: []keyring.Key{older}}, Known: true},
	}})
	got := map[string]string{}
	for name, a := range s.Audiences {
		got[name] = a.Signer.KeyID()
	}
	if diff := cmp.Diff(map[string]string{"shared": older.KeyID, "own": younger.KeyID}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(Counts{Keys: 2, SigningKeys: 2, UsableSigningKeys: 2}, s.Counts); diff != "" {
		t.Errorf("counts -want +got:\n%s", diff)
	}
}

func TestJWKSHasEveryPublicKeyAndNothingElse(t *testing.T) {
	active, retired, revoked := newKey(t, v1alpha1.KeyActive), newKey(t, v1alpha1.KeyRetired), newKey(t, v1alpha1.KeyRevoked)
	broken := newKey(t, v1alpha1.KeyActive)
	broken.Private = active.Private
	in := Input{Keys: []Keys{
		{Object: signingKey("a", 0, "a"), Ring: keyring.Ring{Keys: []keyring.Key{active, retired, revoked}}, Known: true},
		{Object: signingKey("b", 0, "b"), Ring: keyring.Ring{Keys: []keyring.Key{broken}}, Known: true},
		{Object: signingKey("c", 0, "c")},
	}}
	s := Build(in)
	var document struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(s.JWKS, &document); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, key := range document.Keys {
		got[key["kid"]] = true
		if _, ok := key["d"]; ok {
			t.Error("the document has a private key")
		}
	}
	// What the broken key signed before it broke is still to be verified.
	if diff := cmp.Diff(map[string]bool{active.KeyID: true, retired.KeyID: true, broken.KeyID: true}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	in.Keys[0], in.Keys[1] = in.Keys[1], in.Keys[0]
	again := Build(in)
	if !bytes.Equal(s.JWKS, again.JWKS) || s.JWKSETag != again.JWKSETag {
		t.Error("two replicas that list in another order serve another document")
	}
	in.Keys[1].Known = false
	if Build(in).JWKSETag == s.JWKSETag {
		t.Error("another document has the same tag")
	}
}

func TestAdmission(t *testing.T) {
	namespaces := NewNamespaces(map[string]map[string]string{"team-a": {"registry": "yes"}, "team-b": nil})
	registry := &metav1.LabelSelector{MatchLabels: map[string]string{"registry": "yes"}}
	invalid := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Near"}}}
	cases := map[string]struct {
		reason string
		args   v1alpha1.AdmittedNamespaces
		want   []string
	}{
		"All":                      {"Every namespace, also one that is not there yet.", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesAll}, []string{"team-a", "team-b", "team-c"}},
		"nothing given":            {"The schema's default.", v1alpha1.AdmittedNamespaces{}, []string{"team-a", "team-b", "team-c"}},
		"nothing but a selector":   {"What contradicts itself admits none.", v1alpha1.AdmittedNamespaces{Selector: registry}, nil},
		"None":                     {"None.", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesNone}, nil},
		"Selector":                 {"By label.", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: registry}, []string{"team-a"}},
		"Selector of everything":   {"An empty selector matches all that exist.", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{}}, []string{"team-a", "team-b"}},
		"Selector without one":     {"A selector that is absent matches none.", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector}, nil},
		"an invalid selector":      {"What cannot be understood admits none.", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: invalid}, nil},
		"a value that is not ours": {"What cannot be understood admits none.", v1alpha1.AdmittedNamespaces{From: "Some"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			key := signingKey("registry", 0, "a")
			key.Spec.Namespaces = tc.args
			admission := Build(Input{Keys: []Keys{{Object: key}}, Namespaces: namespaces}).Audiences["a"].Namespaces
			var got []string
			for _, namespace := range []string{"team-a", "team-b", "team-c"} {
				if admission.Admits(namespace) {
					got = append(got, namespace)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestBuilderRemembersOnlyWhatIsTheSame(t *testing.T) {
	var b Builder
	key := newKey(t, v1alpha1.KeyActive)
	object := signingKey("registry", 0, "a")
	object.Spec.Namespaces = v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector,
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"registry": "yes"}}}
	build := func(key keyring.Key, labels map[string]string) *Audience {
		in := Input{Keys: []Keys{{Object: object, Ring: keyring.Ring{Keys: []keyring.Key{key}}, Known: true}}}
		in.Namespaces = NewNamespaces(map[string]map[string]string{"team-a": labels})
		return b.Build(in).Audiences["a"]
	}
	first := build(key, map[string]string{"registry": "yes"})
	second := build(key, nil)
	if first.Signer != second.Signer {
		t.Error("the key was tested anew")
	}
	if !first.Namespaces.Admits("team-a") || second.Namespaces.Admits("team-a") {
		t.Error("a label taken away did not count")
	}
	renewed := key
	renewed.SignUntil = key.SignUntil.Add(time.Hour)
	if third := build(renewed, nil); third.Signer == first.Signer || !third.Signer.SignUntil().Equal(renewed.SignUntil) {
		t.Error("the signer of a key that changed was kept")
	}
}

func TestHolder(t *testing.T) {
	var h Holder
	empty := h.Load()
	if empty == nil || empty.Policies != nil || len(empty.Audiences) != 0 || string(empty.JWKS) != `{"keys":[]}` || !empty.BuiltAt.IsZero() {
		t.Errorf("the snapshot before the first is %+v", empty)
	}
	next := Build(Input{Policies: policy.NewIndex(nil), At: noon, Providers: []*provider.Provider{
		{Name: "b"}, {Name: "a", Prefix: "x", Htpasswd: &provider.Htpasswd{}}}})
	h.Store(next)
	if h.Load() != next {
		t.Error("the stored snapshot is not the current one")
	}
	if next.Providers[0].Name != "a" || next.Prefixes[0] != "x" {
		t.Errorf("providers %+v, prefixes %q", next.Providers, next.Prefixes)
	}
}
