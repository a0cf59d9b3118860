package cmd

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pageSize is how many objects are asked for at once: a hundred thousand in one answer would hold up the API server.
const pageSize = 500

// maxRestarts is how often a list is begun anew because it took so long that the API server has forgotten its beginning.
const maxRestarts = 3

// pages reads a list in parts. Each part is read into a list of its own: decoders leave what was there before where the
// next object has nothing.
func pages[T, L any, P interface {
	*L
	client.ObjectList
}](ctx context.Context, c client.Client, what call, items func(P) []T) ([]*T, error) {
	var found []*T
	next := ""
	for restarts := 0; ; {
		list := P(new(L))
		if partial, ok := any(list).(*metav1.PartialObjectMetadataList); ok {
			partial.SetGroupVersionKind(what.resource.version.WithKind(what.resource.kind + "List"))
		}
		err := c.List(ctx, list, client.InNamespace(what.namespace), client.Limit(pageSize), client.Continue(next))
		switch {
		case apierrors.IsResourceExpired(err) && next != "" && restarts < maxRestarts:
			restarts++
			next, found = "", nil
			continue
		case err != nil:
			return nil, what.explain(err)
		}
		page := items(list)
		for i := range page {
			found = append(found, &page[i])
		}
		if next = list.GetContinue(); next == "" {
			return found, nil
		}
	}
}
