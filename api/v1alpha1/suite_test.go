package v1alpha1_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

var plane *controlplane.Plane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if plane, err = controlplane.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = plane.Stop() }()
	return m.Run()
}

// m is a JSON object.
type m = map[string]any

// l is a JSON list.
type l = []any

// merged returns base with the patch laid over it, as in a JSON merge patch: nil takes a field away, lists are replaced.
func merged(base, patch m) m {
	out := maps.Clone(base)
	if out == nil {
		out = m{}
	}
	for key, value := range patch {
		inner, isObject := value.(m)
		switch {
		case value == nil:
			delete(out, key)
		case isObject:
			under, _ := out[key].(m)
			out[key] = merged(under, inner)
		default:
			out[key] = value
		}
	}
	return out
}

// at returns the object in which only the field at the dotted path is set.
func at(path string, value any) m {
	first, rest, nested := strings.Cut(path, ".")
	if nested {
		return m{first: at(rest, value)}
	}
	return m{first: value}
}

// many returns n different strings or objects.
func many(n int, one func(i int) any) l {
	out := make(l, 0, n)
	for i := range n {
		out = append(out, one(i))
	}
	return out
}

// kind is one of our kinds with the smallest valid object.
type kind struct {
	name, plural string
	namespaced   bool
	spec         m
	// statusless kinds have no status.
	statusless bool
	// named, if given, makes a name and a spec that go together.
	named func(name string, spec any) (string, any)
}

var (
	accessPolicy = kind{name: "AccessPolicy", plural: "accesspolicies", namespaced: true, spec: m{
		"subjects": l{m{"kind": "User", "name": "alice"}},
		"rules":    l{m{"type": "repository", "names": l{"team-a/**"}, "actions": l{"pull"}}},
	}}
	clusterAccessPolicy = kind{name: "ClusterAccessPolicy", plural: "clusteraccesspolicies", spec: accessPolicy.spec}
	signingKey          = kind{name: "SigningKey", plural: "signingkeys", namespaced: true, spec: m{
		"audiences": l{"registry.example.com"},
	}}
	identityProvider = kind{name: "IdentityProvider", plural: "identityproviders", namespaced: true, spec: m{
		"htpasswd": m{"secretRef": m{"name": "users"}},
	}}
	issuedToken = kind{name: "IssuedToken", plural: "issuedtokens", namespaced: true, named: tokenNamed, spec: m{
		"type": "RefreshToken", "id": anyTokenID, "subject": m{"username": "alice"}, "provider": m{"name": "users", "uid": "1"},
		"authTime": "2026-01-01T00:00:00Z", "audience": "registry.example.com", "secretHash": strings.Repeat("s", 43),
		"expires": "2027-01-01T00:00:00Z",
	}}
	tokenRevocation = kind{name: "TokenRevocation", plural: "tokenrevocations", namespaced: true, statusless: true, spec: m{
		"token": m{"id": "abc"},
	}}
	protectedResource = kind{name: "ProtectedResource", plural: "protectedresources", namespaced: true, spec: m{
		"scopes": l{"view"}, "audience": "photos.example.com",
	}}
	permissionRequest = kind{name: "PermissionRequest", plural: "permissionrequests", namespaced: true, spec: m{
		"resource": m{"name": "album", "uid": "8c1c7a5e-1d9c-4f5b-9b1a-3b9b7a1d2c3e"}, "audience": "photos.example.com",
		"owner": "alice", "requester": "bob", "scopes": l{"view"},
	}}
	kinds = []kind{
		accessPolicy, clusterAccessPolicy, signingKey, identityProvider, issuedToken, tokenRevocation, protectedResource, permissionRequest,
	}
)

// object returns an object of the kind as JSON, the way that kubectl sends it.
func (k kind) object(name string, spec, status any) []byte {
	if k.named != nil {
		name, spec = k.named(name, spec)
	}
	metadata := m{"name": name}
	if k.namespaced {
		metadata["namespace"] = "default"
	}
	object := m{"apiVersion": "tokenwright.dev/v1alpha1", "kind": k.name, "metadata": metadata}
	if spec != nil {
		object["spec"] = spec
	}
	if status != nil {
		object["status"] = status
	}
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return text
}

func (k kind) path(parts ...string) string {
	if k.named != nil && len(parts) > 0 {
		name, _ := k.named(parts[0], nil)
		parts = append([]string{name}, parts[1:]...)
	}
	path := "/apis/tokenwright.dev/v1alpha1/"
	if k.namespaced {
		path += "namespaces/default/"
	}
	return path + strings.Join(append([]string{k.plural}, parts...), "/")
}

// answer is what the API server said: the object, or the refusal.
type answer struct {
	code    int
	body    []byte
	refusal metav1.Status
}

func (a answer) accepted() bool { return a.code < 300 }

// dryRun keeps the API server from storing what it is asked to.
const dryRun = "?dryRun=All"

// send sends JSON to the API server with the rights of an administrator.
func send(t interface{ Fatalf(string, ...any) }, method, path string, body []byte) answer {
	client, err := rest.HTTPClientFor(plane.Config)
	if err != nil {
		t.Fatalf("make an HTTP client: %v", err)
	}
	request, err := http.NewRequestWithContext(context.Background(), method, strings.TrimSuffix(plane.Config.Host, "/")+path, bytes.NewReader(body))
	if err != nil {
		t.Fatalf("make a request: %v", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: read the answer: %v", method, path, err)
	}
	a := answer{code: response.StatusCode, body: text}
	if !a.accepted() {
		if err := json.Unmarshal(text, &a.refusal); err != nil {
			t.Fatalf("%s %s: not a Status: %s", method, path, text)
		}
	}
	return a
}
