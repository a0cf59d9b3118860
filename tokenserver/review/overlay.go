package review

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Overlay is what there is after the manifests were applied to the objects: those of the same name are replaced, others
// stay. Of what an API server knows of an object that was there, its age stays.
func Overlay(before, manifests Objects) Objects {
	after := Objects{
		AccessPolicies:        overlaid(before.AccessPolicies, manifests.AccessPolicies),
		ClusterAccessPolicies: overlaid(before.ClusterAccessPolicies, manifests.ClusterAccessPolicies),
		ProtectedResources:    overlaid(before.ProtectedResources, asThere(manifests.ProtectedResources, before.ProtectedResources)),
		PermissionRequests:    before.PermissionRequests,
		SigningKeys:           overlaid(before.SigningKeys, withAge(manifests.SigningKeys, before.SigningKeys)),
		Namespaces:            maps.Clone(before.Namespaces),
	}
	if after.Namespaces == nil {
		after.Namespaces = map[string]map[string]string{}
	}
	maps.Copy(after.Namespaces, manifests.Namespaces)
	return after
}

// Pruned is what there is if the policies of the manifests are all that there are. SigningKeys and Namespaces that they do
// not have stay: nobody deletes those by the way.
func Pruned(before, manifests Objects) Objects {
	after := Overlay(before, manifests)
	after.AccessPolicies, after.ClusterAccessPolicies = manifests.AccessPolicies, manifests.ClusterAccessPolicies
	return after
}

type nameKey struct{ namespace, name string }

func keyOf(o metav1.Object) nameKey { return nameKey{o.GetNamespace(), o.GetName()} }

func overlaid[O metav1.Object](before, over []O) []O {
	replaced := make(map[nameKey]bool, len(over))
	for _, o := range over {
		replaced[keyOf(o)] = true
	}
	kept := slices.DeleteFunc(slices.Clone(before), func(o O) bool { return replaced[keyOf(o)] })
	return append(kept, over...)
}

// withAge gives SigningKeys the age of those that they replace: of two that claim an audience the older has it. Those that
// are new are the youngest.
func withAge(keys, before []*v1alpha1.SigningKey) []*v1alpha1.SigningKey {
	ages := map[nameKey]metav1.Time{}
	var youngest metav1.Time
	for _, k := range before {
		ages[keyOf(k)] = k.CreationTimestamp
		if youngest.Before(&k.CreationTimestamp) {
			youngest = k.CreationTimestamp
		}
	}
	aged := make([]*v1alpha1.SigningKey, 0, len(keys))
	for _, k := range keys {
		k = k.DeepCopy()
		age, known := ages[keyOf(k)]
		if !known {
			age = metav1.NewTime(youngest.Add(1))
		}
		k.CreationTimestamp = age
		aged = append(aged, k)
	}
	return aged
}

// asThere gives resources the age and the uid of those that they replace. Those that are new are the youngest, and nobody has
// asked for them.
func asThere(resources, before []*v1alpha1.ProtectedResource) []*v1alpha1.ProtectedResource {
	there := map[nameKey]*v1alpha1.ProtectedResource{}
	var youngest metav1.Time
	for _, r := range before {
		there[keyOf(r)] = r
		if youngest.Before(&r.CreationTimestamp) {
			youngest = r.CreationTimestamp
		}
	}
	copies := make([]*v1alpha1.ProtectedResource, 0, len(resources))
	for _, r := range resources {
		r = r.DeepCopy()
		r.CreationTimestamp = metav1.NewTime(youngest.Add(1))
		if old := there[keyOf(r)]; old != nil {
			r.CreationTimestamp, r.UID = old.CreationTimestamp, old.UID
		}
		copies = append(copies, r)
	}
	return copies
}

// differing returns the policies that the two have not, or not the same; both versions of what changed. Behind them, if
// one has an audience that the other has not, come all policies, and if an audience admits other namespaces than before,
// all of namespaces: any of them may be affected.
func differing(before, after *World) []*policy.Policy {
	namespaces := map[string]bool{}
	for _, w := range []*World{before, after} {
		for ref := range w.objects {
			namespaces[ref.Namespace] = true
		}
	}
	was, is := before.reach(namespaces), after.reach(namespaces)
	tenants := !equality.Semantic.DeepEqual(was, is)
	all := !slices.Equal(slices.Sorted(maps.Keys(was)), slices.Sorted(maps.Keys(is)))
	var changed, affected []*policy.Policy
	add := func(from, other *World) {
		for _, p := range from.policies {
			ref := p.Ref()
			o, there := other.objects[ref]
			switch {
			case !there || !equality.Semantic.DeepEqual(o.spec, from.objects[ref].spec):
				changed = append(changed, p)
			case all || tenants && ref.Kind != policy.KindClusterAccessPolicy:
				affected = append(affected, p)
			}
		}
	}
	add(before, after)
	add(after, before)
	return append(changed, affected...)
}

// reach says which of the namespaces each audience admits.
func (w *World) reach(namespaces map[string]bool) map[string][]string {
	reach := map[string][]string{}
	for audience := range w.audiences {
		reach[audience] = []string{}
		for _, n := range slices.Sorted(maps.Keys(namespaces)) {
			if w.admits(audience)(n) {
				reach[audience] = append(reach[audience], n)
			}
		}
	}
	return reach
}
