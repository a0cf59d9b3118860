package controllers

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
)

// CacheOptions bounds what the manager holds in memory: policies of every namespace, system kinds of the system
// namespace only, and of ConfigMaps, Secrets and Leases only those that are labelled. Nothing is read by accident: a kind
// that no controller watches is an error. The certificate authorities' Secrets are not among it: they are read one by one.
// Of policies and records, of which there may be very many, only what is looked at is held.
func CacheOptions(namespace string) cache.Options {
	system := map[string]cache.Config{namespace: {}}
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.AccessPolicy{}:        {Transform: trimPolicy},
			&v1alpha1.ClusterAccessPolicy{}: {Transform: trimPolicy},
			&v1alpha1.IdentityProvider{}:    {Namespaces: system},
			&v1alpha1.IssuedToken{}:         {Namespaces: system, Transform: trimRecord},
			&v1alpha1.SigningKey{}:          {Namespaces: system},
			&v1alpha1.TokenRevocation{}:     {Namespaces: system, Transform: trimRecord},
			&corev1.ConfigMap{}:             {Namespaces: system, Label: labelled(v1alpha1.LabelSigningKey)},
			&coordinationv1.Lease{}:         {Namespaces: system, Label: labelled(v1alpha1.LabelServerLease)},
			&corev1.Secret{}: {
				Namespaces: system,
				// Our own Secrets carry this label beside theirs: a kind has one selector.
				Label:     labelled(v1alpha1.LabelWatch),
				Transform: withoutKeys,
			},
		},
	}
}

// trimPolicy drops what no controller looks at. Of the annotations one is a copy of the whole object, by kubectl.
func trimPolicy(in any) (any, error) {
	switch p := in.(type) {
	case *v1alpha1.AccessPolicy:
		trimMetadata(&p.ObjectMeta)
	case *v1alpha1.ClusterAccessPolicy:
		trimMetadata(&p.ObjectMeta)
	}
	return in, nil
}

// trimRecord drops what does not say when a record ends.
func trimRecord(in any) (any, error) {
	switch o := in.(type) {
	case *v1alpha1.IssuedToken:
		trimMetadata(&o.ObjectMeta)
		o.Spec = v1alpha1.IssuedTokenSpec{
			Type: o.Spec.Type, ID: o.Spec.ID, Subject: v1alpha1.RecordedSubject{Username: o.Spec.Subject.Username},
			Audience: o.Spec.Audience, KeyThumbprint: o.Spec.KeyThumbprint, Expires: o.Spec.Expires,
		}
		o.Status = v1alpha1.IssuedTokenStatus{}
	case *v1alpha1.TokenRevocation:
		trimMetadata(&o.ObjectMeta)
		o.Spec.Reason = ""
	}
	return in, nil
}

func trimMetadata(m *metav1.ObjectMeta) {
	m.ManagedFields, m.Annotations, m.Labels, m.OwnerReferences, m.Finalizers = nil, nil, nil, nil, nil
}

// withoutKeys keeps private keys out of the cache: the controllers that own them read them live, when they need them.
func withoutKeys(object any) (any, error) {
	object, err := cache.TransformStripManagedFields()(object)
	if secret, ok := object.(*corev1.Secret); ok {
		if _, ours := secret.Labels[v1alpha1.LabelSigningKey]; ours || secret.Type == opaque.SecretType {
			secret.Data = nil
		}
	}
	return object, err
}

// labelled selects the objects that have the label, whatever its value.
func labelled(label string) labels.Selector {
	exists, err := labels.NewRequirement(label, selection.Exists, nil)
	if err != nil {
		return labels.Nothing()
	}
	return labels.NewSelector().Add(*exists)
}
