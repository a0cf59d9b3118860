package manifest

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/tokenwright/tokenwright/config/crd"
)

// schema is what a CRD says of the objects of one kind and version.
type schema struct {
	namespaced bool
	structural *structuralschema.Structural
	values     validation.SchemaValidator
	rules      *cel.Validator
}

// schemas are those of the CRDs that the program was built with. To compile them takes a while, and they never change.
var schemas = sync.OnceValues(func() (map[typeMeta]*schema, error) {
	entries, err := crd.Bases.ReadDir("bases")
	if err != nil {
		return nil, fmt.Errorf("read the CRDs: %w", err)
	}
	kinds := map[typeMeta]*schema{}
	for _, e := range entries {
		text, err := crd.Bases.ReadFile(path.Join("bases", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the CRDs: %w", err)
		}
		if err := addSchemas(kinds, text); err != nil {
			return nil, fmt.Errorf("read the CRD %s: %w", e.Name(), err)
		}
	}
	return kinds, nil
})

func addSchemas(kinds map[typeMeta]*schema, text []byte) error {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := sigsyaml.UnmarshalStrict(text, definition); err != nil {
		return err
	}
	for _, version := range definition.Spec.Versions {
		internal := &apiextensions.CustomResourceValidation{}
		err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, internal, nil)
		if err != nil {
			return err
		}
		s := &schema{namespaced: definition.Spec.Scope == apiextensionsv1.NamespaceScoped}
		if s.structural, err = structuralschema.NewStructural(internal.OpenAPIV3Schema); err != nil {
			return err
		}
		if err := defaulting.PruneDefaults(s.structural); err != nil {
			return err
		}
		if s.values, _, err = validation.NewSchemaValidator(internal.OpenAPIV3Schema); err != nil {
			return err
		}
		s.rules = cel.NewValidator(s.structural, true, celconfig.PerCallLimit)
		t := typeMeta{apiVersion: definition.Spec.Group + "/" + version.Name, kind: definition.Spec.Names.Kind}
		kinds[t] = s
	}
	return nil
}

// unknown takes fields out of the object that the schema does not know, and returns their paths.
func (s *schema) unknown(object map[string]any) []string {
	paths := pruning.PruneWithOptions(object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	return paths
}

// defaults fills in what the object leaves out.
func (s *schema) defaults(object map[string]any) { defaulting.Default(object, s.structural) }

// check returns what an API server has against a new object, in its order: values, then duplicates in lists, and rules of
// CEL only where the values are such that they can be asked. An API server tells of values in an order that changes; here
// it is that of the fields, so that two runs of a pipeline say the same.
func (s *schema) check(object map[string]any) field.ErrorList {
	errs := validation.ValidateCustomResource(nil, object, s.values)
	slices.SortStableFunc(errs, func(a, b *field.Error) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(a.Error(), b.Error()))
	})
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if s.rules == nil || hides(errs) {
		return errs
	}
	more, _ := s.rules.Validate(context.Background(), nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(errs, more...)
}

// hides says whether rules cannot be asked because of one of the errors.
func hides(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}
