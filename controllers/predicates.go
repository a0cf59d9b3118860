package controllers

import (
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// statusOutdated passes objects whose status does not speak of their spec: new ones, changed ones, and ones whose
// status somebody took away. Our own writes do not pass, nor do changes of labels and annotations, nor deletions.
func statusOutdated() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			generation := e.ObjectNew.GetGeneration()
			return e.ObjectOld.GetGeneration() != generation || observedGeneration(e.ObjectNew) != generation
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

// specChanged passes whatever can change how the objects of a kind stand to each other: a new spec, a new object (also
// one that took the name of another while nobody looked), and one less.
func specChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || e.ObjectOld.GetUID() != e.ObjectNew.GetUID()
	}}
}

// observedGeneration returns what the status of one of our objects speaks of; -1 if it speaks of nothing.
func observedGeneration(object client.Object) int64 {
	switch o := object.(type) {
	case *v1alpha1.AccessPolicy:
		return o.Status.ObservedGeneration
	case *v1alpha1.ClusterAccessPolicy:
		return o.Status.ObservedGeneration
	case *v1alpha1.IdentityProvider:
		return o.Status.ObservedGeneration
	case *v1alpha1.SigningKey:
		return o.Status.ObservedGeneration
	default:
		return -1
	}
}
