package observe

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// town is a cluster with few names, so that all gets in each other's way.
type town struct {
	resources map[types.NamespacedName]*v1alpha1.ProtectedResource
	requests  map[types.NamespacedName]*v1alpha1.PermissionRequest
	// admits are the namespaces of each audience that is there.
	admits map[string][]string
	made   int
}

var (
	townAudiences  = []string{"photos", "wiki"}
	townNamespaces = []string{"a", "b"}
	townPeople     = []string{"alice", "bob", "carol"}
)

// step changes something, and returns what a watch would tell of it.
func (w *town) step(t *rapid.T) (resources, requests map[types.NamespacedName]client.Object) {
	draw := func(what string, words ...string) string { return rapid.SampledFrom(words).Draw(t, what) }
	name := types.NamespacedName{Namespace: draw("namespace", townNamespaces...), Name: draw("name", "x", "y")}
	resources, requests = map[types.NamespacedName]client.Object{}, map[types.NamespacedName]client.Object{}
	switch draw("what", "resource", "resource", "request", "request", "decision", "gone", "request gone", "audience") {
	case "resource":
		w.resources[name] = w.resource(t, name)
		resources[name] = w.resources[name]
	case "request":
		w.requests[name] = w.request(t, name)
		requests[name] = w.requests[name]
	case "decision":
		if old := w.requests[name]; old != nil {
			decided := old.DeepCopy()
			decided.Status.State = v1alpha1.RequestState(draw("state", "Approved", "Approved", "Denied", "Pending"))
			w.requests[name] = decided
			requests[name] = decided
		}
	case "gone":
		delete(w.resources, name)
		resources[name] = nil
	case "request gone":
		delete(w.requests, name)
		requests[name] = nil
	case "audience":
		audience := draw("audience", townAudiences...)
		delete(w.admits, audience)
		if rapid.Bool().Draw(t, "there") {
			w.admits[audience] = rapid.SliceOfDistinct(rapid.SampledFrom(townNamespaces), rapid.ID[string]).Draw(t, "admits")
		}
	}
	return resources, requests
}

func (w *town) resource(t *rapid.T, name types.NamespacedName) *v1alpha1.ProtectedResource {
	draw := func(what string, words ...string) string { return rapid.SampledFrom(words).Draw(t, what) }
	r := album(name.Namespace, name.Name, v1alpha1.Audience(draw("audience", townAudiences...)), draw("owner", append(townPeople, "", "system:anonymous")...))
	r.Spec.OwnerManagedAccess = v1alpha1.Permission(draw("managed", "Allowed", "Allowed", "Forbidden"))
	r.Spec.ID = draw("id", "", "", "one", "one", "not/good")
	if old := w.resources[name]; old != nil && rapid.Bool().Draw(t, "changed") {
		r.UID, r.CreationTimestamp = old.UID, old.CreationTimestamp
	} else {
		w.made++
		r.UID = types.UID(fmt.Sprint("u", w.made))
		r.CreationTimestamp = metav1.NewTime(time.Unix(int64(rapid.IntRange(1, 3).Draw(t, "age")), 0))
	}
	if rapid.IntRange(0, 9).Draw(t, "deleted") == 0 {
		r.DeletionTimestamp = &metav1.Time{Time: time.Unix(9, 0)}
	}
	return r
}

func (w *town) request(t *rapid.T, name types.NamespacedName) *v1alpha1.PermissionRequest {
	of := w.resources[types.NamespacedName{Namespace: name.Namespace, Name: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "of")}]
	if of == nil {
		of = album(name.Namespace, "x", "photos", "alice")
		of.UID = "u1"
	}
	scopes := rapid.SliceOfNDistinct(rapid.SampledFrom([]v1alpha1.ResourceScope{"view", "delete", "other"}), 1, 2, rapid.ID[v1alpha1.ResourceScope]).Draw(t, "scopes")
	q := asks(name.Name, rapid.SampledFrom(townPeople).Draw(t, "requester"), of, scopes...)
	q.Status.State = v1alpha1.RequestApproved
	return q
}

func (w *town) audiences() map[string]*snapshot.Audience {
	var keys []snapshot.Keys
	for name, admits := range w.admits {
		spec := v1alpha1.SigningKeySpec{
			Audiences: []v1alpha1.Audience{v1alpha1.Audience(name)},
			Namespaces: v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "is", Operator: metav1.LabelSelectorOpIn, Values: append(admits, "none")}}}},
		}
		keys = append(keys, snapshot.Keys{Object: &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}})
	}
	labels := map[string]map[string]string{}
	for _, n := range townNamespaces {
		labels[n] = map[string]string{"is": n}
	}
	return snapshot.Build(snapshot.Input{Keys: keys, Namespaces: snapshot.NewNamespaces(labels)}).Audiences
}

// gives is the design, word for word: who has which scopes of which resource, and which are served.
func (w *town) gives() map[string][]string {
	holders := map[[2]string]*v1alpha1.ProtectedResource{}
	for _, r := range w.resources {
		compiled, _ := resource.Compile(r)
		if compiled == nil || r.DeletionTimestamp != nil || !slices.Contains(w.admits[compiled.Audience], r.Namespace) {
			continue
		}
		key := [2]string{compiled.Audience, compiled.ID}
		if old := holders[key]; old == nil || older(r, old) {
			holders[key] = r
		}
	}
	given := map[string][]string{}
	for key, r := range holders {
		given["served "+key[0]+" "+key[1]] = []string{r.Namespace + "/" + r.Name}
		if r.Spec.Owner == "" || r.Spec.OwnerManagedAccess != v1alpha1.Allowed {
			continue
		}
		give := func(to string, scopes ...v1alpha1.ResourceScope) {
			at := fmt.Sprint(to, " ", r.Spec.Audience, " ", r.Namespace, "/", r.Name)
			for _, s := range scopes {
				if slices.Contains(r.Spec.Scopes, s) && !slices.Contains(given[at], string(s)) {
					given[at] = append(given[at], string(s))
				}
			}
			slices.Sort(given[at])
			if len(given[at]) == 0 {
				delete(given, at)
			}
		}
		give(r.Spec.Owner, r.Spec.Scopes...)
		for _, q := range w.requests {
			if q.Namespace == r.Namespace && q.Spec.Resource.Name == r.Name && q.Spec.Resource.UID == string(r.UID) && q.Spec.Owner == r.Spec.Owner &&
				q.Spec.Audience == r.Spec.Audience && q.Status.State == v1alpha1.RequestApproved {
				give(q.Spec.Requester, q.Spec.Scopes...)
			}
		}
	}
	return given
}

func older(a, b *v1alpha1.ProtectedResource) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
}

// asked is what the snapshot says in the words of gives.
func asked(s *snapshot.Snapshot) map[string][]string {
	given := map[string][]string{}
	for _, audience := range townAudiences {
		for _, r := range s.Resources.All(audience) {
			given["served "+audience+" "+r.ID] = []string{r.Namespace + "/" + r.Object}
		}
		for _, namespace := range townNamespaces {
			for _, name := range []string{"x", "y"} {
				for _, who := range townPeople {
					at := fmt.Sprint(who, " ", audience, " ", namespace, "/", name)
					if scopes := decided(s, audience, who, namespace, name); len(scopes) > 0 {
						given[at] = scopes
					}
				}
			}
		}
	}
	return given
}

// decided asks the policies also about what is not served: nothing may be left of it.
func decided(s *snapshot.Snapshot, audience, username, namespace, name string) []string {
	req := policy.Request{
		Audience: audience, Resource: policy.Resource{Type: "album", Namespace: namespace, Name: name},
		Actions: []string{"delete", "view", "other"}, Admits: func(string) bool { return true },
	}
	req.Caller.Username = username
	return s.Policies.Decide(req).Granted
}

// TestWhatIsServedDependsOnTheObjectsAlone compares with the design, step by step: whatever came before, in whatever order.
func TestWhatIsServedDependsOnTheObjectsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &town{
			resources: map[types.NamespacedName]*v1alpha1.ProtectedResource{}, requests: map[types.NamespacedName]*v1alpha1.PermissionRequest{},
			admits: map[string][]string{"photos": townNamespaces},
		}
		b := builder{resources: newResources(), index: policy.NewIndex(nil)}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			b.applyResources(w.step(t))
			if rapid.IntRange(0, 2).Draw(t, "gathered") == 0 {
				continue
			}
			s := &snapshot.Snapshot{Audiences: w.audiences()}
			b.protect(s)
			if diff := cmp.Diff(w.gives(), asked(s)); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		}
		names := slices.Collect(maps.Keys(w.resources))
		for _, name := range names {
			b.applyResources(map[types.NamespacedName]client.Object{name: nil}, nil)
		}
		for name := range w.requests {
			b.applyResources(nil, map[types.NamespacedName]client.Object{name: nil})
		}
		s := &snapshot.Snapshot{Audiences: w.audiences()}
		b.protect(s)
		if r := b.resources; s.Counts != (snapshot.Counts{}) || len(r.byName)+len(r.audiences)+len(r.requests)+len(r.waiting)+len(r.stirred)+len(r.changes) > 0 {
			t.Fatalf("left when all has gone: %+v, %+v", s.Counts, r)
		}
	})
}
