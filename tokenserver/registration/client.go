package registration

import (
	"context"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/tokenserver/attempt"
)

// Client is what the store asks of an API server.
type Client interface {
	Create(ctx context.Context, object client.Object, options ...client.CreateOption) error
	Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error
	Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error
	Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error
	Status() client.SubResourceWriter
}

// NewClient returns a client for a Store. It asks nothing to begin with.
func NewClient(config *rest.Config) (Client, error) {
	return attempt.NewClient(config, kindResource, kindRequest)
}
