package cmd

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// notes are what a person on call should know of the SigningKey beside its keys: one line each, none if all is well.
func notes(key *v1alpha1.SigningKey) []string {
	var lines []string
	if key.Status.ObservedGeneration < key.Generation {
		lines = append(lines, fmt.Sprintf("SigningKey %q was changed, and no manager has looked at it since: is one running?", key.Name))
	}
	ready := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || ready.Status == metav1.ConditionTrue:
	case meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionStalled):
		lines = append(lines, fmt.Sprintf("SigningKey %q is not Ready and needs a person: %s", key.Name, told(*ready)))
	default:
		lines = append(lines, fmt.Sprintf("SigningKey %q is not Ready: %s", key.Name, told(*ready)))
	}
	if w := warning(key); w != nil {
		lines = append(lines, fmt.Sprintf("SigningKey %q has a Warning: %s", key.Name, told(*w)))
	}
	return lines
}

// warning returns the condition Warning while it is True.
func warning(key *v1alpha1.SigningKey) *metav1.Condition {
	w := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionWarning)
	if w == nil || w.Status != metav1.ConditionTrue {
		return nil
	}
	return w
}

// standing is what the SigningKey says of itself, in one line.
func standing(key *v1alpha1.SigningKey) string {
	if lines := notes(key); len(lines) > 0 {
		return strings.Join(lines, "; ")
	}
	if ready := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return fmt.Sprintf("SigningKey %q is Ready: %s", key.Name, told(*ready))
	}
	return fmt.Sprintf("SigningKey %q has no status: is a manager running?", key.Name)
}

// told is reason and message of a condition in one line, whatever is in the message.
func told(c metav1.Condition) string {
	return c.Reason + ": " + strings.Join(strings.Fields(c.Message), " ")
}
