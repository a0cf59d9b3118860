package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"pgregory.net/rapid"
)

// TestSchemaValidDecodes shows that whatever the API server accepts, a typed client can decode: one object that it
// cannot decode would stop every informer of the kind. Objects are made from the schema, and in places made odd.
func TestSchemaValidDecodes(t *testing.T) {
	for _, k := range kinds {
		schema := schemaOf(t, k)
		parts := []string{"spec", "status"}
		if k.statusless {
			parts = parts[:1]
		}
		for _, part := range parts {
			t.Run(k.name+" "+part, func(t *testing.T) {
				holder := strings.ToLower("holder-" + part)
				if a := send(t, http.MethodPost, k.path(), k.object(holder, k.spec, nil)); !a.accepted() {
					t.Fatalf("create the holder: %s", a.refusal.Message)
				}
				defer send(t, http.MethodDelete, k.path(holder), nil)
				tried, accepted := 0, 0
				rapid.Check(t, func(rt *rapid.T) {
					value := newMaker(rt).generate("", schema.Properties[part])
					a := offer(rt, k, part, holder, value)
					tried++
					if !a.accepted() {
						if a.code >= 500 {
							rt.Fatalf("the API server erred: %s", a.refusal.Message)
						}
						return
					}
					accepted++
					if _, err := typed(a.body); err != nil {
						rt.Fatalf("the API server accepts what a typed client cannot decode: %v\n%s", err, a.body)
					}
				})
				if accepted*10 < tried {
					t.Errorf("only %d of %d objects were accepted: this shows too little", accepted, tried)
				}
			})
		}
	}
}

// offer shows the API server a spec in a new object, or a status of the holder, without storing it.
func offer(rt *rapid.T, k kind, part, holder string, value any) answer {
	if part == "status" {
		return send(rt, http.MethodPatch, k.path(holder, "status")+dryRun, k.object(holder, nil, value))
	}
	return send(rt, http.MethodPost, k.path()+dryRun, k.object("made", value, nil))
}

// oddities are JSON texts that one decoder or another stumbles over.
var oddities = []string{
	`null`, `""`, `0`, `-0`, `1.0`, `1e3`, `1e30`, `1e400`, `-1`, `9223372036854775808`, `0.1`, `true`, `[]`, `{}`, `[null]`,
	`"90d"`, `"99999999h"`, `"99999h99999h99999h"`, `"0s"`, `"2026-13-45T25:61:61Z"`, `"2026-01-01t00:00:00z"`,
	`"2026-01-01T00:00:00+99:99"`, `"0000-00-00T00:00:00Z"`, `"9999-12-31T23:59:59-23:59"`, `"2026-01-01T23:59:60Z"`,
	`"\u0000"`, `"\ud800"`, `"𝒳"`, `"::/0"`, `"10.0.0.0/08"`, `"::ffff:10.0.0.0/104"`, `{"a":{"a":[1,null,"x"]}}`,
}

// strings that a schema without a pattern gets.
var plain = []string{"x", "users", "team-a", "registry.example.com", "Zoë", "a b", "system:masters", "**", "${subject.username}"}

// maker makes one object. Half of the objects have no oddities: in a large one there would nearly always be one that the
// API server refuses.
type maker struct {
	*rapid.T
	odd bool
}

func newMaker(rt *rapid.T) maker { return maker{T: rt, odd: rapid.Bool().Draw(rt, "odd?")} }

// generate makes a value for the schema: mostly one that it accepts.
func (mk maker) generate(path string, s apiextensionsv1.JSONSchemaProps) any {
	if mk.odd && rapid.IntRange(0, 49).Draw(mk.T, path+" odd?") == 0 {
		return json.RawMessage(rapid.SampledFrom(oddities).Draw(mk.T, path))
	}
	if len(s.Enum) > 0 {
		return json.RawMessage(rapid.SampledFrom(s.Enum).Draw(mk.T, path).Raw)
	}
	switch s.Type {
	case "object":
		return mk.generateObject(path, s)
	case "array":
		return mk.generateList(path, s)
	case "integer":
		return json.RawMessage(rapid.SampledFrom([]string{"0", "1", "7", "-1", "2048", "1.0", "1e3", "2147483648", "9223372036854775807"}).Draw(mk.T, path))
	case "string":
		return mk.generateString(path, s)
	default:
		return json.RawMessage(rapid.SampledFrom(oddities).Draw(mk.T, path))
	}
}

func (mk maker) generateObject(path string, s apiextensionsv1.JSONSchemaProps) any {
	out := m{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if slices.Contains(s.Required, name) || rapid.Bool().Draw(mk.T, path+"."+name+"?") {
			out[name] = mk.generate(path+"."+name, s.Properties[name])
		}
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		out["key"] = mk.generate(path+"{}", *s.AdditionalProperties.Schema)
	}
	if mk.odd && rapid.IntRange(0, 9).Draw(mk.T, path+" unknown field?") == 0 {
		out["unknown"] = json.RawMessage(rapid.SampledFrom(oddities).Draw(mk.T, path+".unknown"))
	}
	repair(out)
	return out
}

// repair makes it likely that the rules hold that concern several fields, which a schema does not say in its structure.
func repair(out m) {
	if kind, ok := out["type"].(json.RawMessage); ok {
		if delete(out, "keyThumbprint"); string(kind) == `"AccessToken"` {
			delete(out, "secretHash")
			out["keyThumbprint"] = issuedToken.spec["secretHash"]
		} else {
			out["secretHash"] = issuedToken.spec["secretHash"]
		}
	}
	if _, given := out["token"]; given {
		delete(out, "subject")
	}
	if _, given := out["htpasswd"]; given {
		delete(out, "kubernetes")
	}
	if kind, ok := out["kind"].(json.RawMessage); ok {
		if delete(out, "namespace"); string(kind) == `"ServiceAccount"` {
			out["namespace"] = "team-a"
		}
	}
	if from, ok := out["from"].(json.RawMessage); ok && string(from) != `"Selector"` {
		delete(out, "selector")
	}
	if _, given := out["notAfter"]; given {
		delete(out, "notBefore")
	}
	if _, policy := out["subjects"]; policy {
		if rules, ok := out["rules"].(l); !ok || len(rules) == 0 {
			out["rules"] = accessPolicy.spec["rules"]
		}
		if when, ok := out["when"].(m); ok && len(when) == 0 {
			delete(out, "when")
		}
	}
	delete(out, "rsaKeySize")
	delete(out, "nonExpiringTokens")
	if _, given := out["offlineAccess"]; given {
		out["effect"] = "Allow"
	}
	if _, given := out["claims"]; given {
		out["effect"] = "Allow"
	}
}

func (mk maker) generateList(path string, s apiextensionsv1.JSONSchemaProps) any {
	least := 0
	if s.MinItems != nil {
		least = int(*s.MinItems)
	}
	out := l{}
	for i := range rapid.IntRange(least, least+2).Draw(mk.T, path+" length") {
		out = append(out, mk.generate(fmt.Sprintf("%s[%d]", path, i), *s.Items.Schema))
	}
	return out
}

func (mk maker) generateString(path string, s apiextensionsv1.JSONSchemaProps) any {
	switch {
	case s.Format == "date-time":
		return rapid.SampledFrom([]string{
			"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00+23:59", "2026-01-01t00:00:00z",
			"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00x5Z", "2026-02-29T00:00:00Z", "0001-01-01T00:00:00Z",
		}).Draw(mk.T, path)
	case strings.HasSuffix(path, "sourceRanges[0]"), strings.HasSuffix(path, "sourceRanges[1]"):
		return rapid.SampledFrom([]string{"10.0.0.0/8", "fd00::/8", "::/0", "10.1.2.3/8", "::ffff:10.0.0.0/104"}).Draw(mk.T, path)
	case s.Pattern == "":
		return rapid.SampledFrom(plain).Draw(mk.T, path)
	}
	if _, err := regexp.Compile(s.Pattern); err != nil {
		mk.Fatalf("pattern of %s: %v", path, err)
	}
	return rapid.StringMatching(s.Pattern).Filter(func(v string) bool {
		return s.MaxLength == nil || int64(len([]rune(v))) <= *s.MaxLength
	}).Draw(mk.T, path)
}
