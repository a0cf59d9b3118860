package offline

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestChangesTakeEffect(t *testing.T) {
	w := newWorld(t, map[string]string{"key.yaml": keyManifest, "allow.yaml": allowManifest, "users.yaml": usersManifest})
	w.start()
	began := time.Now()
	w.write("sub/deny.yaml", denyManifest)
	w.eventually("a file in a folder that is new", func() bool { return w.isThere(clusterAccessPolicyKind, "", "deny") })
	t.Logf("A new policy took effect after %s", time.Since(began).Round(time.Millisecond))

	w.write("allow.yaml", strings.Replace(allowManifest, "[pull, push]", "[pull]", 1))
	w.eventually("a file that changed", func() bool {
		object, ok := w.Objects().Get(accessPolicyKind, types.NamespacedName{Namespace: "team-a", Name: "allow"})
		policy, is := object.(*v1alpha1.AccessPolicy)
		return ok && is && len(policy.Spec.Rules[0].Actions) == 1 && policy.Generation == 2
	})
	w.remove("allow.yaml")
	w.eventually("a file that is gone", func() bool { return w.has(accessPolicyKind) == "" && w.has(namespaceKind) == "" })
	keys := w.version(secretKind, "registry-signing-key")
	w.write("users.yaml", strings.Replace(usersManifest, `labels: {tokenwright.dev/watch: "true"}`, "labels: {}", 1))
	w.eventually("a Secret that lost its label", func() bool {
		return !w.isThere(secretKind, system, "users") && w.isThere(secretKind, system, "registry-signing-key")
	})
	w.eventually("somebody is told", func() bool { return w.said(`Secret \"users\" lacks the label tokenwright.dev/watch`) })
	if w.said(hash) {
		t.Error("the log holds a password's hash")
	}
	if w.version(secretKind, "registry-signing-key") != keys {
		t.Error("the Secret of the keys was deleted or written, though no manifest speaks of it")
	}
}

// TestAFolderThatComesEmpty has nothing to read when the folder comes, and a file in it later.
func TestAFolderThatComesEmpty(t *testing.T) {
	w := newWorld(t, map[string]string{"key.yaml": keyManifest})
	w.start()
	started := w.Condition().Loaded
	w.eventually("what is watched first is looked at once more", func() bool { return w.Condition().Loaded.After(started) })
	made := time.Now()
	if err := os.Mkdir(w.folder+"/empty", 0o700); err != nil {
		t.Fatal(err)
	}
	w.eventually("the folder was noticed", func() bool { return w.Condition().Loaded.After(made) })
	w.write("empty/more.yaml", allowManifest)
	w.eventually("a file came into it", func() bool { return w.has(accessPolicyKind) == "team-a/allow" })
	w.remove("empty")
	w.eventually("it is gone", func() bool { return w.has(accessPolicyKind) == "" })
}

// version is the resource version of an object in the system namespace.
func (w *world) version(kind schema.GroupVersionKind, name string) string {
	object, ok := w.Objects().Get(kind, types.NamespacedName{Namespace: system, Name: name})
	if !ok {
		w.t.Fatalf("there is no %s %s", kind.Kind, name)
	}
	return object.GetResourceVersion()
}

// TestWhatIsRefusedChangesNothing has a set with a problem: neither what is better in it nor what is worse takes effect,
// until it is in order.
func TestWhatIsRefusedChangesNothing(t *testing.T) {
	cases := map[string]struct {
		reason string
		spoil  func(w *world)
		repair func(w *world)
		want   string
	}{
		"a Deny that cannot be read any more": {
			"it must not vanish", func(w *world) { w.write("deny.yaml", "kind: [") }, func(w *world) { w.write("deny.yaml", denyManifest) }, "deny.yaml:1: is not YAML",
		},
		"a Deny that the schema refuses": {
			"as above", func(w *world) {
				w.write("deny.yaml", strings.Replace(denyManifest, "type: repository", "typ: repository", 1))
			},
			func(w *world) { w.write("deny.yaml", denyManifest) }, "deny.yaml:7: ClusterAccessPolicy deny: spec.rules[0]",
		},
		"a file that is a link to nowhere": {
			"it may come back", func(w *world) {
				w.remove("deny.yaml")
				if err := os.Symlink("/nonexistent/deny.yaml", w.folder+"/deny.yaml"); err != nil {
					w.t.Fatal(err)
				}
			}, func(w *world) { w.write("deny.yaml", denyManifest) }, "no such file or directory",
		},
		"a file that became a pipe": {
			"nobody knows what comes out of it next", func(w *world) {
				w.put("deny.yaml", func(path string) error { return syscall.Mkfifo(path, 0o600) })
			}, func(w *world) { w.write("deny.yaml", denyManifest) }, "deny.yaml is neither a plain file nor a folder",
		},
		"a file that became a link to a device": {
			"", func(w *world) {
				w.put("deny.yaml", func(path string) error { return os.Symlink("/dev/null", path) })
			}, func(w *world) { w.write("deny.yaml", denyManifest) }, "deny.yaml is neither a plain file nor a folder",
		},
		"a folder that is a link to nowhere": {
			"what it leads to was not mounted", func(w *world) {
				w.put("denials", func(path string) error { return os.Symlink("/nonexistent/denials", path) })
			}, func(w *world) { w.remove("denials") }, "denials: no such file or directory",
		},
		"the folder is not there": {
			"a volume was not mounted", func(w *world) {
				if err := os.Rename(w.folder, w.folder+"-gone"); err != nil {
					w.t.Fatal(err)
				}
			}, func(w *world) {
				if err := os.Rename(w.folder+"-gone", w.folder); err != nil {
					w.t.Fatal(err)
				}
			}, "no such file or directory",
		},
		"a Secret that pretends to be a key": {
			"", func(w *world) { w.write("evil.yaml", secretManifest("}\ntype: tokenwright.dev/signing-key\n")) }, func(w *world) { w.remove("evil.yaml") },
			"must not be that of keys",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, map[string]string{"key.yaml": keyManifest, "allow.yaml": allowManifest, "deny.yaml": denyManifest})
			w.start()
			loaded := w.Condition().Loaded
			c.spoil(w)
			w.eventually("it is refused", func() bool { return w.Condition().Err() != nil })
			condition := w.Condition()
			if !strings.Contains(condition.Err().Error(), c.want) || condition.ProblemCount == 0 || !condition.Loaded.Equal(loaded) {
				t.Errorf("%s: %+v does not say %q", c.reason, condition, c.want)
			}
			if w.has(clusterAccessPolicyKind) != "deny" || w.has(accessPolicyKind) != "team-a/allow" || w.has(signingKeyKind) == "" {
				t.Errorf("%s: in force are %q, %q and %q", c.reason, w.has(clusterAccessPolicyKind), w.has(accessPolicyKind), w.has(signingKeyKind))
			}
			c.repair(w)
			w.eventually("it is in order again", func() bool { return w.Condition().Err() == nil })
			w.write("more.yaml", strings.ReplaceAll(allowManifest, "team-a", "team-b"))
			w.eventually("it is taken over again", func() bool { return w.isThere(accessPolicyKind, "team-b", "allow") })
			if count := strings.Count(w.logged(), "Refused the manifests"); count != 1 {
				t.Errorf("it was logged %d times", count)
			}
		})
	}
}

// TestWhatIsRefusedStaysRefused has a set with nothing wrong but where an object is, which is looked at again and again.
func TestWhatIsRefusedStaysRefused(t *testing.T) {
	w := newWorld(t, map[string]string{"key.yaml": keyManifest, "allow.yaml": allowManifest})
	off, err := New(w.options())
	if err != nil {
		t.Fatal(err)
	}
	defer off.Close()
	loaded, old := off.Condition().Loaded, time.Now().Add(-time.Hour)
	w.write("other.yaml", strings.ReplaceAll(keyManifest, system, "elsewhere"))
	if err := os.Chtimes(w.folder+"/other.yaml", old, old); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		off.reload()
		if c := off.Condition(); c.ProblemCount != 1 || !c.Loaded.Equal(loaded) {
			t.Errorf("%d problems, and manifests were in force last at %s, not %s", c.ProblemCount, c.Loaded, loaded)
		}
	}
}

// TestOneProblemRefusesAll has an Allow that was taken out of one file while another cannot be read.
func TestOneProblemRefusesAll(t *testing.T) {
	w := newWorld(t, map[string]string{"key.yaml": keyManifest, "allow.yaml": allowManifest})
	w.start()
	w.write("broken.yaml", "kind: [")
	w.eventually("it is refused", func() bool { return w.Condition().Err() != nil })
	w.remove("allow.yaml")
	w.write("broken-too.yaml", "kind: [")
	w.eventually("it is refused again", func() bool { return w.Condition().ProblemCount == 2 })
	if w.has(accessPolicyKind) != "team-a/allow" {
		t.Error("half of a set is in force")
	}
	w.remove("broken.yaml")
	w.remove("broken-too.yaml")
	w.eventually("the Allow is gone", func() bool { return w.has(accessPolicyKind) == "" })
}

// A policy that can be read but means nothing is in force as the engine has it, and somebody is told.
func TestAPolicyThatDoesNotCompile(t *testing.T) {
	w := newWorld(t, map[string]string{
		"key.yaml": keyManifest, "allow.yaml": strings.Replace(allowManifest, "names: [team-a/**]", "names: [team-b/**]", 1),
		"deny.yaml": denyManifest + "  when: {expression: 'nobody.knows(this)'}\n",
	})
	w.start()
	if w.has(accessPolicyKind) != "team-a/allow" || w.has(clusterAccessPolicyKind) != "deny" {
		t.Errorf("in force are %q and %q", w.has(accessPolicyKind), w.has(clusterAccessPolicyKind))
	}
	for _, text := range []string{
		`allow.yaml" "line"=6 "kind"="AccessPolicy" "name"="team-a/allow" "path"="spec.rules[0].names[0]" "reason"="OutsideNamespace"`,
		`"consequence"="it grants nothing"`, `deny.yaml" "line"=8 "kind"="ClusterAccessPolicy" "name"="deny" "path"="spec.when.expression"`, `"consequence"="it denies all within its reach"`,
	} {
		if !w.said(text) {
			t.Errorf("the log does not say %s:\n%s", text, w.logged())
		}
	}
	before := strings.Count(w.logged(), "Found a problem of a policy")
	w.write("more.yaml", strings.ReplaceAll(allowManifest, "team-a", "team-c"))
	w.eventually("another change", func() bool { return w.isThere(accessPolicyKind, "team-c", "allow") })
	if after := strings.Count(w.logged(), "Found a problem of a policy"); after != before {
		t.Errorf("what did not change is told again: %d, then %d times", before, after)
	}
}

// A provider whose expression the schema accepts and nobody can evaluate proves nobody, and somebody is told.
func TestAProviderThatDoesNotCompile(t *testing.T) {
	w := newWorld(t, map[string]string{"key.yaml": keyManifest, "hub.yaml": `apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: hub, namespace: tokenwright-system}
spec:
  jwt:
    issuer: {url: https://issuer.example.com, audiences: [registry.example.com]}
    prefix: "hub:"
    claimMappings: {username: {expression: claims.}}
`})
	w.start()
	const text = `hub.yaml" "line"=1 "identityProvider"="hub" "reason"="InvalidSpec" "problem"="jwt.claimMappings.username.expression: Invalid value:`
	if !w.said(text) {
		t.Errorf("the log does not say %s:\n%s", text, w.logged())
	}
}

func TestAllIsGone(t *testing.T) {
	w := newWorld(t, map[string]string{"key.yaml": keyManifest, "allow.yaml": allowManifest})
	w.start()
	w.remove("key.yaml")
	w.remove("allow.yaml")
	w.eventually("nothing is granted or signed", func() bool {
		object, ok := w.Objects().Get(signingKeyKind, types.NamespacedName{Namespace: system, Name: "registry"})
		return w.has(accessPolicyKind) == "" && ok && !object.GetDeletionTimestamp().IsZero()
	})
	w.write("key.yaml", keyManifest)
	w.eventually("it signs again", func() bool {
		object, ok := w.Objects().Get(signingKeyKind, types.NamespacedName{Namespace: system, Name: "registry"})
		return ok && object.GetDeletionTimestamp().IsZero()
	})
}
