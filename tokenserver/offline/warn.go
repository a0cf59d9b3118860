package offline

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/manifest"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// warn logs what an object of the set does not do, though it is in force: in a cluster its status would say so. Of objects
// that were taken over already it was said. It returns whether there are others.
func (o *Offline) warn(set *manifest.Set) bool {
	fresh := false
	for _, p := range set.AccessPolicies {
		if !o.taken[p] {
			fresh = true
			_, problems := o.compiler.AccessPolicy(p)
			o.warnPolicy(set.Source(p), "AccessPolicy", p.Namespace+"/"+p.Name, p.Spec.Effect, problems)
		}
	}
	for _, p := range set.ClusterAccessPolicies {
		if !o.taken[p] {
			fresh = true
			_, problems := o.compiler.ClusterAccessPolicy(p)
			o.warnPolicy(set.Source(p), "ClusterAccessPolicy", p.Name, p.Spec.Effect, problems)
		}
	}
	for _, r := range set.ProtectedResources {
		if !o.taken[r] {
			fresh = true
			o.warnResource(set.Source(r), r)
		}
	}
	fresh = o.warnProviders(set) || fresh
	if set.Skipped != o.told.skipped {
		o.told.skipped = set.Skipped
		o.options.Log.Info("Passed over objects of kinds that mean nothing here", "objects", set.Skipped)
	}
	return fresh
}

func (o *Offline) warnPolicy(at manifest.Source, kind, name string, effect v1alpha1.Effect, problems []policy.Problem) {
	consequence := "it grants nothing"
	if effect == v1alpha1.EffectDeny {
		consequence = "it denies all within its reach"
	}
	for _, p := range problems {
		o.options.Log.Info("Found a problem of a policy", "file", at.File, "line", at.LineOf(p.Path), "kind", kind, "name", name,
			"path", p.Path, "reason", p.Reason, "problem", p.Message, "consequence", consequence)
	}
}

// warnResource says why a resource is not served: an API server would have taken it, too. It has a taken id or uri only at
// some audience, of which the observer knows.
func (o *Offline) warnResource(at manifest.Source, r *v1alpha1.ProtectedResource) {
	_, problems := resource.Compile(r)
	for _, p := range problems {
		o.options.Log.Info("Found a problem of a resource", "file", at.File, "line", at.LineOf(p.Path), "kind", "ProtectedResource",
			"name", r.Namespace+"/"+r.Name, "path", p.Path, "reason", p.Reason, "problem", p.Message, "consequence", "it is not served")
	}
}

// warnProviders says which IdentityProviders do not serve, or not all that they name. It is said again whenever a Secret or
// provider changes: they are few.
func (o *Offline) warnProviders(set *manifest.Set) bool {
	secrets := map[string]*corev1.Secret{}
	changed := false
	for _, s := range set.Secrets {
		if s.Namespace == o.options.Namespace {
			secrets[s.Name] = s
		}
		changed = changed || !o.taken[s]
	}
	lookup := func(name string) (provider.Secret, bool) {
		s, ok := secrets[name]
		if !ok {
			return provider.Secret{}, false
		}
		return provider.Secret{Labels: s.Labels, Data: s.Data, ResourceVersion: s.ResourceVersion}, true
	}
	var objects []v1alpha1.IdentityProvider
	for _, p := range set.IdentityProviders {
		objects = append(objects, *p)
		changed = changed || !o.taken[p]
	}
	if !changed && len(objects) == o.told.providers {
		return false
	}
	o.told.providers = len(objects)
	conflicts := provider.Conflicts(objects)
	for _, p := range set.IdentityProviders {
		at := set.Source(p)
		log := o.options.Log.WithValues("file", at.File, "line", at.Line, "identityProvider", p.Name)
		if p.Spec.Kubernetes != nil {
			log.Info("Passed over an IdentityProvider that needs a cluster: ServiceAccounts cannot log in here")
			continue
		}
		compiled, problems := provider.Compile(p, lookup)
		if compiled != nil && compiled.JWT != nil {
			if err := openid.Check(compiled.JWT); err != nil {
				problems = append(problems, provider.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error(), Fatal: true})
			}
		}
		if conflict, ok := conflicts[p.Name]; ok {
			problems = append(problems, conflict)
		}
		for _, problem := range problems {
			log.Info("Found a problem of an IdentityProvider", "reason", problem.Reason, "problem", problem.Message, "serves", !problem.Fatal)
		}
	}
	return changed
}
