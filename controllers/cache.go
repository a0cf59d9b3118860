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
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// CacheOptions bounds what the manager holds in memory: policies, resources and requests of every namespace, system kinds of
// the system namespace only, and of ConfigMaps, Secrets and Leases only those that are labelled. Nothing is read by accident:
// a kind that no controller watches is an error. The certificate authorities' Secrets are not among it: they are read one by
// one. Of what there may be very many only what is looked at is held.
func CacheOptions(namespace string) cache.Options {
	system := map[string]cache.Config{namespace: {}}
	return cache.Options{
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.AccessPolicy{}:        {Transform: trimMetadataOf},
			&v1alpha1.ClusterAccessPolicy{}: {Transform: trimMetadataOf},
			&v1alpha1.IdentityProvider{}:    {Namespaces: system},
			&v1alpha1.IssuedToken{}:         {Namespaces: system, Transform: trimRecord},
			&v1alpha1.PermissionRequest{}:   {Transform: trimMetadataOf},
			&v1alpha1.ProtectedResource{}:   {Transform: trimResource},
			&v1alpha1.SigningKey{}:          {Namespaces: system},
			&v1alpha1.TokenRevocation{}:     {Namespaces: system, Transform: trimRecord},
			&corev1.ConfigMap{}:             {Namespaces: system, Label: labelled(v1alpha1.LabelSigningKey)},
			&corev1.Namespace{}:             {Transform: onlyLabels},
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

// trimMetadataOf drops what no controller looks at in policies and requests. Of the annotations one is a copy of the whole object, by kubectl.
func trimMetadataOf(in any) (any, error) {
	switch p := in.(type) {
	case *v1alpha1.AccessPolicy:
		trimMetadata(&p.ObjectMeta)
	case *v1alpha1.ClusterAccessPolicy:
		trimMetadata(&p.ObjectMeta)
	case *v1alpha1.PermissionRequest:
		trimMetadata(&p.ObjectMeta)
	}
	return in, nil
}

// trimResource drops what makes no difference to the status: attributes, of which a resource can have much, only if they are
// as they must be.
func trimResource(in any) (any, error) {
	if r, ok := in.(*v1alpha1.ProtectedResource); ok {
		trimMetadata(&r.ObjectMeta)
		if _, problems := resource.Compile(r); len(problems) == 0 {
			r.Spec.Attributes = nil
		}
	}
	return in, nil
}

// onlyLabels keeps of a namespace what SigningKeys select it by.
func onlyLabels(in any) (any, error) {
	if n, ok := in.(*corev1.Namespace); ok {
		labels := n.Labels
		trimMetadata(&n.ObjectMeta)
		n.Labels, n.Spec, n.Status = labels, corev1.NamespaceSpec{}, corev1.NamespaceStatus{}
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
