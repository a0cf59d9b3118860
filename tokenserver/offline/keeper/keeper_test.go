package keeper

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func TestTheFirstKeys(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	if _, err := w.look(); err != nil {
		t.Fatal(err)
	}
	if got := w.states("registry"); got != "Active Pending" {
		t.Errorf("before the server has started: %s", got)
	}
	w.keep()
	if got := w.states("registry"); got != "Active Published" {
		t.Errorf("once the server serves the standby: %s", got)
	}
	ring := w.inStore("registry")
	want, err := keyring.PublicData(ring)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, entry := range []string{"jwks.json", "ca.crt", "key.pem"} {
		got[entry] = w.file("public", "registry-keys", entry)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("public files (-want +got):\n%s", diff)
	}
	w.verify("registry", got["ca.crt"])
}

// TestRotation plays several days, at the times at which the keeper asks to be woken.
func TestRotation(t *testing.T) {
	for name, identification := range map[string]v1alpha1.KeyIdentification{"with a chain": v1alpha1.X509Chain, "with a key id": v1alpha1.KeyID} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, signingKey("registry", func(k *v1alpha1.SigningKey) {
				k.Spec.KeyIdentification = identification
				k.Spec.Rotation.PublishAhead = "10m"
			}))
			w.keep()
			signed, public := map[string]time.Time{}, map[string]time.Time{}
			authorities := ""
			if identification == v1alpha1.X509Chain {
				authorities = w.file("public", "registry-keys", "ca.crt")
			}
			generation := int64(0)
			w.until(begin.Add(5*time.Hour), func() {
				ring, _ := w.inStore("registry"), w.keep()
				active := w.active("registry")
				signed[active] = w.now
				for _, k := range w.published("registry-keys") {
					if public[k].IsZero() {
						public[k] = w.now
					}
				}
				for k, last := range signed {
					if w.now.Sub(last) < 7*time.Minute && !slices.Contains(w.published("registry-keys"), k) {
						t.Errorf("at %s: a token of %s lives, and its key is not public", w.now.Sub(begin), k)
					}
				}
				if authorities != "" {
					w.verify("registry", authorities)
				}
				if ring.Generation < generation {
					t.Errorf("the generation went back from %d to %d", generation, ring.Generation)
				}
				generation = ring.Generation
			})
			if len(signed) != 6 {
				t.Errorf("%d keys signed in 5 hours, want the first and 5", len(signed))
			}
			if got := len(w.inStore("registry").Keys); got > 3 {
				t.Errorf("%d keys are left: the dead do not go", got)
			}
		})
	}
}

func TestNothingSignsBeforeTheServerServesIt(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	if _, err := w.look(); err != nil {
		t.Fatal(err)
	}
	first := w.active("registry")
	w.served, w.behind = []string{first}, true // the snapshot before the standby
	for w.now.Before(begin.Add(90 * time.Minute)) {
		wake, err := w.look()
		if err != nil {
			t.Fatal(err)
		}
		if wake.Sub(w.now) > retry && w.now.Sub(begin) < time.Hour {
			t.Fatalf("at %s it sleeps for %s", w.now.Sub(begin), wake.Sub(w.now))
		}
		w.now = wake
	}
	if got := w.active("registry"); got != first {
		t.Error("a key signs that no verifier can know")
	}
	w.behind = false
	w.until(w.now.Add(2*time.Minute), nil)
	if w.active("registry") == first {
		t.Error("the rotation did not come once the server served the standby")
	}
}

func TestRequests(t *testing.T) {
	cases := map[string]struct {
		reason string
		spec   func(*v1alpha1.SigningKey)
		// ask is what somebody writes into the manifest.
		ask  func(w *world) *v1alpha1.SigningKey
		want bool
	}{
		"rotate": {
			"a new value asks for a rotation", nil,
			func(w *world) *v1alpha1.SigningKey { return annotated(w.keys[0], v1alpha1.AnnotationRotate, "now") }, true,
		},
		"activate": {
			"in mode Manual the standby waits for its name", func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Mode = v1alpha1.RotationManual },
			func(w *world) *v1alpha1.SigningKey {
				standby, _ := w.inStore("registry").Standby()
				return annotated(w.keys[0], v1alpha1.AnnotationActivate, standby.KeyID)
			}, true,
		},
		"activate another": {
			"there is no such standby", func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Mode = v1alpha1.RotationManual },
			func(w *world) *v1alpha1.SigningKey { return annotated(w.keys[0], v1alpha1.AnnotationActivate, "x") }, false,
		},
		"another algorithm": {
			"it is a rotation", nil,
			func(w *world) *v1alpha1.SigningKey {
				key := w.keys[0].DeepCopy()
				key.Spec.Algorithm = v1alpha1.ES384
				return key
			}, true,
		},
		"nothing": {"", nil, func(w *world) *v1alpha1.SigningKey { return w.keys[0] }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, signingKey("registry", c.spec))
			w.keep()
			before := w.active("registry")
			w.keys = []*v1alpha1.SigningKey{c.ask(w)}
			w.until(begin.Add(10*time.Minute), nil)
			if rotated := w.active("registry") != before; rotated != c.want {
				t.Errorf("%s: rotated %t", c.reason, rotated)
			}
			w.start()
			w.until(w.now.Add(10*time.Minute), nil)
			if rotated := w.active("registry") != before; rotated != c.want {
				t.Errorf("after a restart the request counts once more, or not at all: rotated %t", rotated)
			}
		})
	}
}

// TestAnotherAuthority has registries that are restarted with the new ca.crt, and the annotations that ask and confirm.
func TestAnotherAuthority(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	first := w.file("public", "registry-keys", "ca.crt")
	w.keys[0] = annotated(w.keys[0], v1alpha1.AnnotationRotateCA, "1")
	w.keep()
	w.verify("registry", first)
	both := w.file("public", "registry-keys", "ca.crt")
	if strings.Count(both, "BEGIN CERTIFICATE") != 2 || !w.said("waits: restart the registries with that file") {
		t.Fatalf("no second authority:\n%s\n%s", both, w.log.String())
	}
	w.start()
	w.keys[0] = annotated(w.keys[0], v1alpha1.AnnotationConfirmCA, "1")
	w.keep()
	w.verify("registry", both)
	if strings.HasPrefix(w.file("public", "registry-keys", "ca.crt"), first) {
		t.Error("the second authority was public before the restart, and the confirmation is not heard after it")
	}
	w.until(w.now.Add(time.Hour), func() { w.verify("registry", both) })
	last := w.file("public", "registry-keys", "ca.crt")
	if strings.Count(last, "BEGIN CERTIFICATE") != 1 || strings.HasPrefix(first, last) {
		t.Errorf("the first authority did not go:\n%s", last)
	}
	w.verify("registry", last)
}

func TestRevocation(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	leaked := w.active("registry")
	pem := w.file("public", "registry-keys", "key.pem")
	revoking := w.keys[0].DeepCopy()
	revoking.Spec.RevokedKeyIDs = []string{leaked}
	w.keys[0] = revoking
	w.keep()
	if w.active("registry") == leaked || slices.Contains(w.published("registry-keys"), leaked) || w.file("public", "registry-keys", "key.pem") == pem {
		t.Error("the revoked key signs or is trusted")
	}
	if strings.Contains(w.file("keys", "registry-signing-key.json"), "private-"+leaked) {
		t.Error("its private half is still in the state folder")
	}
	w.keys[0] = signingKey("registry", nil)
	w.start()
	w.keep()
	if slices.Contains(w.published("registry-keys"), leaked) {
		t.Error("it came back with a restart")
	}
}

func TestRevocationThoughNothingCanBeWritten(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	leaked := w.active("registry")
	revoking := w.keys[0].DeepCopy()
	revoking.Spec.RevokedKeyIDs = []string{leaked}
	if err := w.dir.Close(); err != nil {
		t.Fatal(err)
	}
	wake, err := w.keeper.Keep(w.now, []*v1alpha1.SigningKey{revoking})
	if err == nil {
		t.Fatal("it says that all is well")
	}
	if wake.Sub(w.now) > retry {
		t.Errorf("it is not tried again for %s", wake.Sub(w.now))
	}
	for _, k := range w.inStore("registry").Keys {
		if k.Thumbprint == leaked && k.State != v1alpha1.KeyRevoked {
			t.Errorf("the leaked key is %s", k.State)
		}
	}
}

func TestARestartKeepsTheKeys(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil), signingKey("zot", func(k *v1alpha1.SigningKey) {
		k.Spec.KeyIdentification, k.Spec.Rotation.Mode = v1alpha1.KeyID, v1alpha1.RotationNever
		k.Spec.Rotation.PublishAhead = "10m"
	}))
	w.keep()
	before := map[string]string{"registry": w.active("registry"), "zot": w.active("zot")}
	generation, authorities := w.inStore("registry").Generation, w.file("public", "registry-keys", "ca.crt")
	w.start()
	w.keep()
	if diff := cmp.Diff(before, map[string]string{"registry": w.active("registry"), "zot": w.active("zot")}); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if got := w.inStore("registry").Generation; got < generation {
		t.Errorf("the generation went back from %d to %d", generation, got)
	}
	w.verify("registry", authorities)
	w.stop()
	w.now = w.now.Add(30 * 24 * time.Hour)
	w.start()
	w.keep()
	w.verify("registry", authorities)
}

func TestWithoutAStateFolder(t *testing.T) {
	w := inMemory(t, signingKey("registry", nil), signingKey("other", func(k *v1alpha1.SigningKey) {
		k.Spec.KeyIdentification, k.Spec.Rotation.PublishAhead = v1alpha1.KeyID, "10m"
	}))
	w.keep()
	first := w.active("other")
	if !w.said("nobody can get its ca.crt") || w.said(`"signingKey"="other" "problems"`) {
		t.Errorf("the log does not say which SigningKey is of no use:\n%s", w.log.String())
	}
	w.until(begin.Add(90*time.Minute), nil)
	if w.active("other") == first {
		t.Error("keys in memory do not rotate")
	}
	w.start()
	w.keep()
	if w.active("other") == first {
		t.Error("a key outlived the process without being written anywhere")
	}
}

func TestOfTwoSigningKeysForOneAudienceTheFirstByNameKeepsIt(t *testing.T) {
	same := func(k *v1alpha1.SigningKey) { k.Spec.Audiences = []v1alpha1.Audience{"registry.example.com"} }
	w := newWorld(t, signingKey("b", same))
	w.keep()
	w.keys = append(w.keys, signingKey("a", same))
	w.keep()
	if !w.said(`"signingKey"="b" "problems"="audience \"registry.example.com\" is that of SigningKey \"a\", whose name comes first"`) {
		t.Errorf("the log:\n%s", w.log.String())
	}
	owners := keyring.AudienceOwners([]v1alpha1.SigningKey{*w.keyInStore("a"), *w.keyInStore("b")})
	if owners["registry.example.com"] != "a" {
		t.Errorf("it is %q's: another than after a restart", owners["registry.example.com"])
	}
}

func TestNamesOfWhatIsPublished(t *testing.T) {
	named := func(name string) func(*v1alpha1.SigningKey) {
		return func(k *v1alpha1.SigningKey) { k.Spec.Publish.ConfigMapName = name }
	}
	w := newWorld(t, signingKey("a", named("trust")), signingKey("b", named("trust")))
	w.keep()
	if got := w.states("b"); got != "Pending" || !w.said(`cannot be published as \"trust\", which are those of SigningKey \"a\"`) {
		t.Errorf("two SigningKeys under one name: %s\n%s", got, w.log.String())
	}
	before := w.file("public", "trust", "ca.crt")
	w.keys[1] = signingKey("b", named("other"))
	w.keep()
	w.verify("b", w.file("public", "other", "ca.crt"))
	w.keys[0] = signingKey("a", named("moved"))
	w.keep()
	if _, err := os.Lstat(filepath.Join(w.path, "public", "trust")); err == nil || w.file("public", "moved", "ca.crt") != before {
		t.Errorf("after the name changed: %v", err)
	}
	w.keys[0] = signingKey("a", named("../../evil"))
	if _, err := w.look(); err == nil || !strings.Contains(err.Error(), "the name cannot be that of a file") {
		t.Errorf("a name that leads out of the folder: %v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(w.path, "..", "..", "evil*")); len(found) > 0 {
		t.Errorf("written to %v", found)
	}
}
