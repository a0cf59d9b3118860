package admission

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/chart"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

const (
	resourcesBinding = "tokenwright-server-resources"
	registeredLabel  = "tokenwright.dev/registered-by"

	declaredMessage   = "a ProtectedResource without the label tokenwright.dev/registered-by must be changed and deleted by others"
	registeredMessage = "must hold tokenwright.dev/registered-by, which never changes"
	resourceFinalizer = "metadata.finalizers of a ProtectedResource must not be added to by the token server"
)

// as is a client with an administrator's rights under the name of another, so that the admission policies alone bound it.
func as(t *testing.T, username string) client.Client {
	t.Helper()
	config := rest.CopyConfig(plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: username, Groups: []string{"system:masters"}}
	c, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// protected is a ProtectedResource of alice's in team-a, with the label of those that were registered if it has a value.
func protected(name, registeredBy string) *v1alpha1.ProtectedResource {
	r := &v1alpha1.ProtectedResource{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name}}
	r.Spec.Scopes, r.Spec.Audience = []v1alpha1.ResourceScope{"view", "delete"}, "photos.example.com"
	r.Spec.Owner, r.Spec.OwnerManagedAccess = "alice", v1alpha1.Allowed
	if registeredBy != "" {
		r.Labels = map[string]string{registeredLabel: registeredBy}
	}
	return r
}

// resourceTry asks the API server whether it would store something, and changes nothing.
type resourceTry func(ctx context.Context, c client.Client) error

func register(r *v1alpha1.ProtectedResource, how func(*v1alpha1.ProtectedResource)) resourceTry {
	return func(ctx context.Context, c client.Client) error {
		r := r.DeepCopy()
		how(r)
		return c.Create(ctx, r, client.DryRunAll)
	}
}

// rewrite changes the stored resource, by an update or by a patch.
func rewrite(name string, how func(*v1alpha1.ProtectedResource)) resourceTry {
	return func(ctx context.Context, c client.Client) error {
		r := &v1alpha1.ProtectedResource{}
		if err := plane.Client.Get(ctx, client.ObjectKey{Namespace: "team-a", Name: name}, r); err != nil {
			return err
		}
		how(r)
		return c.Update(ctx, r, client.DryRunAll)
	}
}

func patchResource(name, patch string) resourceTry {
	return func(ctx context.Context, c client.Client) error {
		return c.Patch(ctx, protected(name, ""), client.RawPatch("application/merge-patch+json", []byte(patch)), client.DryRunAll)
	}
}

func applyResource(name string) resourceTry {
	return func(ctx context.Context, c client.Client) error {
		r := v1alpha1ac.ProtectedResource(name, "team-a").WithLabels(map[string]string{registeredLabel: "photos"}).
			WithSpec(v1alpha1ac.ProtectedResourceSpec().WithScopes("view").WithAudience("photos.example.com").WithOwner("mallory"))
		return c.Apply(ctx, r, client.FieldOwner("mallory"), client.ForceOwnership, client.DryRunAll)
	}
}

func deleteResource(name string) resourceTry {
	return func(ctx context.Context, c client.Client) error {
		return c.Delete(ctx, protected(name, ""), client.DryRunAll)
	}
}

type resourceCase struct {
	reason string
	try    resourceTry
	want   string
}

// resourceCases are tries of the server. "declared" was declared by a person, and "registered" registered at the server.
func resourceCases() map[string]resourceCase {
	nothing := func(*v1alpha1.ProtectedResource) {}
	seize := func(r *v1alpha1.ProtectedResource) { r.Spec.Owner = "mallory" }
	label := func(value string) func(*v1alpha1.ProtectedResource) {
		return func(r *v1alpha1.ProtectedResource) { r.Labels = map[string]string{registeredLabel: value} }
	}
	unlabel := func(r *v1alpha1.ProtectedResource) { r.Labels = nil }
	hold := func(r *v1alpha1.ProtectedResource) { r.Finalizers = []string{"example.com/mine"} }
	const own, others = "registered", "declared"
	return map[string]resourceCase{
		"It registers":                          {reason: "that is its work", try: register(protected("new", "photos"), nothing)},
		"It registers by an apply":              {reason: "the rule is about objects, not about verbs", try: applyResource("new")},
		"It changes what was registered":        {reason: "that is its work", try: rewrite(own, seize)},
		"It patches what was registered":        {reason: "the rule is about objects, not about verbs", try: patchResource(own, `{"spec":{"scopes":["view"]}}`)},
		"It deletes what was registered":        {reason: "that is its work", try: deleteResource(own)},
		"It makes one without the label":        {reason: "nobody could tell it from one that was declared", try: register(protected("new", ""), nothing), want: registeredMessage},
		"It makes one that cannot go":           {reason: "nobody could delete it", try: register(protected("new", "photos"), hold), want: resourceFinalizer},
		"It holds what was registered":          {reason: "nobody could delete it", try: rewrite(own, hold), want: resourceFinalizer},
		"It takes the label off":                {reason: "it would stay when its server is asked to clear away", try: rewrite(own, unlabel), want: registeredMessage},
		"It takes the label off by a patch":     {reason: "every verb that writes counts", try: patchResource(own, `{"metadata":{"labels":null}}`), want: registeredMessage},
		"It gives it to another":                {reason: "the label says who registered it", try: rewrite(own, label("wiki")), want: registeredMessage},
		"It changes what was declared":          {reason: "Git or a person owns it", try: rewrite(others, seize), want: declaredMessage},
		"It patches what was declared":          {reason: "every verb that writes counts", try: patchResource(others, `{"spec":{"owner":"mallory"}}`), want: declaredMessage},
		"It applies over what was declared":     {reason: "every verb that writes counts", try: applyResource(others), want: declaredMessage},
		"It labels what was declared":           {reason: "it could change it next", try: rewrite(others, label("photos")), want: declaredMessage},
		"It labels and changes at once":         {reason: "what was there counts", try: rewrite(others, func(r *v1alpha1.ProtectedResource) { label("photos")(r); seize(r) }), want: declaredMessage},
		"It deletes what was declared":          {reason: "its approvals would go with it", try: deleteResource(others), want: declaredMessage},
		"It changes the facts of what declared": {reason: "metadata counts, too", try: patchResource(others, `{"metadata":{"annotations":{"a":"b"}}}`), want: declaredMessage},
	}
}

// TestServerResources holds a server to the resources that were registered at it, whatever its rights are.
func TestServerResources(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	create(ctx, t, protected("declared", ""))
	create(ctx, t, protected("registered", "photos"))
	server := as(t, "system:serviceaccount:"+chart.SystemNamespace+":"+serverAccount)
	for name, tc := range resourceCases() {
		t.Run(name, func(t *testing.T) {
			err := tc.try(ctx, server)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("%s: must be admitted: %v", tc.reason, err)
			case tc.want != "" && refused(err) != nil:
				t.Errorf("%s: must be refused by the admission policy: %v", tc.reason, refused(err))
			case tc.want != "" && !strings.Contains(err.Error(), tc.want):
				t.Errorf("%s: the message is %q, expected %q in it", tc.reason, err, tc.want)
			}
		})
	}
	for _, other := range []string{
		"system:serviceaccount:team-a:" + serverAccount, "system:serviceaccount:" + chart.SystemNamespace + ":" + serverAccount + "-2", "alice",
		"system:serviceaccount:" + chart.SystemNamespace + ":tokenwright-manager",
	} {
		t.Run("others are not bounded: "+other, func(t *testing.T) {
			for name, tc := range resourceCases() {
				if err := tc.try(ctx, as(t, other)); err != nil {
					t.Errorf("%s: must be admitted: %v", name, err)
				}
			}
		})
	}

	// What was refused was refused by the policy and by nothing else.
	uninstall(ctx, t, resourcesBinding, func() error { return deleteResource("declared")(ctx, server) })
	for name, tc := range resourceCases() {
		t.Run("Without the binding: "+name, func(t *testing.T) {
			if err := tc.try(ctx, server); err != nil {
				t.Errorf("must be admitted: %v", err)
			}
		})
	}
}

// tryResourceAsServer tries to make a resource that nobody registered, as the server.
func tryResourceAsServer(ctx context.Context) error {
	config := rest.CopyConfig(plane.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + chart.SystemNamespace + ":" + serverAccount, Groups: []string{"system:masters"},
	}
	server, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return server.Create(ctx, protected("probe", ""), client.DryRunAll)
}
