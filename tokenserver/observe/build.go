package observe

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// builder holds what snapshots are composed of. Only one goroutine uses it.
type builder struct {
	reader    client.Reader
	namespace string
	composer  snapshot.Builder

	policies map[policy.Ref]*policy.Policy
	// resources are empty without UMA. What they give to people is in the index too.
	resources  *resources
	compiler   policy.Compiler
	index      *policy.Index
	namespaces *snapshot.Namespaces
	keys       *keySets
	// keyVersions is never changed, only replaced.
	keyVersions keyVersions
	serverKeys  serverKeys
	providers   *providers
}

func newBuilder(o Options, reader client.Reader) *builder {
	return &builder{
		reader: reader, namespace: o.Namespace,
		policies: map[policy.Ref]*policy.Policy{}, resources: newResources(), index: policy.NewIndex(nil), keys: newKeySets(o.Log), providers: newProviders(o.Log),
		serverKeys: serverKeys{log: o.Log},
	}
}

// apply takes the changes in. If something cannot be read it stays as it was.
func (b *builder) apply(ctx context.Context, batch pending) error {
	b.applyPolicies(batch.policies)
	b.applyResources(batch.resources, batch.requests)
	if batch.namespaces {
		if err := b.readNamespaces(ctx); err != nil {
			return fmt.Errorf("read namespaces: %w", err)
		}
	}
	if !batch.keys && !batch.providers {
		return nil
	}
	secrets, err := b.readSecrets(ctx)
	if err != nil {
		return fmt.Errorf("read Secrets: %w", err)
	}
	b.serverKeys.update(secrets)
	if batch.keys {
		if err := b.readKeys(ctx, secrets); err != nil {
			return fmt.Errorf("read SigningKeys: %w", err)
		}
	}
	if batch.providers {
		if err := b.readProviders(ctx, secrets); err != nil {
			return fmt.Errorf("read IdentityProviders: %w", err)
		}
	}
	return nil
}

// applyPolicies compiles what was created or changed. A policy with problems is compiled too: it grants nothing, or
// denies all within its reach; telling people is the manager's business.
func (b *builder) applyPolicies(objects map[policy.Ref]client.Object) {
	changes := make([]policy.Change, 0, len(objects))
	for ref, object := range objects {
		change := policy.Change{Old: b.policies[ref]}
		switch object := object.(type) {
		case *v1alpha1.AccessPolicy:
			change.New, _ = b.compiler.AccessPolicy(object)
		case *v1alpha1.ClusterAccessPolicy:
			change.New, _ = b.compiler.ClusterAccessPolicy(object)
		}
		if change.New == nil {
			delete(b.policies, ref)
		} else {
			b.policies[ref] = change.New
		}
		changes = append(changes, change)
	}
	if len(changes) > 0 {
		b.index = b.index.Apply(changes)
	}
}

func (b *builder) readNamespaces(ctx context.Context) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := b.reader.List(ctx, list); err != nil {
		return err
	}
	labels := make(map[string]map[string]string, len(list.Items))
	for _, item := range list.Items {
		labels[item.Name] = item.Labels
	}
	b.namespaces = snapshot.NewNamespaces(labels)
	return nil
}

func (b *builder) readSecrets(ctx context.Context) (map[string]*corev1.Secret, error) {
	var list corev1.SecretList
	if err := b.reader.List(ctx, &list, client.InNamespace(b.namespace)); err != nil {
		return nil, err
	}
	secrets := make(map[string]*corev1.Secret, len(list.Items))
	for i := range list.Items {
		secrets[list.Items[i].Name] = &list.Items[i]
	}
	return secrets, nil
}

func (b *builder) readKeys(ctx context.Context, secrets map[string]*corev1.Secret) error {
	var list v1alpha1.SigningKeyList
	if err := b.reader.List(ctx, &list, client.InNamespace(b.namespace)); err != nil {
		return err
	}
	b.keys.update(list.Items, secrets)
	b.keyVersions = keyVersions{}
	for _, secret := range secrets {
		if _, ok := secret.Labels[v1alpha1.LabelSigningKey]; ok {
			b.keyVersions.add(secret)
		}
	}
	return nil
}

func (b *builder) readProviders(ctx context.Context, secrets map[string]*corev1.Secret) error {
	var list v1alpha1.IdentityProviderList
	if err := b.reader.List(ctx, &list, client.InNamespace(b.namespace)); err != nil {
		return err
	}
	b.providers.update(list.Items, secrets)
	return nil
}

// compose makes a snapshot of what is held.
func (b *builder) compose(now time.Time) *snapshot.Snapshot {
	s := b.composer.Build(snapshot.Input{
		Policies: b.index, Keys: b.keys.current, Namespaces: b.namespaces,
		Providers: b.providers.serving, Prefixes: b.providers.prefixes, Seals: b.serverKeys.current, At: now,
	})
	b.protect(s)
	b.keys.report(s)
	return s
}
