package registration

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Client is what the store asks of an API server.
type Client interface {
	Create(ctx context.Context, object client.Object, options ...client.CreateOption) error
	Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error
	Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error
	Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error
	Status() client.SubResourceWriter
}

// NewClient returns a client that asks nothing to begin with: a server can start while the API server is away.
func NewClient(config *rest.Config) (Client, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion})
	for _, kind := range []string{kindResource, kindRequest} {
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // callers are bounded, and wait for it
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("make a client for protected resources: %w", err)
	}
	return c, nil
}
