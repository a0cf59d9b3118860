package offline

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/manifest"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// The kinds of the store that come from manifests as they are.
var (
	accessPolicyKind        = v1alpha1.GroupVersion.WithKind("AccessPolicy")
	clusterAccessPolicyKind = v1alpha1.GroupVersion.WithKind("ClusterAccessPolicy")
	protectedResourceKind   = v1alpha1.GroupVersion.WithKind("ProtectedResource")
	identityProviderKind    = v1alpha1.GroupVersion.WithKind("IdentityProvider")
	secretKind              = corev1.SchemeGroupVersion.WithKind("Secret")
	namespaceKind           = corev1.SchemeGroupVersion.WithKind("Namespace")
)

// changes count what a set changes.
type changes struct{ put, deleted int }

// take has the store hold the set. Policies come first: a Deny is to be there before what else the set allows.
func (o *Offline) take(set *manifest.Set) {
	fresh := o.warn(set)
	var n changes
	replace(o, &n, accessPolicyKind, set.AccessPolicies, nil)
	replace(o, &n, clusterAccessPolicyKind, set.ClusterAccessPolicies, nil)
	replace(o, &n, protectedResourceKind, set.ProtectedResources, nil)
	o.replaceNamespaces(set)
	replace(o, &n, secretKind, set.Secrets, func(secret *corev1.Secret) bool {
		_, watched := secret.Labels[v1alpha1.LabelWatch]
		return watched && secret.Namespace == o.options.Namespace
	})
	replace(o, &n, identityProviderKind, set.IdentityProviders, func(p *v1alpha1.IdentityProvider) bool { return p.Spec.Kubernetes == nil })
	o.keys = set.SigningKeys
	if fresh || n.deleted > 0 {
		o.remember(set)
	}
	o.loaded(set, n)
}

// replace puts what is wanted of a kind into the store, and takes out what the last set put there and this one does not have.
// An object that is in the store is left alone: the reader gives the same one as long as its manifest does not change.
func replace[T client.Object](o *Offline, n *changes, kind schema.GroupVersionKind, objects []T, wanted func(T) bool) {
	there := map[types.NamespacedName]bool{}
	var put []client.Object
	for _, object := range objects {
		if wanted != nil && !wanted(object) {
			continue
		}
		there[client.ObjectKeyFromObject(object)] = true
		if !o.taken[object] {
			trim(object)
			put = append(put, object)
		}
	}
	var deleted []types.NamespacedName
	for _, name := range o.objects.Names(kind) {
		if !there[name] && !(kind == secretKind && o.ours(name)) {
			deleted = append(deleted, name)
		}
	}
	if len(put)+len(deleted) > 0 {
		o.objects.Change(kind, put, deleted)
	}
	n.put, n.deleted = n.put+len(put), n.deleted+len(deleted)
}

// ours says whether a Secret of the store is that of keys, which no manifest speaks of.
func (o *Offline) ours(name types.NamespacedName) bool {
	held, ok := o.objects.Get(secretKind, name)
	if !ok {
		return false
	}
	_, labelled := held.GetLabels()[v1alpha1.LabelSigningKey]
	return labelled
}

// trim drops what the server does not look at, as it does with what comes from a cluster.
func trim(object client.Object) {
	object.SetAnnotations(nil)
	object.SetOwnerReferences(nil)
	object.SetFinalizers(nil)
	object.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	switch object := object.(type) {
	case *v1alpha1.AccessPolicy, *v1alpha1.ClusterAccessPolicy:
		object.SetLabels(nil)
	case *v1alpha1.ProtectedResource:
		object.SetLabels(nil)
		// No manager writes down since when uris are claimed, and manifests have no age: all claims are as old.
		object.Status.URIs = resource.Claimed(object, time.Unix(0, 0))
	}
}

// remember notes the objects of the set, which are not changed any more.
func (o *Offline) remember(set *manifest.Set) {
	all := make(map[metav1.Object]bool, len(o.taken))
	for _, p := range set.AccessPolicies {
		all[p] = true
	}
	for _, p := range set.ClusterAccessPolicies {
		all[p] = true
	}
	for _, p := range set.IdentityProviders {
		all[p] = true
	}
	for _, r := range set.ProtectedResources {
		all[r] = true
	}
	for _, s := range set.Secrets {
		all[s] = true
	}
	o.taken = all
}

// replaceNamespaces has the namespaces of the manifests in the store, and those of AccessPolicies and ProtectedResources:
// where nobody can make one, what is in it does.
func (o *Offline) replaceNamespaces(set *manifest.Set) {
	wanted := map[string]map[string]string{}
	for _, p := range set.AccessPolicies {
		wanted[p.Namespace] = map[string]string{corev1.LabelMetadataName: p.Namespace}
	}
	for _, r := range set.ProtectedResources {
		wanted[r.Namespace] = map[string]string{corev1.LabelMetadataName: r.Namespace}
	}
	for _, n := range set.Namespaces {
		wanted[n.Name] = n.Labels
	}
	var put []client.Object
	for name, labels := range wanted {
		held, ok := o.objects.Get(namespaceKind, types.NamespacedName{Name: name})
		if ok && maps.Equal(held.GetLabels(), labels) {
			continue
		}
		object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
		object.SetGroupVersionKind(namespaceKind)
		put = append(put, object)
	}
	var deleted []types.NamespacedName
	for _, name := range o.objects.Names(namespaceKind) {
		if _, ok := wanted[name.Name]; !ok {
			deleted = append(deleted, name)
		}
	}
	if len(put)+len(deleted) > 0 {
		o.objects.Change(namespaceKind, put, deleted)
	}
}
