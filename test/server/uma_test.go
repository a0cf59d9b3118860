package server

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver"
)

// TestAServerWithUMANeedsTheRightsOfIt: without the role of its own (the chart's uma.enabled) it does not get ready, and says of
// what it knows nothing; with the role it serves what is declared, under the rights of its ServiceAccount and no others.
func TestAServerWithUMANeedsTheRightsOfIt(t *testing.T) {
	plane := startPlane(t, controlplane.Options{})
	config, err := plane.ServerConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := serve(t, plane, config, func(o *tokenserver.Options) { o.UMA = true })
	w.eventually(t, "everything but what it has no right to read has synced", func() bool {
		got := w.send(t, w.health+"/readyz", nil)
		if got.status == http.StatusOK {
			t.Fatal("a server that knows no resources must not be ready")
		}
		return regexp.MustCompile(`(ProtectedResource|PermissionRequest|protectedresources|permissionrequests)s? have not synced`).Match(got.body)
	})

	if _, err := plane.UMAServerConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.ready(t)
	if err := plane.CreateNamespace(t.Context(), "team-a", nil); err != nil {
		t.Fatal(err)
	}
	w.populate(t)
	album := &v1alpha1.ProtectedResource{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "album"}}
	album.Spec.Scopes, album.Spec.Audience = []v1alpha1.ResourceScope{"view"}, service
	album.Spec.Owner, album.Spec.OwnerManagedAccess = "alice", v1alpha1.Allowed
	w.create(t, album)
	w.eventually(t, "the resource is served, and its owner has it", func() bool {
		told := string(w.send(t, w.health+"/metrics", nil).body)
		return strings.Contains(told, "\ntokenwright_server_protected_resources 1\n") && strings.Contains(told, "\ntokenwright_server_approvals 1\n")
	})
}
