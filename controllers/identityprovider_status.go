package controllers

import (
	"errors"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
)

// errSecretNotCached says that a Secret exists and the cache does not hold it yet.
var errSecretNotCached = errors.New("the cache does not hold it yet")

// Types of providers, as status.type spells them.
const (
	typeHtpasswd   = "htpasswd"
	typeKubernetes = "kubernetes"
	typeJWT        = "jwt"
)

// identityProviderStatus says what the compiler found out about a provider.
func identityProviderStatus(now metav1.Time, object *v1alpha1.IdentityProvider, problems []provider.Problem) v1alpha1.IdentityProviderStatus {
	conditions := nextConditions(now, object.Generation, object.Status.Conditions, providerConditions(problems)...)
	status := v1alpha1.IdentityProviderStatus{Conditions: conditions, ObservedGeneration: object.Generation, Type: typeKubernetes}
	switch {
	case object.Spec.Htpasswd != nil:
		status.Type = typeHtpasswd
	case object.Spec.JWT != nil:
		status.Type = typeJWT
	}
	return status
}

// knowsNobody says that a provider serves and has no user to serve.
func knowsNobody(p *provider.Provider) bool {
	return p != nil && p.Htpasswd != nil && len(p.Htpasswd.Hashes) == 0
}

// allFatal returns the problems as ones that stop the provider: where no line is usable, a few bad lines are all.
func allFatal(problems []provider.Problem) []provider.Problem {
	problems = slices.Clone(problems)
	for i := range problems {
		problems[i].Fatal = true
	}
	return problems
}

// providerConditions turns the compiler's problems into conditions. A provider of which some lines cannot be used
// serves, and says which; the message never holds the content of a line.
func providerConditions(problems []provider.Problem) []condition {
	if len(problems) == 0 {
		return []condition{isTrue(v1alpha1.ConditionReady, v1alpha1.ReasonServing, "Servers ask the provider who calls")}
	}
	// What stops the provider comes first; apart from that the compiler's order stays.
	problems = slices.Clone(problems)
	slices.SortStableFunc(problems, func(a, b provider.Problem) int {
		switch {
		case a.Fatal == b.Fatal:
			return 0
		case a.Fatal:
			return -1
		default:
			return 1
		}
	})
	said := make([]string, 0, len(problems))
	for _, p := range problems {
		said = append(said, p.Message)
	}
	reason, message := problems[0].Reason, listed(said)
	switch {
	case !problems[0].Fatal:
		return []condition{isTrue(v1alpha1.ConditionReady, reason, message)}
	case reason == v1alpha1.ReasonSecretNotFound || reason == v1alpha1.ReasonIssuerUnreachable:
		// The Secret may be on its way, in the same apply or from another operator, and the issuer may come back: nobody has
		// to be called yet.
		return []condition{isFalse(v1alpha1.ConditionReady, reason, message)}
	default:
		return []condition{isFalse(v1alpha1.ConditionReady, reason, message), stalled(reason, message)}
	}
}
