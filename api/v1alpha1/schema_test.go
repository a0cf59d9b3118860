package v1alpha1_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// definitionOf returns the CRD that the API server has for the kind.
func definitionOf(t *testing.T, k kind) apiextensionsv1.CustomResourceDefinitionSpec {
	t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{
		Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition",
	})
	if err := plane.Client.Get(context.Background(), client.ObjectKey{Name: k.plural + ".tokenwright.dev"}, object); err != nil {
		t.Fatalf("get the CRD: %v", err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &crd); err != nil {
		t.Fatalf("read the CRD: %v", err)
	}
	return crd.Spec
}

// schemaOf returns the schema that the API server has for the kind.
func schemaOf(t *testing.T, k kind) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	return *definitionOf(t, k).Versions[0].Schema.OpenAPIV3Schema
}

// schemaRule is one thing that a schema demands, and a part of what the API server says when it is not met.
type schemaRule struct {
	path, says string
	// anywhere says that the refusal may name another field.
	anywhere bool
}

// notOurs are schemas of Kubernetes' own types, in which the API server's own rules are.
var notOurs = []string{"metadata", "status.conditions[]", "spec.namespaces.selector"}

// schemaRules returns every rule of a schema.
func schemaRules(s apiextensionsv1.JSONSchemaProps) []schemaRule {
	var rules []schemaRule
	walk("", s, func(path string, s apiextensionsv1.JSONSchemaProps) {
		add := func(given bool, says string) {
			if given {
				rules = append(rules, schemaRule{path: path, says: says})
			}
		}
		add(s.Pattern != "", "should match")
		add(len(s.Enum) > 0, "supported values")
		add(s.MaxLength != nil, "may not be more than")
		add(s.MinLength != nil, "should be at least")
		add(s.MaxItems != nil, "must have at most")
		add(s.MinItems != nil, "should have at least")
		add(s.MinProperties != nil, "should have at least")
		add(s.Minimum != nil, "should be greater than or equal to")
		add(s.Maximum != nil, "should be less than or equal to")
		if s.XListType != nil && *s.XListType != "atomic" {
			rules = append(rules, schemaRule{path: path, says: "Duplicate value"})
		}
		for _, v := range s.XValidations {
			rules = append(rules, schemaRule{path: path, says: v.Message, anywhere: true})
		}
		for _, name := range s.Required {
			rules = append(rules, schemaRule{path: strings.TrimPrefix(path+"."+name, "."), says: "Required value"})
		}
	})
	return rules
}

// walk visits every schema within s that is ours, with its path: a.b[].c.
func walk(path string, s apiextensionsv1.JSONSchemaProps, visit func(string, apiextensionsv1.JSONSchemaProps)) {
	if slices.Contains(notOurs, path) {
		return
	}
	visit(path, s)
	for name, property := range s.Properties {
		walk(strings.TrimPrefix(path+"."+name, "."), property, visit)
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk(path+"[]", *s.Items.Schema, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walk(path+"{}", *s.AdditionalProperties.Schema, visit)
	}
}
