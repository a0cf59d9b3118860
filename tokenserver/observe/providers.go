package observe

import (
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
)

// providers are the compiled IdentityProviders.
type providers struct {
	log      logr.Logger
	compiled map[types.UID]compiledProvider
	serving  []*provider.Provider
	prefixes []string
}

// compiledProvider is what came of one version of an object and of its Secret: a file of thousands of users is not read
// again because another object has changed.
type compiledProvider struct {
	version  string
	provider *provider.Provider
}

func newProviders(log logr.Logger) *providers {
	return &providers{log: log, compiled: map[types.UID]compiledProvider{}}
}

// update compiles what has changed. A provider that is being deleted is not trusted any more.
func (p *providers) update(all []v1alpha1.IdentityProvider, secrets map[string]*corev1.Secret) {
	var objects []v1alpha1.IdentityProvider
	for i := range all {
		if all[i].DeletionTimestamp.IsZero() {
			objects = append(objects, all[i])
		}
	}
	conflicts := provider.Conflicts(objects)
	compiled := make(map[types.UID]compiledProvider, len(objects))
	p.serving, p.prefixes = nil, nil
	for i := range objects {
		object := &objects[i]
		version, lookup := p.secretOf(object, secrets)
		c := p.compiled[object.UID]
		if c.version != version {
			c = p.compile(object, version, lookup)
		}
		compiled[object.UID] = c
		if _, conflict := conflicts[object.Name]; conflict {
			continue
		}
		if object.Spec.Htpasswd != nil {
			p.prefixes = append(p.prefixes, object.Spec.Htpasswd.Prefix)
		}
		if object.Spec.JWT != nil {
			p.prefixes = append(p.prefixes, object.Spec.JWT.Prefix)
		}
		if c.provider != nil {
			p.serving = append(p.serving, c.provider)
		}
	}
	p.compiled = compiled
}

// secretOf returns a version of the object together with its Secret, and how to look that up.
func (p *providers) secretOf(object *v1alpha1.IdentityProvider, secrets map[string]*corev1.Secret) (string, func(string) (provider.Secret, bool)) {
	version := object.ResourceVersion
	if spec := object.Spec.Htpasswd; spec != nil {
		if secret := secrets[spec.SecretRef.Name]; secret != nil {
			version += "/" + string(secret.UID) + "/" + secret.ResourceVersion
		}
	}
	return version, func(name string) (provider.Secret, bool) {
		secret := secrets[name]
		if secret == nil {
			return provider.Secret{}, false
		}
		return provider.Secret{Labels: secret.Labels, Data: secret.Data, ResourceVersion: secret.ResourceVersion}, true
	}
}

func (p *providers) compile(object *v1alpha1.IdentityProvider, version string, lookup func(string) (provider.Secret, bool)) compiledProvider {
	compiled, problems := provider.Compile(object, lookup)
	for _, problem := range problems {
		p.log.Info("Found a problem of an IdentityProvider", "identityProvider", object.Name, "reason", problem.Reason,
			"problem", problem.Message, "serves", compiled != nil)
	}
	return compiledProvider{version: version, provider: compiled}
}
