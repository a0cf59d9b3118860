package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// evasion is a way in which a hostile tenant sends what would be refused if it were sent plainly. Nothing is stored.
type evasion struct {
	reason string
	// method, path below the namespace's AccessPolicies, and content type of the request.
	method, path, content string
	body                  string
	// stopped is a part of what the API server itself says. Empty: the admission policy refuses it, and without its binding
	// the API server admits it.
	stopped string
	// harmless says that it is admitted and does not change what the stored policy says.
	harmless bool
}

const (
	asJSON    = "application/json"
	asYAML    = "application/yaml"
	jsonPatch = "application/json-patch+json"
	mergeOf   = "application/merge-patch+json"
	applied   = "application/apply-patch+yaml"
	collected = "/apis/tokenwright.dev/v1alpha1/namespaces/team-a/accesspolicies"
	forced    = "?fieldManager=mallory&force=true"
)

// sent is a policy as a tenant writes it down.
func sent(metadata, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"tokenwright.dev/v1alpha1","kind":"AccessPolicy","metadata":{%s},"spec":{%s}}`, metadata, spec)
}

const (
	named   = `"name":"evasion"`
	alices  = `"subjects":[{"kind":"User","name":"alice"}]`
	outside = `"rules":[{"type":"repository","names":["team-b/x"],"actions":["pull"]}]`
)

// changeEvasions go for the policy "stored", which lets alice pull team-a/x and whose annotation holds another name.
func changeEvasions() map[string]evasion {
	return map[string]evasion{
		"A JSON patch replaces one name": {
			reason: "what is looked at is what comes out", method: "PATCH", path: "/stored", content: jsonPatch,
			body: `[{"op":"replace","path":"/spec/rules/0/names/0","value":"team-b/x"}]`,
		},
		"A JSON patch adds a name": {
			reason: "a name in the middle of others counts", method: "PATCH", path: "/stored", content: jsonPatch,
			body: `[{"op":"add","path":"/spec/rules/0/names/0","value":"team-b/x"}]`,
		},
		"A JSON patch adds a rule": {
			reason: "the first rule does not speak for the others", method: "PATCH", path: "/stored", content: jsonPatch,
			body: `[{"op":"add","path":"/spec/rules/-","value":{"type":"repository","names":["**"],"actions":["*"]}}]`,
		},
		"A JSON patch copies a name from an annotation": {
			reason: "the request holds no name at all", method: "PATCH", path: "/stored", content: jsonPatch,
			body: `[{"op":"copy","from":"/metadata/annotations/a","path":"/spec/rules/0/names/0"}]`,
		},
		"A JSON patch gives a rule another type and back": {
			reason: "only the end counts", method: "PATCH", path: "/stored", content: jsonPatch,
			body: `[{"op":"replace","path":"/spec/rules/0/type","value":"photo"},{"op":"replace","path":"/spec/rules/0/names/0","value":"team-b/x"},` +
				`{"op":"replace","path":"/spec/rules/0/type","value":"repository"}]`,
		},
		"A merge patch replaces the rules": {
			reason: "it is a change like another", method: "PATCH", path: "/stored", content: mergeOf, body: `{"spec":{` + outside + `}}`,
		},
		"Another manager applies further rules by force": {
			reason: "whoever owns the field, the object is looked at as a whole", method: "PATCH", path: "/stored" + forced, content: applied,
			body: sent(`"name":"stored","namespace":"team-a"`, alices+","+outside),
		},
		"Another manager adds callers without credentials to a policy that pushes": {
			reason: "neither part is wrong alone", method: "PATCH", path: "/pushes" + forced, content: applied,
			body: sent(`"name":"pushes","namespace":"team-a"`, `"subjects":[{"kind":"Group","name":"system:unauthenticated"}]`),
		},
		"A Deny that speaks to everybody becomes an Allow": {
			reason: "the effect is part of the spec", method: "PATCH", path: "/denies", content: mergeOf, body: `{"spec":{"effect":null}}`,
		},
		"A policy that is being deleted": {
			reason: "it is in force until it is gone", method: "PATCH", path: "/leaving", content: mergeOf, body: `{"spec":{` + outside + `}}`,
		},
		"A label and a name in one request": {
			reason: "a change of labels is no cover", method: "PATCH", path: "/stored", content: mergeOf,
			body: `{"metadata":{"labels":{"control-plane":"true"}},"spec":{` + outside + `}}`,
		},
		"The status, with a spec beside it": {
			reason: "the subresource takes the status only", method: "PATCH", path: "/stored/status", content: mergeOf,
			body: `{"spec":{` + outside + `},"status":{"observedGeneration":7}}`, harmless: true,
		},
		"The status, applied with a spec beside it": {
			reason: "as above", method: "PATCH", path: "/stored/status" + forced, content: applied,
			body: sent(`"name":"stored","namespace":"team-a"`, alices+","+outside), harmless: true,
		},
		"The scale": {
			reason: "policies have none", method: "PATCH", path: "/stored/scale", content: mergeOf, body: `{"spec":{` + outside + `}}`, stopped: "not found",
		},
		"A move into another namespace": {
			reason: "the URL says where it is", method: "PATCH", path: "/stored", content: mergeOf, body: `{"metadata":{"namespace":"team-b"}}`,
			stopped: "does not match the namespace",
		},
	}
}

// creationEvasions bring a new policy.
func creationEvasions() map[string]evasion {
	post := func(reason, body string) evasion {
		return evasion{reason: reason, method: "POST", content: asJSON, body: body}
	}
	stopped := func(by string, e evasion) evasion { e.stopped = by; return e }
	spec := func(rules string) string { return sent(named, alices+`,"rules":`+rules) }
	manySubjects := `"subjects":[` + strings.Repeat(`{"kind":"User","name":"alice"},`, 63) + `{"kind":"Group","name":"system:unauthenticated"}]`
	return map[string]evasion{
		"A name of its own": post("as a person writes it", sent(named, alices+","+outside)),
		"A generated name":  post("as a script writes it", sent(`"generateName":"evasion-"`, alices+","+outside)),
		"Labels that selectors leave out": post("the binding selects nothing",
			sent(named+`,"labels":{"control-plane":"true","app.kubernetes.io/name":"tokenwright","admission.tokenwright.dev/ignore":"true"}`, alices+","+outside)),
		"Annotations of a backup": post("what is restored is new", sent(named+`,"annotations":{"velero.io/restore":"true"},"ownerReferences":[`+
			`{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"0"}],"uid":"11111111-1111-1111-1111-111111111111","generation":7`, alices+","+outside)),
		"A policy of another namespace, restored here": post("the namespace of the request counts",
			sent(named+`,"namespace":"team-a"`, alices+`,"rules":[{"type":"repository","names":["team-b/**"],"actions":["*"]}]`)),
		"An effect of null":               post("it is the default, Allow", sent(named, manySubjects+`,"effect":null,"rules":[{"type":"repository","names":["team-a/x"],"actions":["push"]}]`)),
		"No effect":                       post("as above", sent(named, manySubjects+`,"rules":[{"type":"repository","names":["team-a/x"],"actions":["push"]}]`)),
		"A key given twice, the bad last": post("the last one counts", sent(named, alices+`,"rules":[{"type":"repository","names":["team-a/x"],"names":["team-b/x"],"actions":["pull"]}]`)),
		"Rules given twice, the bad last": post("as above", sent(named, alices+`,"rules":[{"type":"repository","names":["team-a/x"],"actions":["pull"]}],`+outside)),
		"An escaped name":                 post("JSON is read before anybody looks", spec(`[{"type":"repository","names":["\u0074eam-b\u002fx"],"actions":["pull"]}]`)),
		"An escaped type":                 post("as above", spec(`[{"type":"\u0072epository","names":["team-b/x"],"actions":["pull"]}]`)),
		"A name in YAML by an alias": {
			reason: "YAML is read before anybody looks", method: "POST", content: asYAML,
			body: "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: evasion, annotations: {a: &n team-b/x}}\n" +
				"spec: {subjects: [{kind: User, name: alice}], rules: [{type: repository, names: [*n], actions: [pull]}]}\n",
		},

		"The bad one first of a key given twice": stoppedOrHarmless(post("the last one counts",
			sent(named, alices+`,"rules":[{"type":"repository","names":["team-b/x"],"names":["team-a/x"],"actions":["pull"]}]`))),
		"A key in another case": stopped("spec.rules[0].names: Required value", post("keys are compared literally",
			spec(`[{"type":"repository","Names":["team-b/x"],"actions":["pull"]}]`))),
		"Keys in two cases": stoppedOrHarmless(post("as above", spec(`[{"type":"repository","NAMES":["team-b/x"],"names":["team-a/x"],"actions":["pull"]}]`))),
		"A name given twice": stopped("Duplicate value", post("a list of names is a set",
			spec(`[{"type":"repository","names":["team-b/x","team-b/x"],"actions":["pull"]}]`))),
		"Names of null":         stopped("spec.rules[0].names: Required value", post("null is nothing", spec(`[{"type":"repository","names":null,"actions":["pull"]}]`))),
		"A name of null":        stopped("must be of type string", post("null is no name", spec(`[{"type":"repository","names":[null],"actions":["pull"]}]`))),
		"A rule of null":        stopped("must be of type object", post("null is no rule", spec(`[null]`))),
		"Rules of null":         stoppedOrHarmless(post("no rule gives nothing", spec(`null`))),
		"Names that are a text": stopped("must be of type array", post("startsWith of a text is not what is meant", spec(`[{"type":"repository","names":"team-b/x","actions":["pull"]}]`))),
		"A name that is a list": stopped("must be of type string", post("as above", spec(`[{"type":"repository","names":[["team-b/x"]],"actions":["pull"]}]`))),
		"An effect in lower case": stopped("Unsupported value", post("deny is not Deny",
			sent(named, manySubjects+`,"effect":"deny","rules":[{"type":"repository","names":["team-a/x"],"actions":["push"]}]`))),
		"The kind of the platform's policies": stopped("must be AccessPolicy", post("the URL says what it is",
			strings.Replace(sent(named, alices+","+outside), "AccessPolicy", "ClusterAccessPolicy", 1))),
		"Another version":         stopped("does not match", post("as above", strings.Replace(sent(named, alices+","+outside), "v1alpha1", "v1", 1))),
		"A list of policies":      stopped("must be AccessPolicy", post("as above", `{"apiVersion":"tokenwright.dev/v1alpha1","kind":"AccessPolicyList","items":[`+sent(named, alices+","+outside)+`]}`)),
		"The namespace of others": stopped("does not match", post("as above", sent(named+`,"namespace":"team-b"`, alices+`,"rules":[{"type":"repository","names":["team-b/x"],"actions":["pull"]}]`))),
		"An update that creates": stopped("not found", evasion{
			reason: "there is nothing to update", method: "PUT", path: "/evasion", content: asJSON, body: sent(named+`,"namespace":"team-a"`, alices+","+outside),
		}),
	}
}

func stoppedOrHarmless(e evasion) evasion { e.harmless = true; return e }

// lookalikeEvasions name callers without credentials by what only looks like them, and give them push. They are admitted:
// whoever the API server takes them for, no caller is that.
func lookalikeEvasions() map[string]evasion {
	cases := map[string]evasion{}
	for _, subject := range []string{
		`{"kind":"User","name":"system:anonymous "}`, `{"kind":"User","name":"System:Anonymous"}`, `{"kind":"User","name":"system:anonym\u043eus"}`,
		`{"kind":"User","name":"system:unauthenticated"}`, `{"kind":"Group","name":"system:anonymous"}`, `{"kind":"Group","name":"system:unauthenticated\u200b"}`,
		`{"kind":"ServiceAccount","name":"anonymous","namespace":"system"}`, `{"kind":"ServiceAccount","name":"system:anonymous","namespace":"team-a"}`,
		`{"kind":"User","name":"system:serviceaccount:system:anonymous"}`, `{"kind":"User","name":"*"}`, `{"kind":"Group","name":"**"}`,
		`{"kind":"Group","name":"${subject.username}"}`,
	} {
		cases["Push for "+subject] = evasion{
			reason: "nobody without credentials has this name", method: "POST", content: asJSON, harmless: true,
			body: sent(named, `"subjects":[`+subject+`],"rules":[{"type":"repository","names":["team-a/x"],"actions":["push"]}]`),
		}
	}
	return cases
}

// do sends the request as a dry run, and returns what would be stored.
func (e evasion) do(ctx context.Context) (*v1alpha1.AccessPolicy, error) {
	config := rest.CopyConfig(plane.Config)
	config.AcceptContentTypes, config.WarningHandler = asJSON, rest.NoWarnings{}
	config.GroupVersion, config.NegotiatedSerializer = &v1alpha1.GroupVersion, scheme.Codecs.WithoutConversion()
	c, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return nil, err
	}
	path, query, _ := strings.Cut(e.path, "?")
	request := c.Verb(e.method).AbsPath(collected+path).SetHeader("Content-Type", e.content).Param("dryRun", "All").Body([]byte(e.body))
	for _, parameter := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' }) {
		key, value, _ := strings.Cut(parameter, "=")
		request.Param(key, value)
	}
	result := request.Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	text, err := result.Raw()
	if err != nil {
		return nil, err
	}
	p := &v1alpha1.AccessPolicy{}
	return p, json.Unmarshal(text, p)
}

// store stores what changeEvasions go for. Everything is within the namespace.
func store(ctx context.Context, t *testing.T) {
	t.Helper()
	named := func(name string, change func(*v1alpha1.AccessPolicy)) {
		p := policy("team-a", v1alpha1.TypeRepository, "team-a/x")
		p.Name, p.GenerateName, p.Annotations = name, "", map[string]string{"a": "team-b/x"}
		change(p)
		if err := plane.Client.Create(ctx, p); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx := context.WithoutCancel(ctx)
			_ = plane.Client.Patch(ctx, p, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
			_ = client.IgnoreNotFound(plane.Client.Delete(ctx, p))
		})
	}
	everybody := []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "system:unauthenticated"}}
	named("stored", func(*v1alpha1.AccessPolicy) {})
	named("pushes", func(p *v1alpha1.AccessPolicy) { p.Spec.Rules[0].Actions = []v1alpha1.Action{"push"} })
	named("denies", func(p *v1alpha1.AccessPolicy) {
		p.Spec.Effect, p.Spec.Subjects, p.Spec.Rules[0].Actions = v1alpha1.EffectDeny, everybody, []v1alpha1.Action{"push"}
	})
	named("leaving", func(p *v1alpha1.AccessPolicy) { p.Finalizers = []string{"example.com/foreign"} })
	leaving := &v1alpha1.AccessPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "leaving"}}
	if err := plane.Client.Delete(ctx, leaving); err != nil {
		t.Fatal(err)
	}
}

// TestEvasions sends each evasion with the admission policy in force, and without it. What it alone refuses is admitted
// without it, and then the compiler grants nothing of it; all else is refused by the API server itself, or harmless.
func TestEvasions(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	store(ctx, t)
	groups := []map[string]evasion{changeEvasions(), creationEvasions(), lookalikeEvasions()}
	for _, group := range groups {
		for name, e := range group {
			t.Run(name, func(t *testing.T) {
				p, err := e.do(ctx)
				switch {
				case e.stopped != "" && (err == nil || !strings.Contains(err.Error(), e.stopped)):
					t.Errorf("%s: got %v, want %q", e.reason, err, e.stopped)
				case e.harmless && err != nil:
					t.Errorf("%s: must be admitted: %v", e.reason, err)
				case e.harmless:
					grantsNothingOutside(t, p)
				case e.stopped == "" && refused(err) != nil:
					t.Errorf("%s: must be refused by the admission policy: %v", e.reason, refused(err))
				}
			})
		}
	}
	uninstall(ctx, t, policyBinding, func() error { return tryPolicy(ctx, policy("team-a", v1alpha1.TypeRepository, "team-b/x")) })
	for _, group := range groups {
		for name, e := range group {
			if e.stopped != "" || e.harmless {
				continue
			}
			t.Run("Without the binding: "+name, func(t *testing.T) {
				p, err := e.do(ctx)
				if err != nil {
					t.Fatalf("must be admitted: %v", err)
				}
				grantsNothingOutside(t, p)
			})
		}
	}
}

// TestNamespacesThatComeAndGo are no places to store what is refused elsewhere.
func TestNamespacesThatComeAndGo(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	bad := func(namespace string) error {
		return plane.Client.Create(ctx, policy(namespace, v1alpha1.TypeRepository, "team-b/x"))
	}
	if err := bad("not-yet"); err == nil {
		t.Error("a policy was stored in a namespace that does not exist")
	}
	// Labels that commonly let a namespace off from admission webhooks.
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fresh", Labels: map[string]string{
		"control-plane": "true", "admission.gatekeeper.sh/ignore": "true", "tokenwright.dev/ignore": "true", "openshift.io/run-level": "0",
	}}}
	if err := plane.Client.Create(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	if err := refused(bad("fresh")); err != nil {
		t.Errorf("labels of the namespace must not matter: %v", err)
	}
	if err := plane.Client.Delete(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	if err := bad("fresh"); err == nil {
		t.Error("a policy was stored in a namespace that goes")
	}
}
