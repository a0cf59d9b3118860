package observe

import (
	"errors"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Source lists and watches objects without an API server. All else is as with one: the same informers, handlers and
// snapshots.
type Source interface {
	// ListWatch returns how the objects of a kind are listed and watched: of one namespace, unless that is empty, and with
	// such labels. Nobody changes the objects that it gives, and none is held twice: it leaves out what the server does not
	// look at.
	ListWatch(kind schema.GroupVersionKind, namespace string, selector labels.Selector) toolscache.ListerWatcher
}

// informersOf makes informers that list and watch the source, of what the cache would ask an API server for.
func informersOf(source Source, namespace string, watched labels.Selector) func(toolscache.ListerWatcher, runtime.Object, time.Duration, toolscache.Indexers) toolscache.SharedIndexInformer {
	return func(_ toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
		kind, of, selector := schema.GroupVersionKind{}, "", labels.Everything()
		switch object.(type) {
		case *v1alpha1.AccessPolicy:
			kind = v1alpha1.GroupVersion.WithKind("AccessPolicy")
		case *v1alpha1.ClusterAccessPolicy:
			kind = v1alpha1.GroupVersion.WithKind("ClusterAccessPolicy")
		case *v1alpha1.ProtectedResource:
			kind = v1alpha1.GroupVersion.WithKind("ProtectedResource")
		case *v1alpha1.PermissionRequest:
			kind = v1alpha1.GroupVersion.WithKind("PermissionRequest")
		case *v1alpha1.SigningKey:
			kind, of = v1alpha1.GroupVersion.WithKind("SigningKey"), namespace
		case *v1alpha1.IdentityProvider:
			kind, of = v1alpha1.GroupVersion.WithKind("IdentityProvider"), namespace
		case *v1alpha1.IssuedToken:
			kind, of = v1alpha1.GroupVersion.WithKind("IssuedToken"), namespace
		case *v1alpha1.TokenRevocation:
			kind, of = v1alpha1.GroupVersion.WithKind("TokenRevocation"), namespace
		case *corev1.Secret:
			kind, of, selector = corev1.SchemeGroupVersion.WithKind("Secret"), namespace, watched
		case *metav1.PartialObjectMetadata:
			kind = object.GetObjectKind().GroupVersionKind()
		}
		return toolscache.NewSharedIndexInformer(source.ListWatch(kind, of, selector), object, resync, indexers)
	}
}

// nowhere is the configuration of a cache that has a source: whatever it would send fails.
func nowhere() *rest.Config {
	return &rest.Config{Host: "http://localhost", Transport: refusing{}}
}

type refusing struct{}

// RoundTrip implements http.RoundTripper.
func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("there is no API server")
}
