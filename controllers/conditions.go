package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Bounds of what a status says: a message is for a person, not an archive.
const (
	maxMessage  = 1024
	maxProblems = 3
)

// condition is what a controller has to say of one condition type; times and generations are added by nextConditions.
type condition struct {
	Type    string
	Status  metav1.ConditionStatus
	Reason  string
	Message string
}

// isTrue says that a condition holds.
func isTrue(conditionType, reason, message string) condition {
	return condition{Type: conditionType, Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

// isFalse says that a condition does not hold.
func isFalse(conditionType, reason, message string) condition {
	return condition{Type: conditionType, Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

// stalled says that nothing changes until a person changes something. It is left out, not set to False, otherwise.
func stalled(reason, message string) condition {
	return isTrue(v1alpha1.ConditionStalled, reason, message)
}

// nextConditions returns the conditions that an object shall have, sorted by type. The time of the last transition is
// kept where the status stays the same, because an apply always sends the whole entry. Types that are not wanted are
// dropped.
func nextConditions(now metav1.Time, generation int64, previous []metav1.Condition, wanted ...condition) []metav1.Condition {
	next := make([]metav1.Condition, 0, len(wanted))
	for _, want := range wanted {
		since := now
		if i := slices.IndexFunc(previous, func(c metav1.Condition) bool {
			return c.Type == want.Type && c.Status == want.Status
		}); i >= 0 {
			since = previous[i].LastTransitionTime
		}
		next = append(next, metav1.Condition{
			Type: want.Type, Status: want.Status, Reason: want.Reason, Message: bounded(want.Message),
			ObservedGeneration: generation, LastTransitionTime: since,
		})
	}
	slices.SortFunc(next, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
	return next
}

// applied turns conditions into the form of an apply configuration.
func applied(conditions []metav1.Condition) []*metav1ac.ConditionApplyConfiguration {
	out := make([]*metav1ac.ConditionApplyConfiguration, 0, len(conditions))
	for _, c := range conditions {
		out = append(out, metav1ac.Condition().
			WithType(c.Type).WithStatus(c.Status).WithReason(c.Reason).WithMessage(c.Message).
			WithObservedGeneration(c.ObservedGeneration).WithLastTransitionTime(c.LastTransitionTime))
	}
	return out
}

// bounded cuts a message to maxMessage bytes of valid UTF-8, at the end of a character.
func bounded(message string) string {
	message = strings.ToValidUTF8(message, "?")
	if len(message) <= maxMessage {
		return message
	}
	cut := maxMessage - len("…")
	for cut > 0 && !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + "…"
}

// listed joins the first few problems into one message and says how many more there are. The order is the caller's.
func listed(problems []string) string {
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(slices.Clone(problems[:maxProblems]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(problems, "; ")
}

// statusWriter is the one place that writes a status: by server-side apply under the controller's own field owner, once
// at the end of a reconcile, and only if something changed.
type statusWriter struct {
	client client.Client
	owner  client.FieldOwner
	// limit is shared by all controllers: a start with many new objects must not take the API server from others.
	limit *rate.Limiter
}

// apply writes the status unless next equals previous. The configuration carries the resourceVersion of what was looked
// at: an object that has changed since, or that took the name of another, is looked at again soon; one that is gone
// needs no status.
func (w statusWriter) apply(ctx context.Context, previous, next any, configuration runtime.ApplyConfiguration) (ctrl.Result, error) {
	if equality.Semantic.DeepEqual(previous, next) {
		return ctrl.Result{}, nil
	}
	if err := w.limit.Wait(ctx); err != nil {
		return ctrl.Result{}, fmt.Errorf("wait for a turn to write status: %w", err)
	}
	err := w.client.SubResource("status").Apply(ctx, configuration, w.owner, client.ForceOwnership)
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: firstRetry}, nil
	case client.IgnoreNotFound(err) != nil:
		return ctrl.Result{}, fmt.Errorf("apply status: %w", err)
	case err != nil:
		return ctrl.Result{}, nil // it is gone
	}
	return w.takeAway(ctx, configuration, ended(previous, next))
}
