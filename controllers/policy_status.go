package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// policyConcurrency is how many policies are compiled and written at once; StatusWritesPerSecond bounds the writes.
const policyConcurrency = 4

// policyStatus says what the compiler found out. It depends on the object alone, never on what was there before, but
// for the times of transitions.
func policyStatus(now metav1.Time, generation int64, previous v1alpha1.PolicyStatus, problems []policy.Problem) v1alpha1.PolicyStatus {
	return v1alpha1.PolicyStatus{
		Conditions:         nextConditions(now, generation, previous.Conditions, policyConditions(problems)...),
		ObservedGeneration: generation,
	}
}

// policyConditions turns the compiler's problems into conditions; the first problem gives the reason.
func policyConditions(problems []policy.Problem) []condition {
	if len(problems) == 0 {
		return []condition{
			isTrue(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "The policy compiles"),
			isTrue(v1alpha1.ConditionReady, v1alpha1.ReasonInForce, "Servers decide by the policy"),
		}
	}
	said := make([]string, 0, len(problems))
	for _, p := range problems {
		said = append(said, fmt.Sprintf("%s: %s", p.Path, p.Message))
	}
	reason, message := problems[0].Reason, listed(said)
	return []condition{
		isFalse(v1alpha1.ConditionAccepted, reason, message),
		isFalse(v1alpha1.ConditionReady, reason, message),
		stalled(reason, message),
	}
}
