package controllers

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// asks is a request for the resource as it is.
func asks(name string, of *v1alpha1.ProtectedResource, scopes ...v1alpha1.ResourceScope) *v1alpha1.PermissionRequest {
	return &v1alpha1.PermissionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Name: name},
		Spec: v1alpha1.PermissionRequestSpec{
			Resource: v1alpha1.RequestedResource{Name: of.Name, UID: string(of.UID)}, Audience: of.Spec.Audience,
			Owner: of.Spec.Owner, Requester: "bob", Scopes: scopes,
		},
	}
}

// told waits until the request's condition is this.
func told(t *testing.T, q *v1alpha1.PermissionRequest, status metav1.ConditionStatus, reason string) {
	t.Helper()
	eventually(t, func() error {
		refresh(t, q)
		if q.Status.ObservedGeneration != q.Generation {
			return fmt.Errorf("observed generation %d, want %d", q.Status.ObservedGeneration, q.Generation)
		}
		if diff := cmp.Diff(map[string]said{"Ready": {string(status), reason}}, conditionsOf(q.Status.Conditions)); diff != "" {
			return fmt.Errorf("conditions of %s (-want +got):\n%s", q.Name, diff)
		}
		return nil
	})
}

// decide writes a decision as somebody does who does not know what else is in the status.
func decide(t *testing.T, q *v1alpha1.PermissionRequest, status string) {
	t.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"status":`+status+`}`))
	if err := plane.Client.Status().Patch(t.Context(), q, patch, client.FieldOwner("somebody")); err != nil {
		t.Fatalf("decide %s: %v", q.Name, err)
	}
}

// decision is what of a status is whose decided.
func decision(q *v1alpha1.PermissionRequest) v1alpha1.PermissionRequestStatus {
	s := q.Status
	s.Conditions, s.ObservedGeneration = nil, 0
	return s
}

// kubectl runs the real one as an administrator.
func kubectl(t *testing.T, args ...string) {
	t.Helper()
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: plane.Config.Host, CertificateAuthorityData: plane.Config.CAData}
	file.AuthInfos["a"] = &clientcmdapi.AuthInfo{ClientCertificateData: plane.Config.CertData, ClientKeyData: plane.Config.KeyData}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "a"}
	file.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(controlplane.Binaries(), "kubectl"), append([]string{"--kubeconfig", path}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %q: %v: %s", args, err, out)
	}
}

func TestPermissionRequestSaysWhetherTheDecisionIsInForce(t *testing.T) {
	b := newResourceBench(t, "preq-decided")
	r := album(tenant(t, "preq-decided", nil), "holiday", b.audience)
	create(t, r)
	q := asks("asked", r, "view", "delete")
	create(t, q)
	told(t, q, metav1.ConditionFalse, v1alpha1.ReasonUndecided)
	// With kubectl, as docs/permissionrequest.md has it.
	kubectl(t, "patch", "permissionrequests", "asked", "-n", r.Namespace, "--subresource=status", "--type=merge",
		"-p", `{"status":{"state":"Approved","scopes":["view"],"decidedBy":"alice"}}`)
	told(t, q, metav1.ConditionTrue, v1alpha1.ReasonApproved)
	want := v1alpha1.PermissionRequestStatus{State: v1alpha1.RequestApproved, Scopes: []v1alpha1.ResourceScope{"view"}, DecidedBy: "alice"}
	if diff := cmp.Diff(want, decision(q)); diff != "" {
		t.Errorf("the manager changed the decision (-want +got):\n%s", diff)
	}
	// By server-side apply under another name, which takes the decision over, and leaves the conditions.
	apply := v1alpha1ac.PermissionRequest(q.Name, q.Namespace).WithStatus(v1alpha1ac.PermissionRequestStatus().
		WithState(v1alpha1.RequestDenied).WithDecidedBy("carol").WithDecidedAt("2026-11-26T08:00:00Z"))
	if err := plane.Client.SubResource("status").Apply(t.Context(), apply, client.FieldOwner("gitops"), client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
	told(t, q, metav1.ConditionTrue, v1alpha1.ReasonDenied)
	want.State, want.DecidedBy, want.DecidedAt = v1alpha1.RequestDenied, "carol", "2026-11-26T08:00:00Z"
	if diff := cmp.Diff(want, decision(q)); diff != "" {
		t.Errorf("the manager changed the decision (-want +got):\n%s", diff)
	}
	decide(t, q, `{"state":"Approved","scopes":null}`)
	told(t, q, metav1.ConditionTrue, v1alpha1.ReasonApproved)
	for _, f := range q.ManagedFields {
		if f.Manager == "tokenwright/permissionrequest" && slices.ContainsFunc([]string{"state", "scopes", "decided"}, func(field string) bool {
			return f.FieldsV1 != nil && strings.Contains(f.FieldsV1.GetRawString(), `"f:`+field)
		}) {
			t.Errorf("the manager owns a part of the decision: %s", f.FieldsV1.GetRawString())
		}
	}
	if !slices.Contains(fieldOwners(q), "tokenwright/permissionrequest") {
		t.Errorf("the owners of the status are %q", fieldOwners(q))
	}
	if len(q.OwnerReferences) > 0 {
		t.Errorf("the manager wrote more than the status: %v", q.OwnerReferences)
	}
}

// TestWhatVoidsARequest changes the resource under a request that was approved; undecided ones tell it, too.
func TestWhatVoidsARequest(t *testing.T) {
	b := newResourceBench(t, "preq-void")
	namespace := tenant(t, "preq-void", nil)
	cases := map[string]func(t *testing.T, r *v1alpha1.ProtectedResource){
		"another-owner": func(t *testing.T, r *v1alpha1.ProtectedResource) { r.Spec.Owner = "mallory"; update(t, r) },
		"not-managed": func(t *testing.T, r *v1alpha1.ProtectedResource) {
			r.Spec.OwnerManagedAccess = v1alpha1.Forbidden
			update(t, r)
		},
		"another-audience": func(t *testing.T, r *v1alpha1.ProtectedResource) {
			if err := plane.Client.Delete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			create(t, album(r.Namespace, r.Name, "nobodys.example.com"))
		},
		"without-the-scope": func(t *testing.T, r *v1alpha1.ProtectedResource) {
			r.Spec.Scopes = []v1alpha1.ResourceScope{"delete"}
			update(t, r)
		},
		"gone": func(t *testing.T, r *v1alpha1.ProtectedResource) {
			if err := plane.Client.Delete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		},
		"another-of-the-name": func(t *testing.T, r *v1alpha1.ProtectedResource) {
			if err := plane.Client.Delete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			create(t, album(r.Namespace, r.Name, b.audience))
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			r := album(namespace, name, b.audience)
			create(t, r)
			approved, denied, undecided := asks(name+"-approved", r, "view"), asks(name+"-denied", r, "view"), asks(name, r, "view")
			create(t, approved, denied, undecided)
			decide(t, approved, `{"state":"Approved"}`)
			decide(t, denied, `{"state":"Denied"}`)
			told(t, approved, metav1.ConditionTrue, v1alpha1.ReasonApproved)
			told(t, denied, metav1.ConditionTrue, v1alpha1.ReasonDenied)
			told(t, undecided, metav1.ConditionFalse, v1alpha1.ReasonUndecided)
			refresh(t, r)
			change(t, r)
			told(t, approved, metav1.ConditionFalse, v1alpha1.ReasonResourceChanged)
			told(t, denied, metav1.ConditionTrue, v1alpha1.ReasonDenied)
			if name != "without-the-scope" {
				told(t, undecided, metav1.ConditionFalse, v1alpha1.ReasonResourceChanged)
			}
		})
	}
}

// TestPermissionRequestStatusIsWrittenOnce shows that a decision is one write of the manager's, and that looking again is none.
func TestPermissionRequestStatusIsWrittenOnce(t *testing.T) {
	b := newResourceBench(t, "preq-once")
	r := album(tenant(t, "preq-once", nil), "holiday", b.audience)
	create(t, r)
	q := asks("once", r, "view")
	create(t, q)
	told(t, q, metav1.ConditionFalse, v1alpha1.ReasonUndecided)
	decide(t, q, `{"state":"Approved"}`)
	told(t, q, metav1.ConditionTrue, v1alpha1.ReasonApproved)
	// What is no part of the decision, and what makes no difference to it.
	decide(t, q, `{"decidedBy":"alice"}`)
	refresh(t, r)
	r.Spec.Attributes = []v1alpha1.ResourceAttribute{{Key: "title", Values: []string{"Holiday"}}}
	update(t, r)
	before := reconciled(t, "permissionrequest")
	config, writes := watched(managerConfig(t, b.Options))
	startManager(t, config, b.Options)
	eventually(t, func() error {
		if reconciled(t, "permissionrequest") == before {
			return errors.New("the second manager has not looked")
		}
		return nil
	})
	last := asks("last", r, "view")
	create(t, last)
	told(t, last, metav1.ConditionFalse, v1alpha1.ReasonUndecided)
	if times, most := b.writes.of("/permissionrequests/once/"); len(times) != 2 {
		t.Errorf("the status was written %d times (%d), and two things happened", len(times), most)
	}
	if times, _ := writes.of("/permissionrequests/once/"); len(times) > 0 {
		t.Errorf("the second manager wrote the status %d times", len(times))
	}
}

// TestARequestWaitsForItsResource: a person creates a request before anybody else has seen the resource, or for none.
func TestARequestWaitsForItsResource(t *testing.T) {
	b := newResourceBench(t, "preq-waits")
	r := album(tenant(t, "preq-waits", nil), "never", b.audience)
	r.UID = "00000000-0000-0000-0000-000000000000"
	q := asks("asked", r, "view")
	create(t, q)
	began := time.Now()
	told(t, q, metav1.ConditionFalse, v1alpha1.ReasonResourceChanged)
	if waited := time.Since(began); waited < resourceComes/2 {
		t.Errorf("the resource had %s to come", waited)
	}
}
