package identity

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// The tests of this file run against a real API server, with the rights of the server's ServiceAccount. It is started by
// the first that needs it, so that the other tests and the fuzzing of the package need none.
var server struct {
	once   sync.Once
	plane  *controlplane.Plane
	config *rest.Config
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.plane != nil {
		_ = server.plane.Stop()
	}
	os.Exit(code)
}

func realCluster(t *testing.T) (*controlplane.Plane, Cluster) {
	t.Helper()
	server.once.Do(func() {
		if server.plane, server.err = controlplane.Start(); server.err == nil {
			server.config, server.err = server.plane.ServerConfig(context.Background())
		}
	})
	if server.err != nil {
		t.Fatal(server.err)
	}
	cluster, err := NewCluster(server.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.plane.CreateNamespace(t.Context(), "ci", nil); err != nil {
		t.Fatal(err)
	}
	return server.plane, cluster
}

func realToken(t *testing.T, plane *controlplane.Plane, account string, audiences ...string) string {
	t.Helper()
	token, err := plane.ServiceAccountToken(t.Context(), "ci", account, time.Hour, audiences...)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestEveryWayOfVerificationTellsTheSame(t *testing.T) {
	plane, cluster := realCluster(t)
	token := boundToken(t, plane)
	callers := map[v1alpha1.Verification]caller.Caller{}
	now := time.Now()
	for _, way := range []v1alpha1.Verification{v1alpha1.VerifyOnline, v1alpha1.VerifyOnlinePreferred, v1alpha1.VerifyOffline} {
		got, err := New(Options{Cluster: cluster, Log: testr.New(t)}).Authenticate(t.Context(), verifiedBy(way), withToken(token), now)
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		callers[way] = got
	}
	offline := callers[v1alpha1.VerifyOffline]
	if diff := cmp.Diff("system:serviceaccount:ci:bound", offline.Username); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, key := range []string{"credential-id", "pod-name", "pod-uid", "node-name"} {
		if len(offline.Extra["authentication.kubernetes.io/"+key]) != 1 {
			t.Errorf("extra %s is %q", key, offline.Extra["authentication.kubernetes.io/"+key])
		}
	}
	for way, got := range callers {
		if diff := cmp.Diff(offline, got); diff != "" {
			t.Errorf("Offline and %s -offline +%s:\n%s", way, way, diff)
		}
	}
}

// boundToken is a token as a pod has it.
func boundToken(t *testing.T, plane *controlplane.Plane) string {
	t.Helper()
	realToken(t, plane, "bound", ourAudience) // makes the account
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "pod"}, Spec: corev1.PodSpec{
		ServiceAccountName: "bound", NodeName: "node", Containers: []corev1.Container{{Name: "c", Image: "i"}},
	}}
	if err := errors.Join(plane.Client.Create(t.Context(), node), plane.Client.Create(t.Context(), pod)); err != nil {
		t.Fatal(err)
	}
	seconds := int64(3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{ourAudience}, ExpirationSeconds: &seconds,
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: "pod", UID: pod.UID},
	}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "bound"}}
	if err := plane.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

func TestTokensOfTheClusterThatAreNotForUs(t *testing.T) {
	plane, cluster := realCluster(t)
	tokens := map[string]string{
		"for another service":    realToken(t, plane, "builder", "vault"),
		"for the API server":     realToken(t, plane, "builder"),
		"for us, with a change":  realToken(t, plane, "builder", ourAudience) + "A",
		"the server's own token": server.config.BearerToken,
	}
	for name, token := range tokens {
		t.Run(name, func(t *testing.T) {
			for _, way := range []v1alpha1.Verification{v1alpha1.VerifyOnline, v1alpha1.VerifyOnlinePreferred, v1alpha1.VerifyOffline} {
				_, err := New(Options{Cluster: cluster}).Authenticate(t.Context(), verifiedBy(way), withToken(token), time.Now())
				if diff := cmp.Diff("bad", outcome(err)); diff != "" {
					t.Errorf("%s -want +got:\n%s\n%v", way, diff, err)
				}
			}
		})
	}
}

func TestADeletedServiceAccount(t *testing.T) {
	plane, cluster := realCluster(t)
	token := realToken(t, plane, "leaver", ourAudience)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "leaver"}}
	if err := plane.Client.Delete(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	for way, want := range map[v1alpha1.Verification]string{
		v1alpha1.VerifyOnline: "bad", v1alpha1.VerifyOnlinePreferred: "bad", v1alpha1.VerifyOffline: "in",
	} {
		_, err := New(Options{Cluster: cluster}).Authenticate(t.Context(), verifiedBy(way), withToken(token), time.Now())
		if diff := cmp.Diff(want, outcome(err)); diff != "" {
			t.Errorf("%s -want +got:\n%s", way, diff)
		}
	}
}

// TestWithoutTheRightToReview holds that a missing right is no answer, and not a yes.
func TestWithoutTheRightToReview(t *testing.T) {
	plane, _ := realCluster(t)
	config, err := plane.ConfigOf(t.Context(), "ci", "powerless")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := NewCluster(config)
	if err != nil {
		t.Fatal(err)
	}
	token := realToken(t, plane, "builder", ourAudience)
	_, err = New(Options{Cluster: cluster}).Authenticate(t.Context(), verifiedBy(v1alpha1.VerifyOnline), withToken(token), time.Now())
	if diff := cmp.Diff("unavailable", outcome(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
