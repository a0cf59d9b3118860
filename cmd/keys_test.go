package cmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// unmanaged is a namespace that no manager looks after: what a status says there, the test has written.
const unmanaged = "unmanaged"

// Contexts of the kubeconfig. Each is a ServiceAccount with the rights of one ClusterRole of config/rbac/roles.
const (
	asAdmin      = "admin"      // tokenwright-platform-admin in the namespaces of the test; the current context
	asViewer     = "viewer"     // tokenwright-platform-viewer in the same
	asEverywhere = "everywhere" // tokenwright-platform-admin in all namespaces
	asNobody     = "nobody"     // no rights
	asStranger   = "stranger"   // a token that is none
)

// keysBench is a cluster in which a manager runs, as its own ServiceAccount, and people with the rights of the ClusterRoles.
type keysBench struct {
	plane      *controlplane.Plane
	kubeconfig string
}

func TestKeys(t *testing.T) {
	b := startKeysBench(t)
	t.Run("list", b.testList)
	t.Run("errors", b.testErrors)
	t.Run("rotate", b.testRotate)
	t.Run("authority", b.testAuthority)
	t.Run("activate", b.testActivate)
	t.Run("revoke", b.testRevoke)
	t.Run("tokens", b.testTokens)
	t.Run("requests", b.testRequests)
	t.Run("completion", b.testCompletion)
	t.Run("plugin", b.testPlugin)
}

func startKeysBench(t *testing.T) *keysBench {
	t.Helper()
	plane, err := controlplane.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	b := &keysBench{plane: plane, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	for _, namespace := range []string{systemNamespace, "tokenwright-ca", unmanaged, "empty"} {
		if err := plane.CreateNamespace(t.Context(), namespace, nil); err != nil {
			t.Fatalf("create namespace %s: %v", namespace, err)
		}
	}
	b.people(t)
	t.Setenv("KUBECONFIG", b.kubeconfig)
	install(t, plane, "service_account.yaml", "role.yaml", "role_binding.yaml")
	b.startManager(t)
	return b
}

// startManager runs the manager with clocks that are believed to be a second apart, so that rotations happen at once.
func (b *keysBench) startManager(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log, done := &lockedBuffer{}, make(chan int, 1)
	args := []string{
		"manager", "--kubeconfig", kubeconfigOf(t, b.plane), "--clock-skew=1s", "--leader-elect=false", "--metrics-listen=0", "--health-listen=0",
	}
	go func() { done <- execute(ctx, args, io.Discard, log) }()
	t.Cleanup(func() {
		cancel()
		if status := <-done; status != 0 || t.Failed() {
			t.Logf("the manager ended with status %d: %s", status, log.String())
		}
	})
}

// people writes the kubeconfig.
func (b *keysBench) people(t *testing.T) {
	t.Helper()
	for _, file := range []string{"platform_admin.yaml", "platform_viewer.yaml"} {
		if err := b.plane.Apply(t.Context(), filepath.Join("config", "rbac", "roles", file)); err != nil {
			t.Fatal(err)
		}
	}
	binding := func(name, role string) (metav1.ObjectMeta, rbacv1.RoleRef, []rbacv1.Subject) {
		return metav1.ObjectMeta{Name: name}, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			[]rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "empty", Name: name}}
	}
	for name, role := range map[string]string{asAdmin: "tokenwright-platform-admin", asViewer: "tokenwright-platform-viewer"} {
		for _, namespace := range []string{systemNamespace, unmanaged, "empty"} {
			object := &rbacv1.RoleBinding{}
			object.ObjectMeta, object.RoleRef, object.Subjects = binding(name, role)
			object.Namespace = namespace
			b.create(t, object)
		}
	}
	everywhere := &rbacv1.ClusterRoleBinding{}
	everywhere.ObjectMeta, everywhere.RoleRef, everywhere.Subjects = binding(asEverywhere, "tokenwright-platform-admin")
	b.create(t, everywhere)

	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: b.plane.Config.Host, CertificateAuthorityData: b.plane.Config.CAData}
	file.CurrentContext = asAdmin
	for _, name := range []string{asAdmin, asViewer, asEverywhere, asNobody, asStranger} {
		token := "none"
		if name != asStranger {
			config, err := b.plane.ConfigOf(t.Context(), "empty", name)
			if err != nil {
				t.Fatal(err)
			}
			token = config.BearerToken
		}
		file.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
		file.Contexts[name] = &clientcmdapi.Context{Cluster: "c", AuthInfo: name}
	}
	if err := clientcmd.WriteToFile(*file, b.kubeconfig); err != nil {
		t.Fatalf("write a kubeconfig: %v", err)
	}
}

func (b *keysBench) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := b.plane.Client.Create(t.Context(), o); err != nil {
		t.Fatalf("create %T %s: %v", o, o.GetName(), err)
	}
}

// output is what a command gave.
type output struct {
	Status         int
	Stdout, Stderr string
}

// keys runs `tokenwright keys ...`.
func (b *keysBench) keys(t *testing.T, args ...string) output {
	t.Helper()
	return b.run(t, append([]string{"keys"}, args...)...)
}

// run runs `tokenwright ...`.
func (b *keysBench) run(t *testing.T, args ...string) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := execute(t.Context(), args, &stdout, &stderr)
	return output{status, stdout.String(), stderr.String()}
}

// ready creates a SigningKey whose standby may sign after a second, and waits until it has one.
func (b *keysBench) ready(t *testing.T, name string, change ...func(*v1alpha1.SigningKeySpec)) *v1alpha1.SigningKey {
	t.Helper()
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: name},
		Spec: v1alpha1.SigningKeySpec{
			Audiences: []v1alpha1.Audience{v1alpha1.Audience(name + ".example.com")},
			Rotation:  v1alpha1.Rotation{PublishAhead: "0s"},
		},
	}
	for _, c := range change {
		c(&key.Spec)
	}
	b.create(t, key)
	poll(t, func() error {
		b.read(t, key)
		_, standby := inState(key, v1alpha1.KeyPublished)
		if !meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady) ||
			!standby && key.Spec.Rotation.Mode != v1alpha1.RotationNever {
			return fmt.Errorf("SigningKey %s has no standby yet: %+v", name, key.Status)
		}
		return nil
	})
	return key
}

// static creates a SigningKey with this status, for which nobody does anything.
func (b *keysBench) static(t *testing.T, name string, status v1alpha1.SigningKeyStatus, change ...func(*v1alpha1.SigningKey)) *v1alpha1.SigningKey {
	t.Helper()
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: unmanaged, Name: name},
		Spec:       v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{v1alpha1.Audience(name + ".example.com")}},
	}
	for _, c := range change {
		c(key)
	}
	b.create(t, key)
	key.Status = status
	if err := b.plane.Client.Status().Update(t.Context(), key); err != nil {
		t.Fatalf("write the status of %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := b.plane.Client.Delete(context.WithoutCancel(t.Context()), key); err != nil {
			t.Errorf("delete %s: %v", name, err)
		}
	})
	return key
}

func (b *keysBench) read(t *testing.T, key *v1alpha1.SigningKey) {
	t.Helper()
	if err := b.plane.Client.Get(t.Context(), client.ObjectKeyFromObject(key), key); err != nil {
		t.Fatalf("read SigningKey %s: %v", key.Name, err)
	}
}

// said fails the test unless the text has all of these.
func said(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in:\n%s", want, text)
		}
	}
}

// conditions of a SigningKey for which all is well, and more.
func conditions(more ...metav1.Condition) []metav1.Condition {
	out := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSigning, Message: "Key signs"}}
	for _, c := range more {
		meta.SetStatusCondition(&out, c)
	}
	for i := range out {
		out[i].LastTransitionTime = metav1.NewTime(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	}
	return out
}
