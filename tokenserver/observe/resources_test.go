package observe

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// album is a resource that its owner manages.
func album(namespace, name string, audience v1alpha1.Audience, owner string) *v1alpha1.ProtectedResource {
	return &v1alpha1.ProtectedResource{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ProtectedResourceSpec{
			Type: "album", Audience: audience, Owner: owner, OwnerManagedAccess: v1alpha1.Allowed,
			Scopes: []v1alpha1.ResourceScope{"delete", "view"}, URIs: []v1alpha1.ResourceURI{v1alpha1.ResourceURI("/" + namespace + "/" + name)},
		},
	}
}

// asks is a request for the resource as it is.
func asks(name, requester string, of *v1alpha1.ProtectedResource, scopes ...v1alpha1.ResourceScope) *v1alpha1.PermissionRequest {
	return &v1alpha1.PermissionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Name: name},
		Spec: v1alpha1.PermissionRequestSpec{
			Resource: v1alpha1.RequestedResource{Name: of.Name, UID: string(of.UID)}, Audience: of.Spec.Audience,
			Owner: of.Spec.Owner, Requester: requester, Scopes: scopes,
		},
	}
}

// decide writes what the owner of the resource decided.
func decide(t *testing.T, q *v1alpha1.PermissionRequest, state v1alpha1.RequestState, scopes ...v1alpha1.ResourceScope) {
	t.Helper()
	q.Status.State, q.Status.Scopes = state, scopes
	if err := plane.Client.Status().Update(t.Context(), q); err != nil {
		t.Fatalf("decide %s: %v", q.Name, err)
	}
}

// tenant makes a namespace.
func tenant(t *testing.T, name string, labels map[string]string) *corev1.Namespace {
	t.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if err := plane.Client.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return n
}

// startUMA starts an observer that may read the two kinds: the right to them is no part of the server's own role.
func startUMA(t *testing.T) observing {
	t.Helper()
	o := startWith(t, Options{Config: plane.Config, UMA: true})
	eventually(t, func() bool { return o.Ready() == nil }, "ready")
	return o
}

// claim writes what the manager does: since when the resource claims its uris.
func claim(t *testing.T, r *v1alpha1.ProtectedResource, since time.Time) {
	t.Helper()
	r.Status.URIs = resource.Claimed(r, since)
	if err := plane.Client.Status().Update(t.Context(), r); err != nil {
		t.Fatalf("claim the uris of %s: %v", r.Name, err)
	}
}

// seen waits until what was done before to both kinds has been seen: a resource and a request that are made now count.
func (o observing) seen(t *testing.T, namespace, name string, audience v1alpha1.Audience) {
	t.Helper()
	r := album(namespace, name, audience, "alice")
	create(t, r)
	q := asks(name, "carol", r, "view")
	create(t, q)
	decide(t, q, v1alpha1.RequestApproved)
	eventually(t, o.album(audience, "carol", namespace, name, "view"), "another approval")
}

// nextSecond waits until what is made now is younger: an API server tells ages in seconds.
func nextSecond(t *testing.T, than *v1alpha1.ProtectedResource) {
	t.Helper()
	eventually(t, func() bool { return time.Now().Unix() > than.CreationTimestamp.Unix() }, "the next second")
}

// albumScopes are what a user may do with an album, if it is served.
func albumScopes(s *snapshot.Snapshot, audience, username, namespace, name string) []string {
	r := s.Resources.ByID(audience, namespace+"/"+name)
	if r == nil || s.Audiences[audience] == nil {
		return nil
	}
	return s.Policies.Decide(policy.Request{
		Caller:   caller.Caller{Username: username, Groups: []string{caller.GroupAuthenticated}, Method: caller.MethodPassword},
		Audience: audience, Resource: r.Policy(), Actions: []string{"delete", "view"}, Time: time.Now(),
		Admits: s.Audiences[audience].Namespaces.Admits,
	}).Granted
}

func (o observing) album(audience v1alpha1.Audience, username, namespace, name string, scopes ...string) func() bool {
	return func() bool {
		return slices.Equal(albumScopes(o.holder.Load(), string(audience), username, namespace, name), scopes)
	}
}

func TestAnApprovalTakesEffectAndIsTakenBack(t *testing.T) {
	o := startUMA(t)
	const audience = "albums.example.com"
	tenant(t, "uma-a", nil)
	key := newSigningKey(t, "uma-albums", audience)
	r := album("uma-a", "holiday", audience, "alice")
	create(t, r)
	eventually(t, o.album(audience, "alice", "uma-a", "holiday", "delete", "view"), "the owner's scopes")
	q := asks("asked", "bob", r, "delete", "view")
	create(t, q)
	o.seen(t, "uma-a", "asked-seen", audience)
	if !o.album(audience, "bob", "uma-a", "holiday")() {
		t.Fatal("a request grants before anybody has decided it")
	}
	began := time.Now()
	decide(t, q, v1alpha1.RequestApproved, "view")
	eventually(t, o.album(audience, "bob", "uma-a", "holiday", "view"), "the approved scope")
	t.Logf("From the API server's answer to effect: %s", time.Since(began))
	decide(t, q, v1alpha1.RequestApproved)
	eventually(t, o.album(audience, "bob", "uma-a", "holiday", "delete", "view"), "all that was asked for")

	deny := tenantPolicy("uma-a", "deny", v1alpha1.EffectDeny, "view")
	deny.Spec.Subjects[0].Name, deny.Spec.Rules[0].Type, deny.Spec.Rules[0].Names = "bob", "album", []v1alpha1.ResourceName{"holiday"}
	create(t, deny)
	eventually(t, o.album(audience, "bob", "uma-a", "holiday", "delete"), "the Deny stronger than the approval")
	decide(t, q, v1alpha1.RequestDenied)
	eventually(t, o.album(audience, "bob", "uma-a", "holiday"), "the approval taken back")
	decide(t, q, v1alpha1.RequestApproved)
	eventually(t, o.album(audience, "bob", "uma-a", "holiday", "delete"), "approved again")
	remove(t, q)
	eventually(t, o.album(audience, "bob", "uma-a", "holiday"), "the request gone, and what it gave")
	remove(t, key)
	eventually(t, func() bool { return o.holder.Load().Resources.ByID(audience, "uma-a/holiday") == nil }, "nothing served at an audience that is gone")
}

// TestWhatVoidsAnApproval changes the resource under a request that stays approved.
func TestWhatVoidsAnApproval(t *testing.T) {
	o := startUMA(t)
	const audience, elsewhere = "void.example.com", "void-elsewhere.example.com"
	tenant(t, "uma-v", nil)
	newSigningKey(t, "uma-void", audience)
	newSigningKey(t, "uma-void-elsewhere", elsewhere)
	cases := map[string]func(t *testing.T, r *v1alpha1.ProtectedResource){
		"another-owner": func(t *testing.T, r *v1alpha1.ProtectedResource) { r.Spec.Owner = "mallory"; update(t, r) },
		"not-managed": func(t *testing.T, r *v1alpha1.ProtectedResource) {
			r.Spec.OwnerManagedAccess = v1alpha1.Forbidden
			update(t, r)
		},
		"no-owner": func(t *testing.T, r *v1alpha1.ProtectedResource) { r.Spec.Owner = ""; update(t, r) },
		"another-server": func(t *testing.T, r *v1alpha1.ProtectedResource) {
			remove(t, r)
			create(t, album(r.Namespace, r.Name, elsewhere, "alice"))
		},
		"without-the-scope": func(t *testing.T, r *v1alpha1.ProtectedResource) {
			r.Spec.Scopes = []v1alpha1.ResourceScope{"delete"}
			update(t, r)
		},
		"another-of-the-name": func(t *testing.T, r *v1alpha1.ProtectedResource) {
			remove(t, r)
			create(t, album(r.Namespace, r.Name, audience, "alice"))
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			r := album("uma-v", name, audience, "alice")
			create(t, r)
			q := asks(name, "bob", r, "view")
			create(t, q)
			decide(t, q, v1alpha1.RequestApproved)
			eventually(t, o.album(audience, "bob", "uma-v", name, "view"), "the approval")
			change(t, r)
			var got []string
			eventually(t, func() bool {
				s := o.holder.Load()
				got = append(albumScopes(s, audience, "bob", "uma-v", name), albumScopes(s, elsewhere, "bob", "uma-v", name)...)
				return len(got) == 0
			}, "the approval void")
			o.seen(t, "uma-v", name+"-seen", audience)
			s := o.holder.Load()
			got = append(albumScopes(s, audience, "bob", "uma-v", name), albumScopes(s, elsewhere, "bob", "uma-v", name)...)
			if len(got) > 0 {
				t.Errorf("still granted: %q", got)
			}
			if s.Resources.ByID(audience, "uma-v/"+name) == nil && s.Resources.ByID(elsewhere, "uma-v/"+name) == nil {
				t.Error("the resource is not served any more, so that nothing was shown")
			}
		})
	}
}

func TestANamespaceThatIsNotAdmittedHasNothing(t *testing.T) {
	o := startUMA(t)
	const audience = "admits.example.com"
	labels := map[string]string{"uma": "yes"}
	inside, outside := tenant(t, "uma-in", labels), tenant(t, "uma-out", nil)
	key := newSigningKey(t, "uma-admits", audience)
	key.Spec.Namespaces = v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: labels}}
	update(t, key)
	// The tenant that is not admitted comes first and claims what is another's.
	squatter := album(outside.Name, "a", audience, "mallory")
	squatter.Spec.ID, squatter.Spec.URIs = "shared", []v1alpha1.ResourceURI{"/shared"}
	create(t, squatter)
	claim(t, squatter, squatter.CreationTimestamp.Time)
	nextSecond(t, squatter)
	r := album(inside.Name, "b", audience, "alice")
	r.Spec.ID, r.Spec.URIs = "shared", []v1alpha1.ResourceURI{"/shared"}
	create(t, r)
	claim(t, r, r.CreationTimestamp.Time)
	q := asks("asked", "bob", r, "view")
	create(t, q)
	decide(t, q, v1alpha1.RequestApproved)
	holder := func(want string, approvals int) func() bool {
		return func() bool {
			s, got := o.holder.Load(), ""
			if found := s.Resources.ByID(audience, "shared"); found != nil {
				got = found.Namespace
			}
			at := s.Resources.ByURI(audience, "/shared")
			if at != nil && at.Namespace != got {
				t.Errorf("the id is %s's and the uri %s's", got, at.Namespace)
			}
			return got == want && (at != nil) == (want != "") && s.Counts.Approvals == approvals
		}
	}
	eventually(t, holder(inside.Name, 2), "the claim of the admitted one")
	outside.Labels = labels
	update(t, outside)
	eventually(t, holder(outside.Name, 1), "the older claim, once it is admitted")
	outside.Labels = nil
	update(t, outside)
	eventually(t, holder(inside.Name, 2), "the younger again")
	inside.Labels = nil
	update(t, inside)
	eventually(t, holder("", 0), "nothing")
	if got := o.holder.Load().Counts.Resources; got != 0 {
		t.Errorf("%d resources are counted", got)
	}
}

func TestTheOldestClaimHoldsAlsoAfterARestart(t *testing.T) {
	const audience = "oldest.example.com"
	tenant(t, "uma-young", nil)
	tenant(t, "uma-old", nil)
	newSigningKey(t, "uma-oldest", audience)
	claim := func(namespace string) *v1alpha1.ProtectedResource {
		r := album(namespace, "x", audience, "")
		r.Spec.ID, r.Spec.OwnerManagedAccess = "one", ""
		return r
	}
	older := claim("uma-old")
	create(t, older)
	nextSecond(t, older)
	create(t, claim("uma-young"))
	holds := func(o observing) string {
		if r := o.holder.Load().Resources.ByID(audience, "one"); r != nil {
			return r.Namespace
		}
		return ""
	}
	first := startUMA(t)
	eventually(t, func() bool { return holds(first) != "" }, "served")
	second := startUMA(t)
	eventually(t, func() bool { return holds(second) != "" }, "served after a restart")
	if diff := cmp.Diff([]string{"uma-old", "uma-old"}, []string{holds(first), holds(second)}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	remove(t, older)
	eventually(t, func() bool { return holds(first) == "uma-young" && holds(second) == "uma-young" }, "the next claim")
}

// TestAURIIsServedSinceTheManagerSaysSo has an old object claim what a younger one has.
func TestAURIIsServedSinceTheManagerSaysSo(t *testing.T) {
	o := startUMA(t)
	const audience = "since.example.com"
	tenant(t, "uma-aaa", nil)
	tenant(t, "uma-evil", nil)
	newSigningKey(t, "uma-since", audience)
	at := func(path, want string) func() bool {
		return func() bool {
			r := o.holder.Load().Resources.Matching(audience, path)
			return want == "" && r == nil || r != nil && r.Namespace == want
		}
	}
	old := album("uma-evil", "old", audience, "")
	old.Spec.OwnerManagedAccess = ""
	create(t, old)
	nextSecond(t, old)
	r := album("uma-aaa", "albums", audience, "alice")
	r.Spec.URIs = []v1alpha1.ResourceURI{"/albums/{id}"}
	create(t, r)
	o.seen(t, "uma-aaa", "since-seen", audience)
	if !at("/albums/7", "")() || o.holder.Load().Resources.ByID(audience, "uma-aaa/albums") == nil {
		t.Fatal("a uri is served that nobody has said anything about, or the resource is not served for its sake")
	}
	claim(t, r, time.Now())
	eventually(t, at("/albums/7", "uma-aaa"), "the uri, once the status has it")
	old.Spec.URIs = []v1alpha1.ResourceURI{"/albums/{id}", "/albums/7", "/albums/7/*"}
	update(t, old)
	claim(t, old, time.Now().Add(time.Second))
	eventually(t, at("/albums/7/x", "uma-evil"), "what is claimed of the old object, and is nobody's")
	if !at("/albums/7", "uma-aaa")() {
		t.Error("an old object took what another had before it")
	}
	r.Status.URIs = nil
	if err := plane.Client.Status().Update(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	eventually(t, at("/albums/7", "uma-evil"), "the next claim")
}

// TestWithoutUMANoRightToResourcesIsNeeded runs under the server's own role, which has none.
func TestWithoutUMANoRightToResourcesIsNeeded(t *testing.T) {
	without := startReady(t)
	if without.Stats().WatchErrors != 0 {
		t.Errorf("%d lists were refused", without.Stats().WatchErrors)
	}
	for _, kind := range []string{"protectedresources", "permissionrequests"} {
		if without.options.watches().Has(kind) {
			t.Errorf("%s are watched without UMA", kind)
		}
	}
	with := startWith(t, Options{Config: config, UMA: true})
	eventually(t, func() bool {
		err := with.Ready()
		return with.Stats().WatchErrors > 0 && err != nil && err.Error() == "ProtectedResources have not synced"
	}, "not ready without the right")
}

func TestWhatOfResourcesAndRequestsCountsAsAChange(t *testing.T) {
	r := album("a", "x", "photos", "alice")
	r.UID, r.ResourceVersion = "u", "1"
	q := asks("q", "bob", r, "view")
	q.UID, q.ResourceVersion, q.Status.State = "q", "1", v1alpha1.RequestPending
	protected := func(edit func(*v1alpha1.ProtectedResource)) bool {
		after := r.DeepCopy()
		after.ResourceVersion = "2"
		edit(after)
		return changed(r, after)
	}
	request := func(edit func(*v1alpha1.PermissionRequest)) bool {
		after := q.DeepCopy()
		after.ResourceVersion = "2"
		edit(after)
		return changed(q, after)
	}
	now := metav1.Now()
	got := map[string]bool{
		"a resource's status": protected(func(r *v1alpha1.ProtectedResource) { r.Status.ID = "a/x" }),
		"a resource's claim": protected(func(r *v1alpha1.ProtectedResource) {
			r.Status.URIs = []v1alpha1.ClaimedURI{{URI: "/a/x", Since: "2026-11-26T12:00:00Z"}}
		}),
		"a resource's label":        protected(func(r *v1alpha1.ProtectedResource) { r.Labels = map[string]string{"a": "b"} }),
		"a resource's spec":         protected(func(r *v1alpha1.ProtectedResource) { r.Spec.Owner = "carol" }),
		"another of the name":       protected(func(r *v1alpha1.ProtectedResource) { r.UID = "v" }),
		"a resource's end":          protected(func(r *v1alpha1.ProtectedResource) { r.DeletionTimestamp = &now }),
		"a request's condition":     request(func(q *v1alpha1.PermissionRequest) { q.Status.Conditions = []metav1.Condition{{Type: "Ready"}} }),
		"who decided":               request(func(q *v1alpha1.PermissionRequest) { q.Status.DecidedBy = "alice" }),
		"a decision":                request(func(q *v1alpha1.PermissionRequest) { q.Status.State = v1alpha1.RequestApproved }),
		"what was approved":         request(func(q *v1alpha1.PermissionRequest) { q.Status.Scopes = []v1alpha1.ResourceScope{"view"} }),
		"another request's name":    request(func(q *v1alpha1.PermissionRequest) { q.UID = "p" }),
		"a request's end":           request(func(q *v1alpha1.PermissionRequest) { q.DeletionTimestamp = &now }),
		"another spec in its place": request(func(q *v1alpha1.PermissionRequest) { q.Spec.Requester = "mallory" }),
	}
	want := map[string]bool{
		"a resource's status": false, "a resource's claim": true, "a resource's label": false, "a resource's spec": true, "another of the name": true, "a resource's end": true,
		"a request's condition": false, "who decided": false, "a decision": true, "what was approved": true, "another request's name": true,
		"a request's end": true, "another spec in its place": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestTrimKeepsClaims holds that since when uris are claimed survives what the cache drops.
func TestTrimKeepsClaims(t *testing.T) {
	r := album("a", "x", "photos", "alice")
	want := r.DeepCopy()
	want.Status.URIs = []v1alpha1.ClaimedURI{{URI: "/a/x", Since: "2026-11-26T12:00:00Z"}}
	r.Status = v1alpha1.ProtectedResourceStatus{
		ID: "a/x", Conditions: []metav1.Condition{{Type: "Ready"}}, URIs: append(want.Status.URIs, v1alpha1.ClaimedURI{URI: "/gone", Since: "2026-11-26T12:00:00Z"}),
	}
	got, err := trim(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestTrimKeepsWhatIsDecided holds that an approval survives what the cache drops.
func TestTrimKeepsWhatIsDecided(t *testing.T) {
	q := asks("q", "bob", album("a", "x", "photos", "alice"), "view")
	want := q.DeepCopy()
	want.Status = v1alpha1.PermissionRequestStatus{State: v1alpha1.RequestApproved, Scopes: []v1alpha1.ResourceScope{"view"}}
	q.Status = v1alpha1.PermissionRequestStatus{
		State: want.Status.State, Scopes: want.Status.Scopes, DecidedBy: "alice", Conditions: []metav1.Condition{{Type: "Ready"}}, ObservedGeneration: 1,
	}
	q.Labels, q.OwnerReferences, q.Finalizers = map[string]string{"a": "b"}, []metav1.OwnerReference{{}}, []string{"x"}
	got, err := trim(q)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
