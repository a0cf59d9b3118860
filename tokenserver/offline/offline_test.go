package offline

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

var signingKeyKind = v1alpha1.GroupVersion.WithKind("SigningKey")

func TestWhatIsTakenOver(t *testing.T) {
	w := newWorld(t, map[string]string{
		"all.yaml": keyManifest + "---\n" + usersManifest + "---\n" + allowManifest + "---\n" + denyManifest,
		"sub/more.yml": `apiVersion: v1
kind: Namespace
metadata: {name: team-b, labels: {tier: gold}}
---
apiVersion: v1
kind: Secret
metadata: {name: unlabelled, namespace: tokenwright-system}
stringData: {x: "y"}
---
apiVersion: v1
kind: Secret
metadata: {name: elsewhere, namespace: team-a, labels: {tokenwright.dev/watch: "true"}}
---
apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: cluster, namespace: tokenwright-system}
spec: {kubernetes: {audiences: [tokenwright]}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: ci, namespace: team-a}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: album, namespace: team-c, labels: {x: "y"}, annotations: {x: "y"}}
spec: {audience: photos.example.com, scopes: [view], uris: [/album]}
---
apiVersion: tokenwright.dev/v1alpha1
kind: PermissionRequest
metadata: {name: asked, namespace: team-c}
spec: {resource: {name: album, uid: u}, audience: photos.example.com, owner: alice, requester: bob, scopes: [view]}
status: {state: Approved}
---
apiVersion: tokenwright.dev/v1alpha1
kind: TokenRevocation
metadata: {name: stolen, namespace: tokenwright-system}
spec: {token: {id: stolen}}
`,
	})
	w.start()
	want := map[string]string{
		"AccessPolicy": "team-a/allow", "ClusterAccessPolicy": "deny", "IdentityProvider": system + "/users", "SigningKey": system + "/registry",
		"Secret": system + "/registry-signing-key " + system + "/users", "Namespace": "team-a team-b team-c", "ProtectedResource": "team-c/album", "PermissionRequest": "",
	}
	got := map[string]string{
		"AccessPolicy": w.has(accessPolicyKind), "ClusterAccessPolicy": w.has(clusterAccessPolicyKind), "IdentityProvider": w.has(identityProviderKind),
		"SigningKey": w.has(signingKeyKind), "Secret": w.has(secretKind), "Namespace": w.has(namespaceKind),
		"ProtectedResource": w.has(protectedResourceKind), "PermissionRequest": w.has(v1alpha1.GroupVersion.WithKind("PermissionRequest")),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	album, _ := w.Objects().Get(protectedResourceKind, types.NamespacedName{Namespace: "team-c", Name: "album"})
	if r, ok := album.(*v1alpha1.ProtectedResource); !ok || len(r.Status.URIs) != 1 || r.Status.URIs[0].URI != "/album" {
		t.Errorf("no manager says since when the uri is claimed, and it would not be served: %+v", album)
	}
	labels := map[string]map[string]string{}
	for _, name := range []string{"team-a", "team-b"} {
		object, _ := w.Objects().Get(namespaceKind, types.NamespacedName{Name: name})
		if namespace, ok := object.(*metav1.PartialObjectMetadata); ok && namespace.Kind == "Namespace" {
			labels[name] = namespace.Labels
		}
	}
	if diff := cmp.Diff(map[string]map[string]string{
		"team-a": {corev1.LabelMetadataName: "team-a"}, "team-b": {corev1.LabelMetadataName: "team-b", "tier": "gold"},
	}, labels); diff != "" {
		t.Errorf("labels of namespaces (-want +got):\n%s", diff)
	}
	for _, text := range []string{
		"ServiceAccounts cannot log in here", `"objects"=3`, "Runs without a cluster: no records of tokens and no revocation of tokens, no ServiceAccounts",
	} {
		if !w.said(text) {
			t.Errorf("the log does not say %q:\n%s", text, w.logged())
		}
	}
	if w.said(hash) || w.said("keys are in memory") {
		t.Errorf("the log says what it must not:\n%s", w.logged())
	}
}

func TestWithoutAStateFolder(t *testing.T) {
	w := newWorld(t, map[string]string{"all.yaml": keyManifest})
	w.state = ""
	w.start()
	if !w.said("keys are in memory, end with the process, and are published in the JWKS only") {
		t.Errorf("the log does not say so:\n%s", w.logged())
	}
}

func secretManifest(change string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: evil, namespace: tokenwright-system" + change
}

// TestTheStartIsRefused has whoever may write a manifest try to give the server keys, too.
func TestTheStartIsRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		files  map[string]string
		want   []string
	}{
		"text that is no YAML": {"", map[string]string{"a.yaml": "kind: [\n"}, []string{"a.yaml:1: is not YAML"}},
		"several problems": {
			"all are listed, each with its place", map[string]string{
				"a.yaml": strings.Replace(allowManifest, "name: allow", "name: A", 1), "b.yaml": strings.Replace(denyManifest, "effect: Deny", "effect: Dney", 1),
				"c.yaml": keyManifest,
			}, []string{"a.yaml:3: AccessPolicy team-a/A: metadata.name: ", "b.yaml:5: ClusterAccessPolicy deny: spec.effect: "},
		},
		"one object twice": {
			"which of them is meant", map[string]string{"a.yaml": allowManifest, "b.yaml": allowManifest},
			[]string{"b.yaml:3: AccessPolicy team-a/allow: metadata.name: is given twice: also at "},
		},
		"a SigningKey elsewhere": {
			"tenants' keys are none", map[string]string{"a.yaml": strings.Replace(keyManifest, system, "team-a", 1)},
			[]string{`a.yaml:3: SigningKey team-a/registry: metadata.namespace: must be the system namespace, "tokenwright-system"`},
		},
		"an IdentityProvider elsewhere": {
			"tenants say nobody's name", map[string]string{"a.yaml": strings.ReplaceAll(usersManifest, system, "team-a")},
			[]string{`a.yaml:3: IdentityProvider team-a/users: metadata.namespace: must be the system namespace`},
		},
		"a key in a Secret of its type": {
			"who wrote it knows the private half", map[string]string{"a.yaml": secretManifest("}\ntype: tokenwright.dev/signing-key\n")},
			[]string{"a.yaml:4: Secret tokenwright-system/evil: type: must not be that of keys"},
		},
		"an authority in a Secret of its type": {
			"as above", map[string]string{"a.yaml": secretManifest("}\ntype: tokenwright.dev/certificate-authority\n")},
			[]string{"a.yaml:4: Secret tokenwright-system/evil: type: must not be that of keys"},
		},
		"a Secret with the name of the key's": {
			"it would take its place", map[string]string{"k.yaml": keyManifest, "a.yaml": strings.Replace(secretManifest("}\n"), "evil", "registry-signing-key", 1)},
			[]string{"a.yaml:3: Secret tokenwright-system/registry-signing-key: metadata.name: must not be one that the keys of a SigningKey can have"},
		},
		"a Secret with the name of a key to come": {
			"it would be in the way", map[string]string{"a.yaml": strings.Replace(secretManifest("}\n"), "evil", "later-certificate-authority", 1)},
			[]string{"metadata.name: must not be one that the keys of a SigningKey can have"},
		},
		"a Secret with the label of keys": {
			"it says to be one", map[string]string{"a.yaml": secretManifest(", labels: {tokenwright.dev/signing-key: registry}}\n")},
			[]string{"metadata.labels: must not have the label tokenwright.dev/signing-key"},
		},
		"a name that leads out of the state folder": {
			"the name of a SigningKey is that of a file", map[string]string{"a.yaml": strings.Replace(keyManifest, "name: registry", `name: "../../evil"`, 1)},
			[]string{"a.yaml:3: SigningKey tokenwright-system/../../evil: metadata.name: "},
		},
		"a ConfigMap that leads out of the state folder": {
			"as above", map[string]string{"a.yaml": strings.Replace(keyManifest, "spec: {", `spec: {publish: {configMapName: "../../evil"}, `, 1)},
			[]string{"a.yaml:4: SigningKey tokenwright-system/registry: spec.publish.configMapName: "},
		},
		"no namespace": {"which is not guessed", map[string]string{"a.yaml": strings.Replace(keyManifest, ", namespace: "+system, "", 1)}, []string{"metadata.namespace: "}},
		"no manifest":  {"the folder is another", map[string]string{"notes.txt": "x"}, []string{"there is no manifest in "}},
		"no folder":    {"", nil, []string{"manifests: no such file or directory"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.files)
			off, err := New(w.options())
			if err == nil {
				_ = off.Close()
				t.Fatalf("%s: it started", c.reason)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v\ndoes not say %q", c.reason, err, want)
				}
			}
			if _, err := os.Lstat(w.state); err == nil {
				t.Error("a state folder was made")
			}
			if found, _ := filepath.Glob(filepath.Join(w.state, "..", "..", "evil*")); len(found) > 0 {
				t.Errorf("written to %v", found)
			}
		})
	}
}

func TestManyProblemsAreCut(t *testing.T) {
	files := map[string]string{}
	for i := range 200 {
		files[fmt.Sprintf("%d.yaml", i)] = "kind: ["
	}
	w := newWorld(t, files)
	_, err := New(w.options())
	if err == nil || strings.Count(err.Error(), "\n") != maxTold+1 || !strings.Contains(err.Error(), "and 150 more") {
		t.Errorf("%v", err)
	}
}

func TestTheStateFolderIsApart(t *testing.T) {
	cases := map[string]struct {
		reason string
		place  func(w *world)
	}{
		"within the manifests":     {"jwks.json would be read as one", func(w *world) { w.state = filepath.Join(w.folder, "state") }},
		"the manifests themselves": {"", func(w *world) { w.state = w.folder }},
		"above the manifests":      {"public files would be between them", func(w *world) { w.state = filepath.Dir(w.folder) }},
		"behind a link": {"", func(w *world) {
			w.state = filepath.Join(filepath.Dir(w.folder), "link", "state")
			if err := os.Symlink(w.folder, filepath.Dir(w.state)); err != nil {
				w.t.Fatal(err)
			}
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, map[string]string{"a.yaml": keyManifest})
			c.place(w)
			if _, err := New(w.options()); err == nil || !strings.Contains(err.Error(), "must not lie within each other") {
				t.Errorf("%s: %v", c.reason, err)
			}
		})
	}
}

func TestOneServerForOneStateFolder(t *testing.T) {
	w := newWorld(t, map[string]string{"a.yaml": keyManifest})
	w.start()
	if _, err := New(w.options()); err == nil || !strings.Contains(err.Error(), "is in use by another server") {
		t.Errorf("a second one: %v", err)
	}
	w.stop()
	w.start()
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, map[string]string{"a.yaml": keyManifest})
	w.start()
	w.write("b.yaml", "kind: [")
	w.eventually("the problem counted", func() bool { return w.Condition().ProblemCount == 1 })
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(w.Offline); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	if got["tokenwright_server_manifests_loaded_timestamp_seconds"] < 1e9 {
		t.Errorf("loaded at %v", got)
	}
	delete(got, "tokenwright_server_manifests_loaded_timestamp_seconds")
	want := map[string]float64{
		"tokenwright_server_manifest_files": 1, "tokenwright_server_manifest_problems": 1, "tokenwright_server_key_write_failures_total": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
