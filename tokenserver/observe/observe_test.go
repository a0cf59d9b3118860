package observe

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

func tenantPolicy(namespace, name string, effect v1alpha1.Effect, actions ...string) *v1alpha1.AccessPolicy {
	p := &v1alpha1.AccessPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	p.Spec.Effect = effect
	p.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	p.Spec.Rules = []v1alpha1.Rule{{Type: "repository", Names: []v1alpha1.ResourceName{v1alpha1.ResourceName(namespace + "/**")}}}
	for _, action := range actions {
		p.Spec.Rules[0].Actions = append(p.Spec.Rules[0].Actions, v1alpha1.Action(action))
	}
	return p
}

// may returns what alice may do with a repository of the namespace.
func may(s *snapshot.Snapshot, namespace string) []string {
	return s.Policies.Decide(policy.Request{
		Caller:   caller.Caller{Username: "alice", Groups: []string{caller.GroupAuthenticated}, Method: caller.MethodPassword},
		Audience: "registry.example.com", Resource: policy.Resource{Type: "repository", Name: namespace + "/app"},
		Actions: []string{"pull", "push"}, Time: time.Now(), Admits: func(string) bool { return true },
	}).Granted
}

func (o observing) mays(namespace string, actions ...string) func() bool {
	return func() bool { return slices.Equal(may(o.holder.Load(), namespace), actions) }
}

func TestPoliciesTakeEffectAndLoseIt(t *testing.T) {
	o := startReady(t)
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-p"}})
	allow := tenantPolicy("team-p", "allow", v1alpha1.EffectAllow, "pull", "push")
	create(t, allow)
	eventually(t, o.mays("team-p", "pull", "push"), "the policy in force")
	deny := tenantPolicy("team-p", "deny", v1alpha1.EffectDeny, "push")
	create(t, deny)
	eventually(t, o.mays("team-p", "pull"), "the denial in force")
	deny.Spec.Rules[0].Actions = []v1alpha1.Action{"pull"}
	update(t, deny)
	eventually(t, o.mays("team-p", "push"), "the changed denial in force")
	remove(t, deny)
	eventually(t, o.mays("team-p", "pull", "push"), "the denial gone")
	remove(t, allow)
	eventually(t, o.mays("team-p"), "the policy gone")
}

func TestFromApplyToEffect(t *testing.T) {
	o := startReady(t)
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-fast"}})
	var took []time.Duration
	for range 20 {
		allow := tenantPolicy("team-fast", "allow", v1alpha1.EffectAllow, "pull")
		create(t, allow)
		began := time.Now()
		eventually(t, o.mays("team-fast", "pull"), "the policy in force")
		took = append(took, time.Since(began))
		remove(t, allow)
		eventually(t, o.mays("team-fast"), "the policy gone")
	}
	slices.Sort(took)
	// The median, and with room: the machine may be busy with other tests.
	if median := took[len(took)/2]; median > 250*time.Millisecond {
		t.Errorf("from the API server's answer to effect: median %s of %v", median, took)
	}
	t.Logf("From the API server's answer to effect: median %s, longest %s", took[len(took)/2], took[len(took)-1])
}

func TestStatusDoesNotBuildASnapshot(t *testing.T) {
	before := tenantPolicy("a", "p", v1alpha1.EffectAllow, "pull")
	after := before.DeepCopy()
	after.ResourceVersion, after.Generation = "2", 0
	after.Status.ObservedGeneration = 7
	if changed(before, after) {
		t.Error("a status counts as a change")
	}
	after.Spec.Effect = v1alpha1.EffectDeny
	if !changed(before, after) {
		t.Error("a changed spec of an unchanged generation does not count: after a restore of etcd there is such a thing")
	}
	after = before.DeepCopy()
	after.UID = "another"
	if !changed(before, after) {
		t.Error("another object of the same name does not count")
	}
}

func TestTrimDropsWhatNobodyReads(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "a copy of the Secret"},
		Labels:      map[string]string{v1alpha1.LabelWatch: ""}, ManagedFields: []metav1.ManagedFieldsEntry{{}},
	}, Data: map[string][]byte{"htpasswd": []byte("x")}}
	want := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: secret.Labels}, Data: secret.Data}
	got, err := trim(secret)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTheServerSeesItsOwnNamespaceOnly(t *testing.T) {
	for _, namespace := range []string{"elsewhere", "tokenwright-ca"} {
		if err := plane.CreateNamespace(t.Context(), namespace, nil); err != nil {
			t.Fatal(err)
		}
	}
	foreign := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "foreign"},
		Spec: v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{"foreign.example.com"}}}
	unlabelled := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "unlabelled"}}
	create(t, foreign, unlabelled)
	o := startReady(t)
	if o.signs("foreign.example.com") != "no such audience" {
		t.Error("a SigningKey of another namespace counts")
	}
	secrets, err := o.builder.readSecrets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := secrets["unlabelled"]; ok {
		t.Error("a Secret without the label is in memory")
	}

	as, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{"elsewhere", "tokenwright-ca"} {
		if err := as.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace)); !apierrors.IsForbidden(err) {
			t.Errorf("the server may read Secrets of %s: %v", namespace, err)
		}
	}
}

func TestWithoutSigningKeysTheServerIsReady(t *testing.T) {
	o := startReady(t)
	if s := o.holder.Load(); s.BuiltAt.IsZero() || s.Policies == nil {
		t.Errorf("ready with the snapshot %+v", s)
	}
}

func TestNotReadyBeforeEveryKindHasSynced(t *testing.T) {
	o, err := New(Options{Config: config, Namespace: system, Holder: &snapshot.Holder{}, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	if o.Ready() == nil {
		t.Error("ready before the start")
	}
	// An API server that refuses one of the kinds: a role that lacks a right.
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(target)
	through.Transport, through.FlushInterval, through.ErrorLog = transport, -1, log.New(io.Discard, "", 0)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/identityproviders") {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	observing := start(t, &rest.Config{Host: front.URL})
	eventually(t, func() bool {
		err := observing.Ready()
		return observing.Stats().WatchErrors > 0 && err != nil && err.Error() == "IdentityProviders have not synced"
	}, "only the refused kind missing")
	if observing.Stats().Builds != 0 {
		t.Error("a snapshot was built of a part")
	}
}
