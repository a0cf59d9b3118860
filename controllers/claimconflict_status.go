package controllers

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// claimWarning says in whose way the policy is; nothing if in nobody's.
func claimWarning(conflicts []policy.ClaimConflict) []condition {
	if len(conflicts) == 0 {
		return nil
	}
	said := make([]string, 0, len(conflicts))
	for _, c := range conflicts {
		names := make([]string, 0, len(c.Others)+1)
		for _, o := range c.Others {
			names = append(names, fmt.Sprintf("%q", o.Name))
		}
		switch {
		case c.More >= policy.MaxMore:
			names = append(names, fmt.Sprintf("and at least %d more", c.More))
		case c.More > 0:
			names = append(names, fmt.Sprintf("and %d more", c.More))
		}
		said = append(said, fmt.Sprintf("claim %q may have another value by ClusterAccessPolicy %s", c.Claim, strings.Join(names, ", ")))
	}
	message := listed(said) + ": a caller of whom both speak gets no token that carries claims"
	return []condition{isTrue(v1alpha1.ConditionWarning, v1alpha1.ReasonConflictingClaims, message)}
}

// onlyWarning returns the condition Warning, and exceptWarning the others.
func onlyWarning(conditions []metav1.Condition) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(conditions), func(c metav1.Condition) bool { return c.Type != v1alpha1.ConditionWarning })
}

func exceptWarning(conditions []metav1.Condition) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(conditions), func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionWarning })
}

// claimsIndex says whether a policy has claims, or a warning that must go when it has none any more.
func claimsIndex(object client.Object) []string {
	if p, ok := object.(*v1alpha1.ClusterAccessPolicy); ok && (len(p.Spec.Claims) > 0 || len(onlyWarning(p.Status.Conditions)) > 0) {
		return []string{"true"}
	}
	return nil
}

// claimsChanged passes what can change who is in whose way: policies with claims that are new, changed or gone; and a
// warning that somebody took away. A policy without claims concerns nobody.
func claimsChanged() predicate.Predicate {
	concerned := func(o client.Object) bool { return len(claimsIndex(o)) > 0 }
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return concerned(e.Object) },
		DeleteFunc: func(e event.DeleteEvent) bool { return concerned(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			if !concerned(e.ObjectOld) && !concerned(e.ObjectNew) {
				return false
			}
			return specChanged().Update(e) || !reflect.DeepEqual(whatCounts(e.ObjectOld), whatCounts(e.ObjectNew))
		},
	}
}

// whatCounts is the spec, as the same generation can stand for another one after a restore of etcd, and the warning.
func whatCounts(object client.Object) any {
	p, ok := object.(*v1alpha1.ClusterAccessPolicy)
	if !ok {
		return nil
	}
	return [2]any{p.Spec, onlyWarning(p.Status.Conditions)}
}

// after asks for one look at all objects some time after an event, so that many events make few looks.
func after(delay time.Duration) handler.EventHandler {
	return afterEach(delay, func(context.Context, client.Object) []string { return []string{""} })
}

// afterEach is after for each of what the object concerns: of one that has changed also what it concerned before.
func afterEach(delay time.Duration, concerned func(context.Context, client.Object) []string) handler.EventHandler {
	soon := func(ctx context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request], objects ...client.Object) {
		for _, object := range objects {
			for _, name := range concerned(ctx, object) {
				q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}, delay)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			soon(ctx, q, e.Object)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			soon(ctx, q, e.ObjectOld, e.ObjectNew)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			soon(ctx, q, e.Object)
		},
	}
}
