package review

import (
	"maps"
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/manifest"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Objects are what decides: those of a cluster, or of files.
type Objects struct {
	AccessPolicies        []*v1alpha1.AccessPolicy
	ClusterAccessPolicies []*v1alpha1.ClusterAccessPolicy
	// ProtectedResources, and the PermissionRequests about them, give something to their owners and to whoever asked.
	ProtectedResources []*v1alpha1.ProtectedResource
	PermissionRequests []*v1alpha1.PermissionRequest
	// SigningKeys are those of the system namespace: servers look at no others.
	SigningKeys []*v1alpha1.SigningKey
	// Namespaces are the labels of each namespace.
	Namespaces map[string]map[string]string
}

// FromManifests are the objects of files, with the SigningKeys of the system namespace.
func FromManifests(set *manifest.Set, systemNamespace string) Objects {
	o := Objects{
		AccessPolicies: set.AccessPolicies, ClusterAccessPolicies: set.ClusterAccessPolicies, ProtectedResources: set.ProtectedResources,
		Namespaces: map[string]map[string]string{},
	}
	for _, key := range set.SigningKeys {
		if key.Namespace == systemNamespace {
			o.SigningKeys = append(o.SigningKeys, key)
		}
	}
	for _, n := range set.Namespaces {
		o.Namespaces[n.Name] = n.Labels
	}
	return o
}

// Refused are the policies of files that an API server would refuse and that can be read all the same.
func Refused(set *manifest.Set) Objects {
	var o Objects
	for _, p := range set.Refused {
		switch p := p.(type) {
		case *v1alpha1.AccessPolicy:
			o.AccessPolicies = append(o.AccessPolicies, p)
		case *v1alpha1.ClusterAccessPolicy:
			o.ClusterAccessPolicies = append(o.ClusterAccessPolicies, p)
		}
	}
	return o
}

// World is a set of objects that questions are asked about. It is immutable.
type World struct {
	policies []*policy.Policy
	index    *policy.Index
	// objects and problems are by policy.
	objects   map[policy.Ref]*object
	audiences map[string]*snapshot.Audience
	// open says that nothing is known of audiences: every one is taken to exist, and to admit every namespace.
	open bool
}

// object is a policy as it was given.
type object struct {
	spec     *v1alpha1.PolicySpec
	problems []policy.Problem
}

// New compiles the policies. If open, the SigningKeys are not looked at, and every audience admits every namespace.
func New(o Objects, open bool) *World {
	w := &World{objects: make(map[policy.Ref]*object, len(o.AccessPolicies)+len(o.ClusterAccessPolicies)), open: open}
	var compiler policy.Compiler
	for _, p := range o.AccessPolicies {
		compiled, problems := compiler.AccessPolicy(p)
		w.add(compiled, &p.Spec.PolicySpec, problems)
	}
	for _, p := range o.ClusterAccessPolicies {
		compiled, problems := compiler.ClusterAccessPolicy(p)
		w.add(compiled, &p.Spec.PolicySpec, problems)
	}
	keys := make([]snapshot.Keys, 0, len(o.SigningKeys))
	for _, key := range o.SigningKeys {
		keys = append(keys, snapshot.Keys{Object: key})
	}
	w.audiences = snapshot.Build(snapshot.Input{Keys: keys, Namespaces: snapshot.NewNamespaces(o.Namespaces)}).Audiences
	w.protect(o)
	w.index = policy.NewIndex(w.policies)
	return w
}

func (w *World) add(p *policy.Policy, spec *v1alpha1.PolicySpec, problems []policy.Problem) {
	w.policies = append(w.policies, p)
	w.objects[p.Ref()] = &object{spec: spec, problems: problems}
}

// Audiences are those that a SigningKey holds, sorted.
func (w *World) Audiences() []string { return slices.Sorted(maps.Keys(w.audiences)) }

// Spoken are the audiences that policies name, for where no SigningKey says which there are; one that stands for any other
// if there are policies for all.
func (w *World) Spoken() []string {
	spoken := map[string]bool{}
	for _, o := range w.objects {
		if len(o.spec.Audiences) == 0 {
			spoken[anyAudience] = true
		}
		for _, a := range o.spec.Audiences {
			spoken[string(a)] = true
		}
	}
	return slices.Sorted(maps.Keys(spoken))
}

// AudienceHint says which of the audiences no SigningKey holds; nothing if all are held.
func (w *World) AudienceHint(audiences []string) string {
	for _, a := range audiences {
		if !w.held(a) {
			return w.noSuchAudience(a)
		}
	}
	return ""
}

// Problems are what is wrong with a policy.
func (w *World) Problems(ref policy.Ref) []policy.Problem {
	if o := w.objects[ref]; o != nil {
		return o.problems
	}
	return nil
}

// held says whether tokens for the audience can be had at all.
func (w *World) held(audience string) bool { return w.open || w.audiences[audience] != nil }

// admits says whose AccessPolicies may speak of the audience.
func (w *World) admits(audience string) func(namespace string) bool {
	if w.open {
		return func(string) bool { return true }
	}
	if a := w.audiences[audience]; a != nil {
		return a.Namespaces.Admits
	}
	return func(string) bool { return false }
}
