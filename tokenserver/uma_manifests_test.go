package tokenserver

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/observe"
	"github.com/tokenwright/tokenwright/tokenserver/offline"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const umaManifests = `apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: photos, namespace: tokenwright-system}
spec: {audiences: [photos.example.com], keyIdentification: KeyID}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: album, namespace: team-b}
spec: {id: one, type: album, audience: photos.example.com, owner: mallory, ownerManagedAccess: Allowed, scopes: [view], uris: [/one]}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: album, namespace: team-a}
spec: {id: one, type: album, audience: photos.example.com, owner: alice, ownerManagedAccess: Allowed, scopes: [view], uris: [/one]}
---
apiVersion: tokenwright.dev/v1alpha1
kind: PermissionRequest
metadata: {name: asked, namespace: team-a}
spec: {resource: {name: album, uid: "1"}, audience: photos.example.com, owner: alice, requester: bob, scopes: [view]}
status: {state: Approved}
`

// TestResourcesOfManifestsAreServed goes from a file to a decision, and over a change of another document of the file.
func TestResourcesOfManifestsAreServed(t *testing.T) {
	dir, holder := t.TempDir(), &snapshot.Holder{}
	path := filepath.Join(dir, "all.yaml")
	write := func(text string) {
		t.Helper()
		part := filepath.Join(t.TempDir(), "part")
		if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(part, path); err != nil {
			t.Fatal(err)
		}
	}
	write(umaManifests)
	const system = "tokenwright-system"
	source, err := offline.New(offline.Options{Manifests: []string{dir}, Namespace: system, Snapshots: holder, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	observer, err := observe.New(observe.Options{Source: source.Objects(), Namespace: system, Holder: holder, UMA: true, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- source.Run(ctx) }()
	go func() { ended <- observer.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	may := func(username string) []string {
		s := holder.Load()
		r := s.Resources.ByID("photos.example.com", "one")
		if r == nil {
			return nil
		}
		return s.Policies.Decide(policy.Request{
			Caller: caller.Caller{Username: username, Method: caller.MethodPassword}, Audience: r.Audience, Resource: r.Policy(),
			Actions: []string{"view"}, Admits: s.Audiences[r.Audience].Namespaces.Admits,
		}).Granted
	}
	wait := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it did not happen: %s", what)
			}
		}
	}
	wait("served", func() bool { return slices.Equal(may("alice"), []string{"view"}) })
	if len(may("mallory"))+len(may("bob")) > 0 {
		t.Errorf("mallory, whose claim is not the first, may %q, and bob, whose approval is in a file, %q", may("mallory"), may("bob"))
	}
	write(umaManifests + `---
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: deny, namespace: team-a}
spec: {effect: Deny, subjects: [{kind: User, name: alice}], rules: [{type: album, names: [album], actions: ["*"]}]}
`)
	wait("denied", func() bool { return holder.Load().Resources.Len() == 1 && len(may("alice")) == 0 })
	write(umaManifests)
	wait("served again", func() bool { return slices.Equal(may("alice"), []string{"view"}) })
}
