package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// face is what a person meets of a kind at the prompt.
type face struct {
	Scope      string
	ShortNames []string
	Categories []string
	Columns    []string // after NAME, without those of -o wide
}

// TestEveryKindHasItsFace holds what `kubectl get` shows by itself, and under which names: scripts and habits rely on it.
func TestEveryKindHasItsFace(t *testing.T) {
	cases := map[string]struct {
		reason string
		kind   kind
		want   face
	}{
		"a tenant's policy": {
			reason: "whether it grants or denies, and whether it works, at a glance",
			kind:   accessPolicy,
			want:   face{Scope: "Namespaced", ShortNames: []string{"apol"}, Columns: []string{"Effect", "Ready", "Reason", "Age"}},
		},
		"a policy of the platform": {
			reason: "it speaks of all namespaces, so it is in none",
			kind:   clusterAccessPolicy,
			want:   face{Scope: "Cluster", ShortNames: []string{"capol"}, Columns: []string{"Effect", "Ready", "Reason", "Age"}},
		},
		"a signing key": {
			reason: "which key signs and when that changes",
			kind:   signingKey,
			want:   face{Scope: "Namespaced", ShortNames: []string{"skey"}, Columns: []string{"Algorithm", "Active key", "Next rotation", "Ready", "Age"}},
		},
		"an identity provider": {
			reason: "which kind of provider, and why it does not serve",
			kind:   identityProvider,
			want:   face{Scope: "Namespaced", ShortNames: []string{"idp"}, Columns: []string{"Type", "Ready", "Reason", "Age"}},
		},
		"the record of a token": {
			reason: "whose it is, and whether it is in use",
			kind:   issuedToken,
			want:   face{Scope: "Namespaced", ShortNames: []string{"itok"}, Columns: []string{"Subject", "Type", "Expires", "Last used", "Age"}},
		},
		"a revocation": {
			reason: "what is revoked, and until when that is remembered",
			kind:   tokenRevocation,
			want:   face{Scope: "Namespaced", ShortNames: []string{"trev"}, Columns: []string{"Token", "Subject", "Issued before", "Expires", "Age"}},
		},
		"a protected resource": {
			reason: "what it is, whose audience it is of, and whether it is served",
			kind:   protectedResource,
			want:   face{Scope: "Namespaced", ShortNames: []string{"pres"}, Columns: []string{"Type", "Audience", "Ready", "Age"}},
		},
		"a request for a permission": {
			reason: "who wants what, and whether somebody has decided",
			kind:   permissionRequest,
			want:   face{Scope: "Namespaced", ShortNames: []string{"preq"}, Columns: []string{"Requester", "Resource", "State", "Age"}},
		},
	}
	if len(cases) != len(kinds) {
		t.Errorf("%d kinds have a case, there are %d", len(cases), len(kinds))
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			// `kubectl get tokenwright` lists them all.
			tc.want.Categories = []string{"tokenwright"}
			definition := definitionOf(t, tc.kind)
			got := face{
				Scope:      string(definition.Scope),
				ShortNames: definition.Names.ShortNames,
				Categories: definition.Names.Categories,
			}
			for _, column := range definition.Versions[0].AdditionalPrinterColumns {
				if column.Priority == 0 {
					got.Columns = append(got.Columns, column.Name)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// A column whose path leads nowhere is empty for ever, and the API server does not mind.
func TestColumnsReadFieldsThatAreThere(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			fields := map[string]bool{"metadata.creationTimestamp": true}
			walk("", schemaOf(t, k), func(path string, _ apiextensionsv1.JSONSchemaProps) { fields[path] = true })
			for _, column := range definitionOf(t, k).Versions[0].AdditionalPrinterColumns {
				list, inCondition, filtered := strings.Cut(column.JSONPath, `[?(@.type=="Ready")]`)
				known := fields[strings.TrimPrefix(list, ".")]
				if filtered {
					known = list == ".status.conditions" && (inCondition == ".status" || inCondition == ".reason" || inCondition == ".message")
				}
				if !known {
					t.Errorf("column %q reads %s, which no field has", column.Name, column.JSONPath)
				}
			}
		})
	}
}
