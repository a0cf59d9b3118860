package observe

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Records is told of records and revocations. It is called as soon as something is seen, and not when the next snapshot is
// composed: a revocation that waits lets a token through. It must return at once. What it gets it may keep and must not
// change. Of one kind it is called by one goroutine, and its calls for one name are in order.
type Records interface {
	PutRecord(t *v1alpha1.IssuedToken)
	DeleteRecord(name string)
	PutRevocation(r *v1alpha1.TokenRevocation)
	DeleteRevocation(name string)
}

// Requests is told of PermissionRequests, only with Options.UMA. It is called when the snapshot that goes by them is there, one
// call after the other, and must return at once; nil is a request that is gone. What it gets it may keep and must not change.
type Requests interface {
	PutRequest(name types.NamespacedName, r *v1alpha1.PermissionRequest)
}

// recordKinds are the kinds that Records is told of.
func recordKinds(r Records) []watchedKind {
	if r == nil {
		return nil
	}
	return []watchedKind{
		{"IssuedTokens", &v1alpha1.IssuedToken{}, recordHandler(r.PutRecord, r.DeleteRecord)},
		{"TokenRevocations", &v1alpha1.TokenRevocation{}, recordHandler(r.PutRevocation, r.DeleteRevocation)},
	}
}

func recordHandler[T client.Object](put func(T), gone func(name string)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(added any) {
			if object, ok := added.(T); ok {
				put(object)
			}
		},
		UpdateFunc: func(_, after any) {
			if object, ok := after.(T); ok {
				put(object)
			}
		},
		DeleteFunc: func(deleted any) {
			// What was missed while the watch was down comes as a key only.
			key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(deleted)
			if err != nil {
				return
			}
			if _, name, err := cache.SplitMetaNamespaceKey(key); err == nil {
				gone(name)
			}
		},
	}
}
