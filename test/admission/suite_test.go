// Package admission tests the chart's ValidatingAdmissionPolicies on a real API server. It owns a corpus of ways to reach
// out of a namespace; whether what gets past the door grants anything is for the compiler (tokenserver/policy).
package admission

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/chart"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

const (
	policyBinding      = "tokenwright-accesspolicies"
	systemKindsBinding = "tokenwright-system-kinds"
	limit              = 30 * time.Second
)

var plane *controlplane.Plane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if plane, err = controlplane.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = plane.Stop() }()
	if err := prepare(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "Failed to prepare the cluster:", err)
		return 1
	}
	return m.Run()
}

func prepare(ctx context.Context) error {
	for _, name := range []string{"team-a", "team-ab", chart.SystemNamespace} {
		if err := plane.CreateNamespace(ctx, name, nil); err != nil {
			return err
		}
	}
	return dropRules(ctx)
}

// dropRules takes the rules out of the AccessPolicy's schema, which refuse much of what the admission policy refuses: as
// long as they are there, nobody can tell whether the admission policy does its part.
func dropRules(ctx context.Context) error {
	if _, err := plane.WithoutRules(ctx, "accesspolicies"); err != nil {
		return err
	}
	return stage.Eventually(ctx, limit, func() error { return tryPolicy(ctx, policy("team-a", v1alpha1.TypeRegistry, "a//b")) })
}

// install applies the chart's admission policies, and waits until the API server goes by them.
func install(ctx context.Context, t *testing.T) {
	t.Helper()
	objects, err := chart.Render("--set=server.issuer=https://tokens.example.com", "--show-only=templates/admission.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 10 {
		t.Fatalf("rendered %d objects, expected five policies with their bindings", len(objects))
	}
	for _, o := range objects {
		if err := plane.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"), client.ForceOwnership); err != nil {
			t.Fatalf("apply %s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
	outside := map[string]func() error{
		"AccessPolicy":      func() error { return tryPolicy(ctx, policy("team-a", v1alpha1.TypeRepository, "team-b/x")) },
		"SigningKey":        func() error { return trySigningKey(ctx, "team-a") },
		"IdentityProvider":  func() error { return tryIdentityProvider(ctx, "team-a") },
		"Lease":             func() error { return tryLeaseAsServer(ctx) },
		"ProtectedResource": func() error { return tryResourceAsServer(ctx) },
	}
	for kind, try := range outside {
		if err := stage.Eventually(ctx, limit, func() error { return refused(try()) }); err != nil {
			t.Fatalf("the admission policies are not in force for %s: %v", kind, err)
		}
	}
}

// uninstall takes a binding away, and waits until the API server admits what it refused.
func uninstall(ctx context.Context, t *testing.T, binding string, try func() error) {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingAdmissionPolicyBinding"})
	o.SetName(binding)
	if err := plane.Client.Delete(ctx, o); err != nil {
		t.Fatalf("delete binding %s: %v", binding, err)
	}
	if err := stage.Eventually(ctx, limit, try); err != nil {
		t.Fatalf("the API server still refuses without binding %s: %v", binding, err)
	}
}

// policy is an AccessPolicy that allows alice to pull.
func policy(namespace, kind string, names ...v1alpha1.ResourceName) *v1alpha1.AccessPolicy {
	p := &v1alpha1.AccessPolicy{}
	p.Namespace, p.GenerateName = namespace, "case-"
	p.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	p.Spec.Rules = []v1alpha1.Rule{{Type: kind, Names: names, Actions: []v1alpha1.Action{"pull"}}}
	return p
}

// tryPolicy asks the API server whether it would store the policy.
func tryPolicy(ctx context.Context, p *v1alpha1.AccessPolicy) error {
	return plane.Client.Create(ctx, p.DeepCopy(), client.DryRunAll)
}

func trySigningKey(ctx context.Context, namespace string) error {
	k := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "case-"}}
	k.Spec.Audiences = []v1alpha1.Audience{"registry.example.com"}
	return plane.Client.Create(ctx, k, client.DryRunAll)
}

func tryIdentityProvider(ctx context.Context, namespace string) error {
	p := &v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "case-"}}
	p.Spec.Kubernetes = &v1alpha1.KubernetesProvider{Audiences: []v1alpha1.Audience{"tokenwright"}}
	return plane.Client.Create(ctx, p, client.DryRunAll)
}

// tryLeaseAsServer tries to create a Lease that is no server's, as the server, with an administrator's rights.
func tryLeaseAsServer(ctx context.Context) error {
	config := rest.CopyConfig(plane.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + chart.SystemNamespace + ":tokenwright-server", Groups: []string{"system:masters"},
	}
	server, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		return err
	}
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: chart.SystemNamespace, GenerateName: "case-"}}
	return server.Create(ctx, l, client.DryRunAll)
}

// refused is nil if an admission policy refused.
func refused(err error) error {
	if err == nil {
		return errors.New("admitted")
	}
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
		return fmt.Errorf("refused by something else: %w", err)
	}
	return nil
}
