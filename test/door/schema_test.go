package door

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// door is the schema of one kind, as the API server applies it.
type door struct {
	structural *schema.Structural
	values     validation.SchemaValidator
	rules      *cel.Validator
}

// open reads the CRD that is shipped.
func open(t testing.TB, plural string) *door {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(controlplane.Root(), "config", "crd", "bases", "tokenwright.dev_"+plural+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		t.Fatalf("read the CRD: %v", err)
	}
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil); err != nil {
		t.Fatalf("convert the schema: %v", err)
	}
	d := &door{}
	if d.structural, err = schema.NewStructural(&props); err != nil {
		t.Fatalf("read the schema: %v", err)
	}
	if d.values, _, err = validation.NewSchemaValidator(&props); err != nil {
		t.Fatalf("read the schema: %v", err)
	}
	d.rules = cel.NewValidator(d.structural, true, celconfig.PerCallLimit)
	return d
}

// try does what the API server does with a new object: structure and bounds, sets, and then the rules. It returns what is
// refused and what the rules cost.
func (d *door) try(t testing.TB, o client.Object) (refused field.ErrorList, cost int64) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	delete(object, "status")
	if spec := object["spec"].(map[string]any); spec["effect"] == nil && spec["subjects"] != nil {
		spec["effect"] = "Allow" // the default
	}
	refused = validation.ValidateCustomResource(nil, object, d.values)
	refused = append(refused, listtype.ValidateListSetsAndMaps(nil, d.structural, object)...)
	blocking := slices.ContainsFunc(refused, func(e *field.Error) bool {
		return e.Type == field.ErrorTypeRequired || e.Type == field.ErrorTypeTooLong || e.Type == field.ErrorTypeTooMany || e.Type == field.ErrorTypeTypeInvalid
	})
	if blocking {
		return refused, 0
	}
	more, left := d.rules.Validate(context.Background(), nil, d.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(refused, more...), celconfig.RuntimeCELCostBudget - left
}

// sound returns a policy of the platform's that both accept.
func sound() *v1alpha1.ClusterAccessPolicy {
	p := &v1alpha1.ClusterAccessPolicy{}
	p.APIVersion, p.Kind, p.Name = v1alpha1.GroupVersion.String(), "ClusterAccessPolicy", "p"
	p.Spec.Effect = v1alpha1.EffectAllow
	p.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	p.Spec.Rules = []v1alpha1.Rule{{Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{"a"}, Actions: []v1alpha1.Action{"*"}}}
	return p
}

// told are the fields and messages of problems.
func told(problems []policy.Problem) string {
	var list []string
	for _, p := range problems {
		list = append(list, fmt.Sprintf("%s: %s", p.Path, p.Message))
	}
	return strings.Join(list, "; ")
}
