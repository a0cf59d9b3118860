package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// explain says what to do about an answer to a call that speaks of a SigningKey.
func (s *session) explain(ctx context.Context, verb, name string, err error) error {
	if apierrors.IsNotFound(err) && !isUnknownKind(err) {
		return s.noSuchKey(ctx, name)
	}
	return s.call(verb, signingKeys, name).explain(err)
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
