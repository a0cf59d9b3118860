package observe

import (
	"context"
	"errors"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// RBAC cannot select by label: the right to the Secrets of the system namespace is one to all of them, which is why the
// certificate authorities are in another.
//
// +kubebuilder:rbac:groups=tokenwright.dev,resources=accesspolicies;clusteraccesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups=tokenwright.dev,resources=signingkeys;identityproviders;issuedtokens;tokenrevocations,verbs=list;watch,namespace=tokenwright-system
// +kubebuilder:rbac:groups="",resources=secrets,verbs=list;watch,namespace=tokenwright-system

// newCache makes the cache of what the server observes, and of nothing else.
func newCache(config *rest.Config, o Options, failed toolscache.WatchErrorHandlerWithContext) (cache.Cache, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	watched, err := labels.NewRequirement(v1alpha1.LabelWatch, selection.Exists, nil)
	if err != nil {
		return nil, err
	}
	selector := labels.NewSelector().Add(*watched)
	system := map[string]cache.Config{o.Namespace: {}}
	options := cache.Options{
		Scheme:                      scheme,
		Mapper:                      mapper(),
		ReaderFailOnMissingInformer: true,
		DefaultTransform:            trim,
		DefaultWatchErrorHandler:    failed,
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.SigningKey{}:       {Namespaces: system},
			&v1alpha1.IdentityProvider{}: {Namespaces: system},
			&v1alpha1.IssuedToken{}:      {Namespaces: system},
			&v1alpha1.TokenRevocation{}:  {Namespaces: system},
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{
				o.Namespace: {LabelSelector: selector},
			}},
		},
	}
	if o.Source != nil {
		options.DefaultTransform, options.NewInformer = nil, informersOf(o.Source, o.Namespace, selector)
	}
	return cache.New(config, options)
}

// mapper knows our few kinds by heart: asking the API server for them would make the start depend on it, and on the
// health of every other API that is aggregated into it.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion, corev1.SchemeGroupVersion})
	add := func(in schema.GroupVersion, kind, plural string, scope meta.RESTScope) {
		for _, kind := range []string{kind, kind + "List"} { // a cache of some namespaces asks about the list
			m.AddSpecific(in.WithKind(kind), in.WithResource(plural), in.WithResource(strings.ToLower(kind)), scope)
		}
	}
	add(v1alpha1.GroupVersion, "AccessPolicy", "accesspolicies", meta.RESTScopeNamespace)
	add(v1alpha1.GroupVersion, "ClusterAccessPolicy", "clusteraccesspolicies", meta.RESTScopeRoot)
	add(v1alpha1.GroupVersion, "SigningKey", "signingkeys", meta.RESTScopeNamespace)
	add(v1alpha1.GroupVersion, "IdentityProvider", "identityproviders", meta.RESTScopeNamespace)
	add(v1alpha1.GroupVersion, "IssuedToken", "issuedtokens", meta.RESTScopeNamespace)
	add(v1alpha1.GroupVersion, "TokenRevocation", "tokenrevocations", meta.RESTScopeNamespace)
	add(v1alpha1.GroupVersion, "ProtectedResource", "protectedresources", meta.RESTScopeNamespace)
	add(v1alpha1.GroupVersion, "PermissionRequest", "permissionrequests", meta.RESTScopeNamespace)
	add(corev1.SchemeGroupVersion, "Secret", "secrets", meta.RESTScopeNamespace)
	add(corev1.SchemeGroupVersion, "Namespace", "namespaces", meta.RESTScopeRoot)
	return m
}

// namespaceKind is the kind of namespaces, of which only the metadata is read.
func namespaceKind() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return object
}

// trim drops what the server does not look at. Annotations go too, because kubectl keeps a copy of the whole object, of
// Secrets as well, in one of them.
func trim(in any) (any, error) {
	object, err := meta.Accessor(in)
	if err != nil {
		return in, nil
	}
	object.SetManagedFields(nil)
	object.SetAnnotations(nil)
	switch object := in.(type) {
	case *v1alpha1.AccessPolicy:
		object.Labels, object.OwnerReferences, object.Status = nil, nil, v1alpha1.PolicyStatus{}
	case *v1alpha1.ClusterAccessPolicy:
		object.Labels, object.OwnerReferences, object.Status = nil, nil, v1alpha1.PolicyStatus{}
	case *v1alpha1.ProtectedResource:
		object.Labels, object.OwnerReferences, object.Finalizers = nil, nil, nil
		object.Status = v1alpha1.ProtectedResourceStatus{URIs: resource.Kept(object)}
	case *v1alpha1.PermissionRequest:
		object.Labels, object.OwnerReferences, object.Finalizers = nil, nil, nil
		object.Status = v1alpha1.PermissionRequestStatus{State: object.Status.State, Scopes: object.Status.Scopes}
	case *v1alpha1.SigningKey:
		object.Status = v1alpha1.SigningKeyStatus{ActiveKeyID: object.Status.ActiveKeyID}
	case *v1alpha1.IdentityProvider:
		object.Status = v1alpha1.IdentityProviderStatus{}
	case *v1alpha1.IssuedToken:
		object.Labels, object.OwnerReferences, object.Finalizers = nil, nil, nil
	case *v1alpha1.TokenRevocation:
		object.Labels, object.OwnerReferences, object.Finalizers, object.Spec.Reason = nil, nil, nil, ""
	}
	return in, nil
}

// ended says whether a watch ended in one of the usual ways.
func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}
