package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// album is a resource that its owner manages.
func album(namespace, name string, audience v1alpha1.Audience, change ...func(*v1alpha1.ProtectedResourceSpec)) *v1alpha1.ProtectedResource {
	r := &v1alpha1.ProtectedResource{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ProtectedResourceSpec{
			Type: "album", Audience: audience, Owner: "alice", OwnerManagedAccess: v1alpha1.Allowed,
			Scopes: []v1alpha1.ResourceScope{"delete", "view"},
		},
	}
	for _, c := range change {
		c(&r.Spec)
	}
	return r
}

func withID(id string) func(*v1alpha1.ProtectedResourceSpec) {
	return func(s *v1alpha1.ProtectedResourceSpec) { s.ID = id }
}

func withURIs(uris ...v1alpha1.ResourceURI) func(*v1alpha1.ProtectedResourceSpec) {
	return func(s *v1alpha1.ProtectedResourceSpec) { s.URIs = uris }
}

// resourceBench is a manager with its own rights, and a SigningKey whose audience is the resources'.
type resourceBench struct {
	Options
	audience v1alpha1.Audience
	key      *v1alpha1.SigningKey
	writes   *statusWrites
}

func newResourceBench(t *testing.T, name string) *resourceBench {
	t.Helper()
	o := testOptions(t, name)
	managerClient(t, o) // which gives the rights
	config, writes := watched(managerConfig(t, o))
	b := &resourceBench{Options: o, audience: v1alpha1.Audience(name + ".example.com"), writes: writes}
	b.key = &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: "albums"}}
	b.key.Spec.Audiences = []v1alpha1.Audience{b.audience}
	create(t, b.key)
	startManager(t, config, o)
	return b
}

// tenant makes a namespace.
func tenant(t *testing.T, name string, labels map[string]string) string {
	t.Helper()
	if err := plane.CreateNamespace(t.Context(), name, labels); err != nil {
		t.Fatal(err)
	}
	return name
}

// judged waits until the status speaks of the resource's generation and says what is wanted, and the id.
func judged(t *testing.T, r *v1alpha1.ProtectedResource, id string, want map[string]said) {
	t.Helper()
	eventually(t, func() error {
		refresh(t, r)
		if r.Status.ObservedGeneration != r.Generation {
			return fmt.Errorf("observed generation %d, want %d", r.Status.ObservedGeneration, r.Generation)
		}
		if diff := cmp.Diff(want, conditionsOf(r.Status.Conditions)); diff != "" {
			return fmt.Errorf("conditions of %s (-want +got):\n%s", r.Name, diff)
		}
		if r.Status.ID != id {
			return fmt.Errorf("id of %s is %q, want %q", r.Name, r.Status.ID, id)
		}
		return nil
	})
}

// unknownAudience is no person's business yet; servedInPart is served without a uri.
var (
	unknownAudience = map[string]said{"Accepted": {"False", "AudienceUnknown"}, "Ready": {"False", "AudienceUnknown"}}
	servedInPart    = map[string]said{"Accepted": {"True", "Accepted"}, "Ready": {"False", "URITaken"}, "Stalled": {"True", "URITaken"}}
)

// nextSecond waits until what is made now is younger: an API server tells ages in seconds.
func nextSecond(t *testing.T, than client.Object) {
	t.Helper()
	eventually(t, func() error {
		if time.Now().Unix() <= than.GetCreationTimestamp().Unix() {
			return errors.New("it is the same second")
		}
		return nil
	})
}

func update(t *testing.T, o client.Object) {
	t.Helper()
	if err := plane.Client.Update(t.Context(), o); err != nil {
		t.Fatalf("update %T %s: %v", o, o.GetName(), err)
	}
}

func TestProtectedResourceFollowsItsAudience(t *testing.T) {
	b := newResourceBench(t, "pres-audience")
	namespace := tenant(t, "pres-audience", nil)
	r := album(namespace, "holiday", "pres-later.example.com")
	create(t, r)
	judged(t, r, "", unknownAudience)
	refresh(t, b.key)
	b.key.Spec.Audiences = []v1alpha1.Audience{b.audience, "pres-later.example.com"}
	update(t, b.key)
	judged(t, r, namespace+"/holiday", inForce)
	refresh(t, b.key)
	b.key.Spec.Namespaces = v1alpha1.AdmittedNamespaces{
		From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"albums": "yes"}},
	}
	update(t, b.key)
	judged(t, r, "", broken(v1alpha1.ReasonNotAdmitted))
	label := func(value string) {
		patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"labels":{"albums":%s}}}`, value))
		if err := plane.Client.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, patch); err != nil {
			t.Fatal(err)
		}
	}
	label(`"yes"`)
	judged(t, r, namespace+"/holiday", inForce)
	label(`null`)
	judged(t, r, "", broken(v1alpha1.ReasonNotAdmitted))
	refresh(t, b.key)
	if err := plane.Client.Delete(t.Context(), b.key); err != nil {
		t.Fatal(err)
	}
	judged(t, r, "", unknownAudience)
}

// TestTheOlderClaimHolds has three claim an id and a uri, and the holder go.
func TestTheOlderClaimHolds(t *testing.T) {
	b := newResourceBench(t, "pres-claims")
	first, second := tenant(t, "pres-first", nil), tenant(t, "pres-second", nil)
	elder := album(first, "elder", b.audience, withID("shared"), withURIs("/a/{id}", "/b"))
	create(t, elder)
	judged(t, elder, "shared", inForce)
	nextSecond(t, elder)
	taken := album(second, "taken", b.audience, withID("shared"), withURIs("/only"))
	part := album(second, "part", b.audience, withURIs("/a/{name}", "/c"))
	create(t, taken, part)
	judged(t, taken, "", broken(v1alpha1.ReasonIDTaken))
	judged(t, part, second+"/part", servedInPart)
	for _, c := range append(slices.Clone(taken.Status.Conditions), part.Status.Conditions...) {
		if strings.Contains(c.Message, first) || strings.Contains(c.Message, "elder") {
			t.Errorf("a tenant is told of another: %q", c.Message)
		}
	}
	nextSecond(t, taken)
	// Who is not served holds no uri either: the youngest has it.
	youngest := album(first, "youngest", b.audience, withURIs("/only"))
	create(t, youngest)
	judged(t, youngest, first+"/youngest", inForce)

	if err := plane.Client.Delete(t.Context(), elder); err != nil {
		t.Fatal(err)
	}
	// It was not served until now, and claims the uri from now on.
	judged(t, taken, "shared", servedInPart)
	judged(t, part, second+"/part", inForce)
	judged(t, youngest, first+"/youngest", inForce)
	if _, most := b.writes.of("/protectedresources/youngest/"); most > 1 {
		t.Errorf("the status of the youngest was written %d times, and said one thing", most)
	}
}

// TestWhoIsNotAdmittedClaimsNothing is about a tenant that squats on ids and uris of an audience that is not theirs.
func TestWhoIsNotAdmittedClaimsNothing(t *testing.T) {
	b := newResourceBench(t, "pres-squatter")
	outside, inside := tenant(t, "pres-outside", nil), tenant(t, "pres-inside", map[string]string{"squatter": "no"})
	refresh(t, b.key)
	b.key.Spec.Namespaces = v1alpha1.AdmittedNamespaces{
		From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"squatter": "no"}},
	}
	update(t, b.key)
	squatter := album(outside, "squatter", b.audience, withID("x"), withURIs("/x"))
	create(t, squatter)
	judged(t, squatter, "", broken(v1alpha1.ReasonNotAdmitted))
	nextSecond(t, squatter)
	r := album(inside, "rightful", b.audience, withID("x"), withURIs("/x"))
	create(t, r)
	judged(t, r, "x", inForce)
}

// TestProtectedResourceStatusIsWrittenOnce shows that looking again writes nothing, also when the manager starts anew, and that
// a status that somebody took away comes back.
func TestProtectedResourceStatusIsWrittenOnce(t *testing.T) {
	b := newResourceBench(t, "pres-once")
	namespace := tenant(t, "pres-once", nil)
	r := album(namespace, "once", b.audience)
	create(t, r)
	judged(t, r, namespace+"/once", inForce)
	if err := plane.Client.Status().Patch(t.Context(), r, client.RawPatch("application/merge-patch+json", []byte(`{"status":null}`))); err != nil {
		t.Fatal(err)
	}
	judged(t, r, namespace+"/once", inForce)
	version := r.ResourceVersion
	// Each of these has the audience looked at anew.
	for i := range 3 {
		other := album(namespace, fmt.Sprintf("other-%d", i), b.audience)
		create(t, other)
		judged(t, other, namespace+"/"+other.Name, inForce)
	}
	config, writes := watched(managerConfig(t, b.Options))
	before := reconciled(t, protectedResources)
	startManager(t, config, b.Options)
	eventually(t, func() error {
		if reconciled(t, protectedResources) == before {
			return errors.New("the second manager has not looked")
		}
		return nil
	})
	last := album(namespace, "last", b.audience)
	create(t, last)
	judged(t, last, namespace+"/last", inForce)
	if refresh(t, r); r.ResourceVersion != version {
		t.Errorf("an unchanged status was written: resourceVersion went from %s to %s", version, r.ResourceVersion)
	}
	if n, _ := writes.of("/protectedresources/once/"); len(n) > 0 {
		t.Errorf("the second manager wrote it %d times", len(n))
	}
	if owners := fieldOwners(r); !slices.Contains(owners, "tokenwright/protectedresource") {
		t.Errorf("the owners of the status are %q", owners)
	}
}

// fieldOwners are the field managers of an object's status.
func fieldOwners(o client.Object) (owners []string) {
	for _, f := range o.GetManagedFields() {
		if f.Subresource == "status" {
			owners = append(owners, f.Manager)
		}
	}
	return owners
}

// TestAResourceWhoseStatusCannotBeWrittenKeepsNoneFromTheirs has the API server refuse one, as an admission webhook may.
func TestAResourceWhoseStatusCannotBeWrittenKeepsNoneFromTheirs(t *testing.T) {
	o := testOptions(t, "pres-refused")
	managerClient(t, o)
	namespace := tenant(t, "pres-refused", nil)
	config := managerConfig(t, o)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/protectedresources/refused/status") {
				return nil, errors.New("the API server does not want it")
			}
			return next.RoundTrip(r)
		})
	})
	refused := album(namespace, "refused", "pres-refused.example.com")
	create(t, refused)
	startManager(t, config, o)
	for i := range 5 {
		r := album(namespace, fmt.Sprintf("other-%d", i), "pres-refused.example.com")
		create(t, r)
		judged(t, r, "", unknownAudience)
	}
	if refresh(t, refused); refused.Status.ObservedGeneration != -1 {
		t.Error("the status was written all the same, so that nothing was shown")
	}
}

// TestAResourceThatIsDeletedIsNotServed is about one that somebody's finalizer keeps: it holds no claim.
func TestAResourceThatIsDeletedIsNotServed(t *testing.T) {
	b := newResourceBench(t, "pres-deleted")
	namespace := tenant(t, "pres-deleted", nil)
	kept := album(namespace, "kept", b.audience, withID("kept"))
	kept.Finalizers = []string{"example.com/kept"}
	create(t, kept)
	judged(t, kept, "kept", inForce)
	nextSecond(t, kept)
	next := album(namespace, "next", b.audience, withID("kept"))
	create(t, next)
	judged(t, next, "", broken(v1alpha1.ReasonIDTaken))
	if err := plane.Client.Delete(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
		if err := client.IgnoreNotFound(plane.Client.Patch(context.Background(), kept, patch)); err != nil {
			t.Error(err)
		}
	})
	judged(t, kept, "", map[string]said{"Accepted": {"False", "Deleting"}, "Ready": {"False", "Deleting"}})
	judged(t, next, "kept", inForce)
}
