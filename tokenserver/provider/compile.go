package provider

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// reserved starts the names that only the API server may give.
const reserved = "system:"

const defaultKey = "htpasswd"

// Compile makes a Provider of the object and of the Secret that it names; lookup finds Secrets in the object's own
// namespace. The Provider is nil if a problem is fatal.
func Compile(object *v1alpha1.IdentityProvider, lookup func(secretName string) (Secret, bool)) (*Provider, []Problem) {
	p := &Provider{Name: object.Name, UID: string(object.UID), Generation: object.Generation}
	var problems []Problem
	spec := object.Spec
	switch {
	case spec.Htpasswd != nil && spec.Kubernetes == nil && spec.JWT == nil:
		problems = p.addHtpasswd(spec.Htpasswd, lookup)
	case spec.Kubernetes != nil && spec.Htpasswd == nil && spec.JWT == nil:
		problems = p.addKubernetes(spec.Kubernetes)
	case spec.JWT != nil && spec.Htpasswd == nil && spec.Kubernetes == nil:
		problems = p.addJWT(spec.JWT)
	default:
		problems = []Problem{fatal(v1alpha1.ReasonInvalidSpec, "exactly one of htpasswd, kubernetes and jwt must be given")}
	}
	if slices.ContainsFunc(problems, func(p Problem) bool { return p.Fatal }) {
		return nil, problems
	}
	return p, problems
}

func (p *Provider) addHtpasswd(spec *v1alpha1.HtpasswdProvider, lookup func(string) (Secret, bool)) []Problem {
	if message := prefixFault("htpasswd", spec.Prefix); message != "" {
		return []Problem{fatal(v1alpha1.ReasonInvalidSpec, "%s", message)}
	}
	secret, ok := lookup(spec.SecretRef.Name)
	if !ok {
		return []Problem{fatal(v1alpha1.ReasonSecretNotFound,
			"Secret %q does not exist, or lacks the label %s", spec.SecretRef.Name, v1alpha1.LabelWatch)}
	}
	if _, ok := secret.Labels[v1alpha1.LabelWatch]; !ok {
		return []Problem{fatal(v1alpha1.ReasonSecretNotLabelled,
			"Secret %q lacks the label %s", spec.SecretRef.Name, v1alpha1.LabelWatch)}
	}
	key := spec.SecretRef.Key
	if key == "" {
		key = defaultKey
	}
	file, ok := secret.Data[key]
	if !ok {
		return []Problem{fatal(v1alpha1.ReasonKeyNotFound, "Secret %q has no key %q", spec.SecretRef.Name, key)}
	}
	users, problems := parseUsers(file, spec.Prefix)
	users.Groups = map[string][]string{}
	if spec.GroupsKey != "" {
		file, ok := secret.Data[spec.GroupsKey]
		if !ok {
			// Without its groups a user would escape what is denied to them.
			return append(problems, fatal(v1alpha1.ReasonKeyNotFound,
				"Secret %q has no key %q", spec.SecretRef.Name, spec.GroupsKey))
		}
		groups, more := parseGroups(file, spec.Prefix)
		users.Groups = groups
		problems = append(problems, more...)
	}
	p.Prefix, p.SecretVersion, p.Htpasswd = spec.Prefix, secret.ResourceVersion, users
	return problems
}

func (p *Provider) addKubernetes(spec *v1alpha1.KubernetesProvider) []Problem {
	verification := spec.Verification
	switch verification {
	case "":
		verification = v1alpha1.VerifyOnlinePreferred
	case v1alpha1.VerifyOnline, v1alpha1.VerifyOnlinePreferred, v1alpha1.VerifyOffline:
	default:
		return []Problem{fatal(v1alpha1.ReasonInvalidSpec, "kubernetes.verification must be Online, OnlinePreferred or Offline")}
	}
	audiences := make([]string, 0, len(spec.Audiences))
	for _, a := range spec.Audiences {
		if a != "" {
			audiences = append(audiences, string(a))
		}
	}
	if len(audiences) == 0 {
		// A review without audiences would be about the API server's own, which every pod has a token for.
		return []Problem{fatal(v1alpha1.ReasonInvalidSpec, "kubernetes.audiences must name at least one audience")}
	}
	p.Kubernetes = &Kubernetes{Audiences: audiences, Verification: verification}
	return nil
}

// prefixFault says what is wrong with the prefix of a type of provider, or nothing.
func prefixFault(typ, prefix string) string {
	switch {
	case strings.HasPrefix(prefix, reserved):
		return typ + ".prefix must not start with " + reserved
	case prefix != "" && !printable(prefix):
		return typ + ".prefix must consist of printable characters"
	}
	return ""
}

func fatal(reason, format string, args ...any) Problem {
	return Problem{Reason: reason, Message: fmt.Sprintf(format, args...), Fatal: true}
}
