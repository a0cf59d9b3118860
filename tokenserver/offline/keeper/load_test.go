package keeper

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDamagedStates are folders with which the server must not start: it would draw other keys than registries trust.
func TestDamagedStates(t *testing.T) {
	keys, authority := "keys/registry-signing-key.json", "keys/registry-certificate-authority.json"
	edit := func(name, old, with string) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			path := filepath.Join(w.path, name)
			text, err := os.ReadFile(path)
			must(t, err)
			if !bytes.Contains(text, []byte(old)) {
				t.Fatalf("%s has no %q", name, old)
			}
			must(t, os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(with), 1), 0o600))
		}
	}
	remove := func(names ...string) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			for _, name := range names {
				must(t, os.RemoveAll(filepath.Join(w.path, name)))
			}
		}
	}
	cases := map[string]struct {
		reason string
		spoil  func(t *testing.T, w *world)
		// names the file and what is wrong with it.
		file, want string
	}{
		"a key set that is cut off":  {"", func(t *testing.T, w *world) { must(t, os.Truncate(filepath.Join(w.path, keys), 100)) }, keys, "is damaged: it is not the JSON of a Secret"},
		"a key set without its keys": {"", edit(keys, `"keyring.json": "`, `"keyring.json": "AAAA`), keys, "is damaged: entry keyring.json"},
		"a key set of another":       {"a file was copied", edit(keys, `"tokenwright.dev/signing-key": "registry"`, `"tokenwright.dev/signing-key": "zot"`), keys, "is damaged: it does not say whose it is"},
		"an authority without a key": {"", edit(authority, `"ca.key": "`, `"ca.key": "AAAA`), authority, "is damaged: entry ca.key"},
		"no key set":                 {"it was deleted, or not restored", remove(keys), keys, "does not exist, though its keys were published in"},
		"no keys at all":             {"the folder of keys was not restored", remove(keys, authority), keys, "does not exist, though its keys were published in"},
		"no authority":               {"no further key could be certified", remove(authority), authority, "does not exist, though registries trust the certificate authority in it: restore it"},
		"another authority": {
			"registries do not trust it", func(t *testing.T, w *world) {
				other := newWorld(t, signingKey("registry", nil))
				other.keep()
				text, err := os.ReadFile(filepath.Join(other.path, authority))
				must(t, err)
				must(t, os.WriteFile(filepath.Join(w.path, authority), text, 0o600))
			}, authority, "holds another certificate authority than the one that is published; restore it",
		},
		"a time that is none": {
			"", edit(keys, `"labels": {`, `"annotations": {"tokenwright.dev/removed": "yesterday"}, "labels": {`), keys,
			"is damaged: it does not say since when the SigningKey is gone",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, signingKey("registry", nil))
			w.keep()
			w.stop()
			c.spoil(t, w)
			before := map[string]string{}
			for _, file := range []string{keys, authority} {
				if text, err := os.ReadFile(filepath.Join(w.path, file)); err == nil {
					before[file] = string(text)
				}
			}
			err := w.tryStart()
			if want := filepath.Join(w.path, c.file) + " " + c.want; err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("%s: %v does not say %q", c.reason, err, want)
			}
			if strings.Contains(err.Error(), "-----") || strings.Contains(err.Error(), "LS0tLS") {
				t.Errorf("the error tells a key: %v", err)
			}
			for file, text := range before {
				if w.file(file) != text {
					t.Errorf("%s was changed", file)
				}
			}
		})
	}
}

func TestACrashBetweenTheAuthorityAndItsKeys(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	w.stop()
	// As it is when the process ends after the first write.
	must(t, os.Remove(filepath.Join(w.path, "keys", "registry-signing-key.json")))
	must(t, os.RemoveAll(filepath.Join(w.path, "public")))
	authority := w.file("keys", "registry-certificate-authority.json")
	w.start()
	w.keep()
	w.verify("registry", w.file("public", "registry-keys", "ca.crt"))
	if w.file("keys", "registry-certificate-authority.json") != authority {
		t.Error("it was made anew")
	}
}

// TestACrashWhilePublishing has a process that ended while it wrote the first file of what is public.
func TestACrashWhilePublishing(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	w.stop()
	folder := filepath.Join(w.path, "public", "registry-keys")
	must(t, os.RemoveAll(folder))
	must(t, os.Mkdir(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, ".new-published.json"), []byte(`{"sig`), 0o600))
	w.start()
	w.keep()
	w.verify("registry", w.file("public", "registry-keys", "ca.crt"))
}

// TestAnOlderStateIsRestored has somebody who puts back a copy of the folder of keys.
func TestAnOlderStateIsRestored(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	backup := w.file("keys", "registry-signing-key.json")
	authorities := w.file("public", "registry-keys", "ca.crt")
	w.until(begin.Add(150*time.Minute), nil)
	generation := w.inStore("registry").Generation
	w.stop()
	must(t, os.WriteFile(filepath.Join(w.path, "keys", "registry-signing-key.json"), []byte(backup), 0o600))
	w.start()
	w.keep()
	if got := w.inStore("registry").Generation; got <= generation {
		t.Errorf("the generation went back from %d to %d", generation, got)
	}
	if !w.said("an older state was restored") {
		t.Errorf("nobody is told:\n%s", w.log.String())
	}
	w.verify("registry", authorities)
}

// TestAStateFromBeforeARevocation has somebody who puts back a copy of the folder of keys when nothing but what is published
// remembers that a key was revoked.
func TestAStateFromBeforeARevocation(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	w.until(begin.Add(20*time.Minute), nil)
	leaked, backup := w.active("registry"), w.file("keys", "registry-signing-key.json")
	w.keys[0] = signingKey("registry", func(key *v1alpha1.SigningKey) { key.Spec.RevokedKeyIDs = []string{leaked} })
	w.keep()
	took := w.active("registry")
	w.keys[0] = signingKey("registry", nil)
	w.stop()
	must(t, os.WriteFile(filepath.Join(w.path, "keys", "registry-signing-key.json"), []byte(backup), 0o600))
	w.start()
	w.keep()
	if slices.Contains(w.published("registry-keys"), leaked) || w.active("registry") == leaked {
		t.Error("the revoked key signs or is trusted again")
	}
	if w.active("registry") != took {
		t.Error("the key that was public, and in the older state, does not sign")
	}
	w.verify("registry", w.file("public", "registry-keys", "ca.crt"))
}

// TestAStateFromBeforeAnotherAuthority has somebody who puts back a whole copy of the folder of keys, from before registries
// were given another ca.crt.
func TestAStateFromBeforeAnotherAuthority(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	files := []string{"registry-signing-key.json", "registry-certificate-authority.json"}
	backup := map[string]string{}
	for _, name := range files {
		backup[name] = w.file("keys", name)
	}
	w.keys[0] = annotated(w.keys[0], v1alpha1.AnnotationRotateCA, "1")
	w.keep()
	w.keys[0] = annotated(w.keys[0], v1alpha1.AnnotationConfirmCA, "1")
	w.keep()
	trusted := w.file("public", "registry-keys", "ca.crt")
	w.stop()
	for name, text := range backup {
		must(t, os.WriteFile(filepath.Join(w.path, "keys", name), []byte(text), 0o600))
	}
	want := filepath.Join(w.path, "keys", files[1]) + " holds another certificate authority than the one that is published"
	if err := w.tryStart(); err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("%v does not say %q", err, want)
	}
	if w.file("public", "registry-keys", "ca.crt") != trusted {
		t.Error("what registries trust was replaced")
	}
	must(t, os.RemoveAll(filepath.Join(w.path, "public", "registry-keys")))
	w.start()
	w.keep()
	w.verify("registry", w.file("public", "registry-keys", "ca.crt"))
}

// TestAGenerationThatNobodyReached has somebody who can write what is published: the key set must not leap to where no
// generation is believed any more.
func TestAGenerationThatNobodyReached(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	generation := w.inStore("registry").Generation
	w.stop()
	mark := filepath.Join(w.path, "public", "registry-keys", "published.json")
	must(t, os.WriteFile(mark, []byte(`{"signingKey":"registry","generation":9007199254740000}`), 0o644))
	w.start()
	w.keep()
	if got := w.inStore("registry").Generation; got > generation+10 {
		t.Errorf("the generation leapt from %d to %d", generation, got)
	}
	if got := w.file("public", "registry-keys", "published.json"); strings.Contains(got, "9007199254740000") {
		t.Errorf("what is published still says so: %s", got)
	}
}

func TestManifestsThatAreGoneKeepTheirFilesWhole(t *testing.T) {
	w := newWorld(t, signingKey("registry", nil))
	w.keep()
	w.keys = []*v1alpha1.SigningKey{}
	w.until(begin.Add(20*time.Minute), nil)
	w.stop()
	must(t, os.Truncate(filepath.Join(w.path, "keys", "registry-signing-key.json"), 10))
	if err := w.tryStart(); err == nil {
		t.Error("a damaged file is found only when its manifest comes back")
	}
}
