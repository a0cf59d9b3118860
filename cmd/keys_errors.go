package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// roles are the ClusterRoles of the installation that give a verb on SigningKeys.
var roles = map[string]string{
	"get": "tokenwright-platform-viewer", "list": "tokenwright-platform-viewer", "patch": "tokenwright-platform-admin",
}

// explain says what to do about an answer of the API server. The name is empty where the verb is list.
func (s *session) explain(ctx context.Context, verb, name string, err error) error {
	switch {
	case apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return fmt.Errorf("this cluster does not know SigningKeys: install Tokenwright in it, or name another with --context: %w", err)
	case apierrors.IsNotFound(err) && name != "":
		return s.noSuchKey(ctx, name)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), fmt.Sprintf("cannot %s resource", verb)):
		return fmt.Errorf("you need the right to %s signingkeys of tokenwright.dev in namespace %q, which ClusterRole %q gives: %w",
			verb, s.namespace, roles[verb], err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not accept the credentials of the kubeconfig: log in again, or name another context with --context: %w", err)
	}
	if name == "" {
		return fmt.Errorf("list the SigningKeys of namespace %q: %w", s.namespace, err)
	}
	return fmt.Errorf("%s SigningKey %q of namespace %q: %w", verb, name, s.namespace, err)
}

// noSuchKey names those that exist, as far as whoever asks may know.
func (s *session) noSuchKey(ctx context.Context, name string) error {
	var keys v1alpha1.SigningKeyList
	if err := s.client.List(ctx, &keys, client.InNamespace(s.namespace)); err != nil {
		return fmt.Errorf("there is no SigningKey %q in namespace %q", name, s.namespace)
	}
	if len(keys.Items) == 0 {
		return fmt.Errorf("there is no SigningKey %q in namespace %q, nor any other: %s", name, s.namespace, s.whereKeysAre(ctx))
	}
	return fmt.Errorf("there is no SigningKey %q in namespace %q, which has %s", name, s.namespace, someNames(keys.Items))
}

// maxNames is how many names a message holds.
const maxNames = 10

func someNames(keys []v1alpha1.SigningKey) string {
	var names []string
	for i := range keys {
		if i == maxNames {
			names = append(names, fmt.Sprintf("and %d more", len(keys)-maxNames))
			break
		}
		names = append(names, fmt.Sprintf("%q", keys[i].Name))
	}
	return strings.Join(names, ", ")
}

// whereKeysAre says what to try where a namespace has no SigningKey.
func (s *session) whereKeysAre(ctx context.Context) string {
	var keys v1alpha1.SigningKeyList
	if err := s.client.List(ctx, &keys); err != nil || len(keys.Items) == 0 {
		return "name the namespace in which Tokenwright is installed with --namespace"
	}
	var namespaces []string
	for i := range keys.Items {
		namespaces = append(namespaces, fmt.Sprintf("--namespace=%s", keys.Items[i].Namespace))
	}
	slices.Sort(namespaces)
	return "try " + strings.Join(slices.Compact(namespaces), " or ")
}
