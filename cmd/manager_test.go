package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

const (
	systemNamespace = "tokenwright-system"
	managerAccount  = "tokenwright-manager"
)

// TestManager runs `tokenwright manager` twice, as a cluster does: as its own ServiceAccount, with the rights that are
// generated from the controllers and no others.
func TestManager(t *testing.T) {
	plane, err := controlplane.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	for _, namespace := range []string{systemNamespace, "tokenwright-ca", "team-a"} {
		if err := plane.CreateNamespace(t.Context(), namespace, nil); err != nil {
			t.Fatalf("create namespace %s: %v", namespace, err)
		}
	}
	install(t, plane, "service_account.yaml", "role.yaml", "role_binding.yaml")
	kubeconfig := kubeconfigOf(t, plane)

	log := &lockedBuffer{}
	first := startCommand(t, log, kubeconfig)
	first.ready(t)
	p := &v1alpha1.AccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "first"},
		Spec: v1alpha1.AccessPolicySpec{PolicySpec: v1alpha1.PolicySpec{
			Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}},
			Rules: []v1alpha1.Rule{{
				Type: "repository", Names: []v1alpha1.ResourceName{"team-a/**"}, Actions: []v1alpha1.Action{"pull"},
			}},
		}},
	}
	provider := &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "cluster"},
		Spec:       v1alpha1.IdentityProviderSpec{Kubernetes: &v1alpha1.KubernetesProvider{Audiences: []v1alpha1.Audience{"tokenwright"}}},
	}
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "registry"},
		Spec:       v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{"registry.example.com"}},
	}
	cluster := &v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "first"}, Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: p.Spec.PolicySpec},
	}
	becomesReady(t, plane, p, func() []metav1.Condition { return p.Status.Conditions })
	becomesReady(t, plane, cluster, func() []metav1.Condition { return cluster.Status.Conditions })
	becomesReady(t, plane, provider, func() []metav1.Condition { return provider.Status.Conditions })
	becomesReady(t, plane, key, func() []metav1.Condition { return key.Status.Conditions })
	metrics := first.get(t, first.metrics, "/metrics")
	for _, want := range []string{"controller_runtime_reconcile_total", `tokenwright_key_rotation_lateness_seconds{signing_key="`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics do not tell %s: %.200s", want, metrics)
		}
	}
	leader := holder(t, plane)
	if leader == "" {
		t.Errorf("nobody holds the Lease")
	}

	manyPolicies(t, plane, p)

	second := startCommand(t, log, kubeconfig)
	second.ready(t)
	first.stop(t)
	next := p.DeepCopy()
	next.ObjectMeta = metav1.ObjectMeta{Namespace: "team-a", Name: "second"}
	becomesReady(t, plane, next, func() []metav1.Condition { return next.Status.Conditions })
	if now := holder(t, plane); now == "" || now == leader {
		t.Errorf("the Lease is held by %q, and was by %q: want another holder", now, leader)
	}
	second.stop(t)
	if now := holder(t, plane); now != "" {
		t.Errorf("the Lease is still held by %q: the next manager would have to wait for a minute", now)
	}
	if text := log.String(); strings.Contains(text, "forbidden") {
		t.Errorf("the manager lacks a right:\n%s", text)
	}
	t.Run("rights", func(t *testing.T) { managerRights(t, plane) })
}

// manyPolicies shows that statuses are written at the pace that the controllers set. client-go's own limit of 5 requests
// a second would take a minute.
func manyPolicies(t *testing.T, plane *controlplane.Plane, like *v1alpha1.AccessPolicy) {
	t.Helper()
	const many = 300
	for i := range many {
		p := like.DeepCopy()
		p.ObjectMeta = metav1.ObjectMeta{Namespace: like.Namespace, Name: fmt.Sprintf("many-%d", i)}
		if err := plane.Client.Create(t.Context(), p); err != nil {
			t.Fatalf("create a policy: %v", err)
		}
	}
	created := time.Now()
	poll(t, func() error {
		var policies v1alpha1.AccessPolicyList
		if err := plane.Client.List(t.Context(), &policies); err != nil {
			return err
		}
		for _, p := range policies.Items {
			if !meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
				return fmt.Errorf("%s is not ready", p.Name)
			}
		}
		return nil
	})
	if took := time.Since(created); took > 20*time.Second {
		t.Errorf("%d statuses took %s", many, took)
	}
}

// managerRights shows what whoever steals the manager's token still cannot do.
func managerRights(t *testing.T, plane *controlplane.Plane) {
	cases := map[string]authorizationv1.ResourceAttributes{
		"read a Secret of a tenant":             {Verb: "get", Resource: "secrets", Namespace: "team-a"},
		"list Secrets everywhere":               {Verb: "list", Resource: "secrets"},
		"read a ConfigMap of a tenant":          {Verb: "get", Resource: "configmaps", Namespace: "team-a"},
		"grant itself something in a namespace": {Verb: "create", Group: "tokenwright.dev", Resource: "accesspolicies", Namespace: "team-a"},
		"change what a policy says":             {Verb: "update", Group: "tokenwright.dev", Resource: "accesspolicies", Namespace: "team-a"},
		"patch what a policy says":              {Verb: "patch", Group: "tokenwright.dev", Resource: "accesspolicies", Namespace: "team-a"},
		"delete a policy":                       {Verb: "delete", Group: "tokenwright.dev", Resource: "clusteraccesspolicies"},
		"grant itself something everywhere":     {Verb: "create", Group: "tokenwright.dev", Resource: "clusteraccesspolicies"},
		"change how callers prove who they are": {Verb: "patch", Group: "tokenwright.dev", Resource: "identityproviders", Namespace: systemNamespace},
		"say that a tenant's provider serves":   {Verb: "patch", Group: "tokenwright.dev", Resource: "identityproviders", Subresource: "status", Namespace: "team-a"},
		"take another's Lease":                  {Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: systemNamespace, Name: "other"},
		"take a Lease of the cluster's":         {Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: "kube-system", Name: managerAccount},
		"give itself a right":                   {Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"},
		"become another":                        {Verb: "impersonate", Resource: "users"},
		"get a token of a ServiceAccount":       {Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: systemNamespace},
		"run something":                         {Verb: "create", Resource: "pods", Namespace: systemNamespace},
	}
	for name, attributes := range cases {
		t.Run("the manager cannot "+name, func(t *testing.T) {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User:               "system:serviceaccount:" + systemNamespace + ":" + managerAccount,
				Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"},
				ResourceAttributes: &attributes,
			}}
			if err := plane.Client.Create(t.Context(), review); err != nil {
				t.Fatalf("ask: %v", err)
			}
			if review.Status.Allowed {
				t.Errorf("it can: %s", review.Status.Reason)
			}
		})
	}
}

// install creates the objects of config/rbac/manager.
func install(t *testing.T, plane *controlplane.Plane, files ...string) {
	t.Helper()
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(controlplane.Root(), "config", "rbac", "manager", name))
		if err != nil {
			t.Fatal(err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("read %s: %v", name, err)
			}
			if len(object.Object) == 0 {
				continue
			}
			if err := plane.Client.Create(t.Context(), object); err != nil {
				t.Fatalf("create %s %s: %v", object.GetKind(), object.GetName(), err)
			}
		}
	}
}

// kubeconfigOf writes a file with which a process has the rights of the manager's ServiceAccount.
func kubeconfigOf(t *testing.T, plane *controlplane.Plane) string {
	t.Helper()
	rc, err := plane.ConfigOf(t.Context(), systemNamespace, managerAccount)
	if err != nil {
		t.Fatal(err)
	}
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: rc.Host, CertificateAuthorityData: rc.CAData}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: rc.BearerToken}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	file.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		t.Fatalf("write a kubeconfig: %v", err)
	}
	return path
}

// command is a running `tokenwright manager`.
type command struct {
	metrics, health string
	cancel          context.CancelFunc
	done            chan error
}

func startCommand(t *testing.T, log io.Writer, kubeconfig string) *command {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &command{metrics: freeAddress(t), health: freeAddress(t), cancel: cancel, done: make(chan error, 1)}
	root := newRootCommand()
	root.SetErr(log)
	root.SetArgs([]string{"manager", "--kubeconfig", kubeconfig, "--metrics-listen", c.metrics, "--health-listen", c.health})
	go func() { c.done <- root.ExecuteContext(ctx) }()
	t.Cleanup(cancel)
	return c
}

func (c *command) stop(t *testing.T) {
	t.Helper()
	c.cancel()
	select {
	case err := <-c.done:
		if err != nil {
			t.Errorf("the manager ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the manager did not stop")
	}
}

func (c *command) ready(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/healthz", "/readyz"} {
		c.get(t, c.health, path)
	}
}

// get returns what is served, as soon as it is.
func (c *command) get(t *testing.T, address, path string) string {
	t.Helper()
	var body []byte
	poll(t, func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if body, err = io.ReadAll(response.Body); err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s: %s", path, response.Status, body)
		}
		return nil
	})
	return string(body)
}

// becomesReady creates the object and waits until it says that it is ready.
func becomesReady(t *testing.T, plane *controlplane.Plane, o client.Object, conditions func() []metav1.Condition) {
	t.Helper()
	if err := plane.Client.Create(t.Context(), o); err != nil {
		t.Fatalf("create %T: %v", o, err)
	}
	poll(t, func() error {
		if err := plane.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(conditions(), v1alpha1.ConditionReady) {
			return fmt.Errorf("%T %s is not ready: %v", o, o.GetName(), conditions())
		}
		return nil
	})
}

// holder returns who holds the manager's Lease; "" if nobody does.
func holder(t *testing.T, plane *controlplane.Plane) string {
	t.Helper()
	var lease coordinationv1.Lease
	if err := plane.Client.Get(t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: leaseName}, &lease); err != nil {
		t.Fatalf("read the Lease: %v", err)
	}
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// poll tries until it works, and fails the test after a minute.
func poll(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// lockedBuffer is a buffer that several goroutines write to.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
