package manifest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"pgregory.net/rapid"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// specimens are objects with every field that a person writes, of each kind, and where the API server takes them.
var specimens = map[string]string{
	"/apis/tokenwright.dev/v1alpha1/namespaces/default/accesspolicies": `
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: a, namespace: default, labels: {a: b}, annotations: {c: d}, finalizers: [example.com/f]}
spec:
  effect: Deny
  subjects: [{kind: User, name: alice}, {kind: ServiceAccount, name: ci, namespace: team-a}]
  audiences: [registry.example.com, other]
  rules: [{type: repository, names: [default/a, "default/${subject.username}/**"], actions: [pull, push]}, {type: album, names: [x], actions: ["*"]}]
  when: {sourceRanges: [10.0.0.0/8, "fd00::/8"], notBefore: "2026-01-01T00:00:00Z", notAfter: "2027-01-01T00:00:00Z", expression: "true"}
`,
	"/apis/tokenwright.dev/v1alpha1/clusteraccesspolicies": `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: a}
spec:
  subjects: [{kind: Group, name: "system:authenticated"}]
  rules: [{type: registry, names: [catalog], actions: ["*"]}, {type: nats, names: ["a.>"], actions: [publish]}, {type: oauth, names: ["*"], actions: [introspect]}]
  offlineAccess: {maxLifetime: 2160h}
  claims: [{name: prvd, value: {permissions: 415, x: [1.5, null]}}, {name: other, value: 1}]
`,
	"/apis/tokenwright.dev/v1alpha1/namespaces/default/signingkeys": `
apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: a, namespace: default}
spec:
  audiences: [a, b]
  namespaces: {from: Selector, selector: {matchLabels: {a: b}, matchExpressions: [{key: x, operator: In, values: [v, w]}]}}
  algorithm: RS256
  rsaKeySize: 3072
  tokenLifetime: 10m
  rotation: {interval: 720h, publishAhead: 1h}
  publish: {configMapName: c, namespaces: [d, e]}
  revokedKeyIDs: [k, l]
`,
	"/apis/tokenwright.dev/v1alpha1/namespaces/default/identityproviders": `
apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: a, namespace: default}
spec: {htpasswd: {secretRef: {name: users, key: k}}}
`,
	"/api/v1/namespaces/default/secrets": `
apiVersion: v1
kind: Secret
metadata: {name: a, namespace: default, labels: {a: b}}
type: example.com/t
immutable: true
data: {a: YQ==, b: ""}
stringData: {b: c, d: e}
`,
	"/api/v1/namespaces": `
apiVersion: v1
kind: Namespace
metadata: {name: a, labels: {a: b, c: d}}
`,
}

// oddities are values that are wrong in most places, or right in a way of their own.
var oddities = []string{
	`null`, `""`, `0`, `1.0`, `1e3`, `-1`, `true`, `[]`, `{}`, `[null]`, `{"a": "b"}`, `["a", "a"]`, `"90d"`, `"A B"`, `"a/b"`, `"system:masters"`, `"10.0.0.0/33"`,
	`"2026-13-45T25:61:61Z"`, `"a..b"`, `"YQ"`, `"Allow"`, `"Group"`, `"` + strings.Repeat("x", 300) + `"`, `"2028-01-01T00:00:00Z"`, `"\u0000"`, `"**"`, `"nats"`,
}

// TestAsTheAPIServer shows that what is read is what a real API server takes, and that what is wrong is what it refuses, in
// its own words: on specimens that were spoilt in up to three places.
func TestAsTheAPIServer(t *testing.T) {
	plane, err := controlplane.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	t.Run("kubectl", func(t *testing.T) { asKubectl(t, plane) })
	server := &apiServer{config: plane.Config}
	for _, path := range slices.Sorted(maps.Keys(specimens)) {
		t.Run(path, func(t *testing.T) {
			if _, problems := readText(t, specimens[path]); !server.compare(t, path, specimens[path]) {
				t.Fatalf("the specimen is refused: %s", lines(problems))
			}
			taken, refused := 0, 0
			rapid.Check(t, func(rt *rapid.T) {
				var object map[string]any
				if err := sigsyaml.Unmarshal([]byte(specimens[path]), &object); err != nil {
					rt.Fatal(err)
				}
				for range rapid.IntRange(0, 3).Draw(rt, "places") {
					spoil(rt, object)
				}
				text, err := json.MarshalIndent(object, "", " ")
				if err != nil {
					rt.Fatal(err)
				}
				if server.compare(rt, path, string(text)) {
					taken++
				} else {
					refused++
				}
			})
			if taken < 10 || refused < 10 {
				t.Errorf("%d objects were taken and %d refused: this shows too little", taken, refused)
			}
		})
	}
}

// spoil changes one place below the kind.
func spoil(rt *rapid.T, object map[string]any) {
	at := any(object)
	for depth := 0; ; depth++ {
		switch parent := at.(type) {
		case map[string]any:
			keys := slices.DeleteFunc(slices.Sorted(maps.Keys(parent)), func(k string) bool { return depth == 0 && (k == "kind" || k == "apiVersion") })
			if len(keys) == 0 || rapid.IntRange(0, 9).Draw(rt, "add?") == 0 {
				parent[rapid.SampledFrom([]string{"unknown", "effect", "name", "namespace", "key"}).Draw(rt, "new key")] = odd(rt)
				return
			}
			key := rapid.SampledFrom(keys).Draw(rt, "key")
			if deeper(rt, parent[key]) {
				at = parent[key]
				continue
			}
			if rapid.Bool().Draw(rt, "delete?") {
				delete(parent, key)
			} else {
				parent[key] = odd(rt)
			}
			return
		case []any:
			i := rapid.IntRange(0, len(parent)-1).Draw(rt, "index")
			if deeper(rt, parent[i]) {
				at = parent[i]
				continue
			}
			parent[i] = odd(rt)
			if rapid.Bool().Draw(rt, "twice?") {
				parent[i] = parent[0]
			}
			return
		}
	}
}

func deeper(rt *rapid.T, v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return rapid.IntRange(0, 9).Draw(rt, "deeper?") > 0
	case []any:
		return len(v) > 0 && rapid.IntRange(0, 9).Draw(rt, "deeper?") > 0
	}
	return false
}

func odd(rt *rapid.T) any { return json.RawMessage(rapid.SampledFrom(oddities).Draw(rt, "value")) }

type apiServer struct{ config *rest.Config }

// compare fails the test unless reader and API server agree. It says whether they took the object.
func (s *apiServer) compare(t rapid.TB, path, text string) bool {
	t.Helper()
	set, problems, err := readAll(text)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	body := []byte(text)
	if body[0] != '{' { // in YAML 1.0 is an integer, in JSON it is not
		if body, err = sigsyaml.YAMLToJSON(body); err != nil {
			t.Fatalf("to JSON: %v", err)
		}
	}
	if stricter(problems) {
		return false
	}
	code, answer := s.create(t, path, body)
	if bytes.Contains(answer, []byte("does not match the namespace sent on the request")) {
		return false // which is about the request and not about the object
	}
	if code >= 300 {
		if len(problems) == 0 {
			t.Fatalf("the API server refuses what is taken: %s\n%s", answer, text)
		}
		s.sameWords(t, problems, answer)
		return false
	}
	if len(problems) > 0 {
		t.Fatalf("the API server takes what is refused: %s\n%s", lines(problems), text)
	}
	if diff := cmp.Diff(stored(t, answer), stored(t, encoded(t, set))); diff != "" {
		t.Fatalf("what is stored (-API server +reader):\n%s\n%s", diff, text)
	}
	return true
}

// stricter says whether something is refused that an API server may take, because nobody can have meant it.
func stricter(problems []problem) bool {
	return slices.ContainsFunc(problems, func(p problem) bool {
		return p.Path == "metadata.name" && p.Message == "must be given" || // it would make one up
			p.Message == "Forbidden: not allowed on this type" || // it drops such a namespace
			strings.HasPrefix(p.Path, "data[") && strings.HasPrefix(p.Message, "must be a text") // a list of numbers is bytes to Go
	})
}

// sameWords compares what is wrong where the API server says all of it: it stops early at what it cannot decode.
func (s *apiServer) sameWords(t rapid.TB, problems []problem, answer []byte) {
	var status metav1.Status
	if err := json.Unmarshal(answer, &status); err != nil {
		t.Fatalf("not a status: %s", answer)
	}
	if status.Reason != metav1.StatusReasonInvalid || status.Details.Kind == "Secret" || status.Details.Kind == "Namespace" {
		return
	}
	var want, got []string
	for _, c := range status.Details.Causes {
		if !strings.Contains(c.Message, "some validation rules were not checked") {
			want = append(want, strings.TrimPrefix(c.Field, "<nil>")+": "+c.Message)
		}
	}
	for _, p := range problems {
		got = append(got, p.Path+": "+p.Message)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("what is wrong (-API server +reader):\n%s", diff)
	}
}

func (s *apiServer) create(t rapid.TB, path string, body []byte) (int, []byte) {
	client, err := rest.HTTPClientFor(s.config)
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	url := strings.TrimSuffix(s.config.Host, "/") + path + "?dryRun=All&fieldValidation=Strict"
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	return response.StatusCode, answer
}

// stored is an object without what only an API server knows.
func stored(t rapid.TB, text []byte) map[string]any {
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("not an object: %s", text)
	}
	metadata := object["metadata"].(map[string]any)
	for _, key := range []string{"uid", "creationTimestamp", "generation", "resourceVersion", "managedFields", "selfLink"} {
		delete(metadata, key)
	}
	if object["kind"] == "Namespace" {
		delete(object, "status")
		delete(object, "spec")
	}
	return withoutEmpty(object).(map[string]any)
}

// withoutEmpty leaves out what is empty, as Go's types do when they are written.
func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			switch inner = withoutEmpty(inner); {
			case cmp.Equal(inner, map[string]any{}) || cmp.Equal(inner, []any{}) || inner == nil || inner == "":
				delete(v, key)
			default:
				v[key] = inner
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutEmpty(v[i])
		}
	}
	return v
}
