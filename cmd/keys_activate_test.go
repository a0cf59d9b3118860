package cmd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func (b *keysBench) testActivate(t *testing.T) {
	t.Run("by each id", b.activatesByAnyID)
	t.Run("refuses", b.refusesToActivate)
	t.Run("too young", b.activatesLater)
}

// activatesByAnyID runs what the documentation tells people to: list, restart the registries, activate.
func (b *keysBench) activatesByAnyID(t *testing.T) {
	ids := map[string]func(v1alpha1.KeyStatus) string{
		"thumbprint": func(k v1alpha1.KeyStatus) string { return k.Thumbprint },
		"kid":        func(k v1alpha1.KeyStatus) string { return k.KeyID },
		"another":    func(k v1alpha1.KeyStatus) string { return libTrustOf(t, k) },
	}
	for name, id := range ids {
		t.Run(name, func(t *testing.T) {
			key := b.ready(t, "activated-by-"+name, manual, func(spec *v1alpha1.SigningKeySpec) { spec.KeyIDFormat = v1alpha1.SSHFingerprintMD5 }, rsa)
			before := key.Status.ActiveKeyID
			standby, _ := inState(key, v1alpha1.KeyPublished)
			listed := b.keys(t, "list", key.Name, "--state=Published", "-o", "name")
			if want := (output{0, standby.KeyID + "\n", ""}); listed != want {
				t.Fatalf("want %+v, got %+v", want, listed)
			}
			got := b.keys(t, "activate", key.Name, id(standby), "--wait")
			if want := fmt.Sprintf("Key %q signs now, instead of %q.\n", standby.KeyID, before); got.Status != 0 || !strings.HasSuffix(got.Stdout, want) {
				t.Errorf("want last %q, got %+v", want, got)
			}
			b.read(t, key)
			if active, _ := inState(key, v1alpha1.KeyActive); active.Thumbprint != standby.Thumbprint {
				t.Errorf("%s signs", active.Thumbprint)
			}
			again := b.keys(t, "activate", key.Name, id(standby))
			if want := (output{0, fmt.Sprintf("Key %q signs, as before.\n", standby.KeyID), ""}); again != want {
				t.Errorf("a script that is run again: want %+v, got %+v", want, again)
			}
		})
	}
}

// rsa because EC keys of P-256 have a kid in each format, too, and so this covers another kind.
func rsa(spec *v1alpha1.SigningKeySpec) { spec.Algorithm, spec.RSAKeySize = v1alpha1.RS256, 2048 }

func libTrustOf(t *testing.T, k v1alpha1.KeyStatus) string {
	t.Helper()
	var public jose.JSONWebKey
	if err := public.UnmarshalJSON([]byte(k.JWK)); err != nil {
		t.Fatal(err)
	}
	id, err := keyring.KeyID(public.Key, v1alpha1.LibTrust)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *keysBench) refusesToActivate(t *testing.T) {
	byHand := func(key *v1alpha1.SigningKey) { manual(&key.Spec) }
	status := v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1, Keys: someKeys()}
	pending := status
	pending.Keys = someKeys()[3:]
	pending.Conditions = conditions(metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRequestFailed, Message: "It failed",
	})
	b.static(t, "automatic", status)
	b.static(t, "by-hand", status, byHand)
	b.static(t, "waits", pending, byHand)
	b.static(t, "only", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1, Keys: someKeys()[4:]}, byHand)
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"in mode Automatic": {
			"the annotation would mean nothing there", []string{"automatic", "standby"},
			`SigningKey "automatic" has rotation.mode Automatic, in which nobody names the next key; to ask for the next one: tokenwright keys rotate automatic --namespace=unmanaged`,
		},
		"an unknown key": {"", []string{"by-hand", "other"}, `SigningKey "by-hand" has no key "other"; its standby is "standby"`},
		"a retired key": {
			"no key comes back", []string{"by-hand", "t-retired"},
			`key "t-retired" of SigningKey "by-hand" is Retired and will never sign again; its standby is "standby"`,
		},
		"a revoked key": {
			"", []string{"by-hand", "old"}, `key "old" of SigningKey "by-hand" is Revoked and will never sign again; its standby is "standby"`,
		},
		"an unknown key where no standby is made": {
			"", []string{"only", "x"}, `SigningKey "only" has no key "x"; its standby is not made yet`,
		},
		"a key that is not public": {
			"nobody can know it yet", []string{"waits", "next"},
			`key "next" of SigningKey "waits" is Pending: it must be Published first, and those who verify must know it: SigningKey "waits" is not Ready: RequestFailed: It failed`,
		},
		"an unknown key where none is public": {
			"", []string{"waits", "x"}, `SigningKey "waits" has no key "x"; its standby is "next", which is not Published yet`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := b.keys(t, append([]string{"activate", "-n", unmanaged}, tc.args...)...)
			if diff := cmp.Diff(output{1, "", "error: " + tc.want + "\n"}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// activatesLater shows from when on a young standby will sign, by the manager's default for the clocks.
func (b *keysBench) activatesLater(t *testing.T) {
	key := b.ready(t, "young", manual, func(spec *v1alpha1.SigningKeySpec) { spec.Rotation.PublishAhead = "3h" })
	standby, _ := inState(key, v1alpha1.KeyPublished)
	published, err := standby.PublishedTime.Parse()
	if err != nil {
		t.Fatal(err)
	}
	got := b.keys(t, "activate", "young", standby.KeyID)
	first := fmt.Sprintf("Key %q will sign from %s (in ", standby.KeyID, published.Add(3*time.Hour+time.Minute).Format(time.RFC3339))
	if last := ") on: 3h and a minute after it was published.\n"; got.Status != 0 || !strings.HasPrefix(got.Stdout, first) || !strings.HasSuffix(got.Stdout, last) {
		t.Errorf("want %q and %q, got %+v", first, last, got)
	}
	b.read(t, key)
	if got := key.Annotations[v1alpha1.AnnotationActivate]; got != standby.KeyID {
		t.Errorf("the annotation names %q", got)
	}
	wroteOnly(t, key, `{"f:metadata":{"f:annotations":{".":{},"f:tokenwright.dev/activate":{}}}}`)
	waits := b.keys(t, "activate", "young", standby.KeyID, "--wait", "--timeout=1m")
	if want := "error: that is later than --timeout=1m0s: not waiting; the request stands\n"; waits.Status != 1 || waits.Stderr != want {
		t.Errorf("want %q, got %+v", want, waits)
	}
}
