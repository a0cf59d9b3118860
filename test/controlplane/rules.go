package controlplane

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const rulesKey = "x-kubernetes-validations"

// WithoutRules takes all CEL rules out of the schema of a kind's spec, so that a test can see what refuses beside them, or
// store what was stored before there were rules. It returns how to put them back. The API server goes by either a moment
// later: wait for it.
func (p *Plane) WithoutRules(ctx context.Context, plural string) (restore func(context.Context) error, err error) {
	var before any
	err = p.changeSchema(ctx, plural, func(schema map[string]any) (any, error) {
		before = clone(schema)
		if dropRules(schema) == 0 {
			return nil, errors.New("there are no rules")
		}
		return schema, nil
	})
	return func(ctx context.Context) error {
		return p.changeSchema(ctx, plural, func(map[string]any) (any, error) { return before, nil })
	}, err
}

// changeSchema changes the schema of a kind's spec.
func (p *Plane) changeSchema(ctx context.Context, plural string, change func(map[string]any) (any, error)) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		crd := &unstructured.Unstructured{}
		crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		if err := p.Client.Get(ctx, client.ObjectKey{Name: plural + ".tokenwright.dev"}, crd); err != nil {
			return fmt.Errorf("get the CRD: %w", err)
		}
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		if err != nil || len(versions) != 1 {
			return fmt.Errorf("the CRD has %d versions, expected 1: %w", len(versions), err)
		}
		version, at := versions[0].(map[string]any), []string{"schema", "openAPIV3Schema", "properties", "spec"}
		spec, found, err := unstructured.NestedMap(version, at...)
		if err != nil || !found {
			return fmt.Errorf("the CRD has no schema of a spec: %w", err)
		}
		changed, err := change(spec)
		if err != nil {
			return err
		}
		if err := unstructured.SetNestedField(version, changed, at...); err != nil {
			return err
		}
		if err := unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions"); err != nil {
			return err
		}
		return p.Client.Update(ctx, crd)
	})
}

// dropRules returns how many it took away.
func dropRules(value any) int {
	n := 0
	switch v := value.(type) {
	case map[string]any:
		if rules, found := v[rulesKey].([]any); found {
			n = len(rules)
			delete(v, rulesKey)
		}
		for _, inner := range v {
			n += dropRules(inner)
		}
	case []any:
		for _, inner := range v {
			n += dropRules(inner)
		}
	}
	return n
}

func clone(value map[string]any) any {
	return (&unstructured.Unstructured{Object: map[string]any{"v": value}}).DeepCopy().Object["v"]
}
