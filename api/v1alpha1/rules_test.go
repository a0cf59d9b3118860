package v1alpha1_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ruleCase is one object that the schema accepts (want is empty) or refuses with a message that contains want.
type ruleCase struct {
	// spec is laid over the kind's smallest valid spec.
	spec m
	// bare, if given, is the whole spec instead.
	bare m
	// specless says that there is no spec at all.
	specless bool
	// status, if given, is written to the status of a valid object.
	status m
	// change, if given, is laid over the spec of an object that is stored.
	change m
	// before, if given, is the whole spec of that object; else it is the kind's smallest.
	before m
	// name of the object; "probe" if empty.
	name string
	want string
}

// TestRules shows that each rule of each schema accepts what it should and refuses what it should, on a real API server.
func TestRules(t *testing.T) {
	tables := map[string]struct {
		kind  kind
		cases []map[string]ruleCase
	}{
		"AccessPolicy":        {accessPolicy, []map[string]ruleCase{policyCases(), accessPolicyCases(), objectCases()}},
		"ClusterAccessPolicy": {clusterAccessPolicy, []map[string]ruleCase{policyCases(), clusterAccessPolicyCases(), objectCases()}},
		"SigningKey":          {signingKey, []map[string]ruleCase{signingKeyCases(), signingKeyStatusCases(), objectCases()}},
		"IdentityProvider":    {identityProvider, []map[string]ruleCase{identityProviderCases(), jwtProviderCases(), objectCases()}},
		"IssuedToken":         {issuedToken, []map[string]ruleCase{issuedTokenCases(), recordedSubjectCases()}},
		"TokenRevocation":     {tokenRevocation, []map[string]ruleCase{tokenRevocationCases()}},
		"ProtectedResource":   {protectedResource, []map[string]ruleCase{protectedResourceCases(), resourceURICases(), resourceIDCases(), resourceClaimCases(), objectCases()}},
		"PermissionRequest":   {permissionRequest, []map[string]ruleCase{permissionRequestCases(), decisionCases(), objectCases()}},
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		table := tables[name]
		t.Run(name, func(t *testing.T) {
			body := table.kind.object("holder", table.kind.spec, nil)
			if a := send(t, http.MethodPost, table.kind.path(), body); !a.accepted() {
				t.Fatalf("the smallest valid object was refused: %s", a.refusal.Message)
			}
			defer send(t, http.MethodDelete, table.kind.path("holder"), nil)
			refusals := map[string][]string{}
			for _, cases := range table.cases {
				for sentence, c := range cases {
					t.Run(sentence, func(t *testing.T) { check(t, table.kind, c, refusals) })
				}
			}
			for _, missing := range uncovered(t, table.kind, refusals) {
				t.Errorf("no failing case for the rule %s", missing)
			}
		})
	}
}

func check(t *testing.T, k kind, c ruleCase, refusals map[string][]string) {
	t.Helper()
	var a answer
	switch {
	case c.before != nil:
		if a := send(t, http.MethodPost, k.path(), k.object("before", c.before, nil)); !a.accepted() {
			t.Fatalf("create the object that is to change: %s", a.refusal.Message)
		}
		defer send(t, http.MethodDelete, k.path("before"), nil)
		a = send(t, http.MethodPatch, k.path("before")+dryRun, k.object("before", c.change, nil))
	case c.change != nil:
		a = send(t, http.MethodPatch, k.path("holder")+dryRun, k.object("holder", c.change, nil))
	case c.status != nil:
		body := k.object("holder", nil, c.status)
		a = send(t, http.MethodPatch, k.path("holder", "status")+dryRun, body)
	default:
		var spec any = merged(k.spec, c.spec)
		switch {
		case c.specless:
			spec = nil
		case c.bare != nil:
			spec = c.bare
		}
		name := c.name
		if name == "" {
			name = "probe"
		}
		a = send(t, http.MethodPost, k.path()+dryRun, k.object(name, spec, nil))
	}
	if c.want == "" {
		if !a.accepted() {
			t.Errorf("got refused, want accepted: %s", a.refusal.Message)
		}
		return
	}
	if a.accepted() {
		t.Fatalf("got accepted, want refused with %q", c.want)
	}
	if a.refusal.Reason != metav1.StatusReasonInvalid {
		t.Errorf("got reason %s, want Invalid: %s", a.refusal.Reason, a.refusal.Message)
	}
	// The API server leaves the first element of the path out where it speaks of a status.
	if !strings.Contains(a.refusal.Message, c.want) && !strings.Contains(a.refusal.Message, strings.TrimPrefix(c.want, "status.")) {
		t.Errorf("got refused with %q, want it to contain %q", a.refusal.Message, c.want)
	}
	for _, cause := range a.refusal.Details.Causes {
		field := normalised(cause.Field)
		refusals[field] = append(refusals[field], cause.Message)
	}
}

var indexes = regexp.MustCompile(`\[[^\]]*\]`)

// normalised turns the path of a refusal into that of a schema.
func normalised(field string) string { return indexes.ReplaceAllString(field, "[]") }

// uncovered returns the rules of the kind's schema that refused nothing.
func uncovered(t *testing.T, k kind, refusals map[string][]string) []string {
	t.Helper()
	var missing []string
	for _, rule := range schemaRules(schemaOf(t, k)) {
		refusedBy := func(message string) bool { return strings.Contains(message, rule.says) }
		// A CEL rule may name another field than the one that it is written at, and duplicates are told of the item.
		var messages []string
		for field, m := range refusals {
			if field == rule.path || rule.anywhere || field == rule.path+"[]" {
				messages = append(messages, m...)
			}
		}
		if !slices.ContainsFunc(messages, refusedBy) {
			missing = append(missing, fmt.Sprintf("%s: %s", rule.path, rule.says))
		}
	}
	slices.Sort(missing)
	return missing
}
