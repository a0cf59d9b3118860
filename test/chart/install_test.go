package chart

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// Policies and authorities outlive the release, and a new release of the same name takes them over.
func TestInstallUpgradeUninstallAndInstallAgain(t *testing.T) {
	ctx := t.Context()
	empty, err := controlplane.StartWith(controlplane.Options{WithoutCRDs: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = empty.Stop() }()
	helm := helmFor(t, empty)

	helm("install", Release, Folder(), "--create-namespace", issuer)
	policy := &v1alpha1.ClusterAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}
	policy.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	policy.Spec.Rules = []v1alpha1.Rule{{Type: "repository", Names: []v1alpha1.ResourceName{"a"}, Actions: []v1alpha1.Action{"pull"}}}
	// Helm does not wait until the API server serves a new kind.
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := empty.Client.Create(ctx, policy.DeepCopy())
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}

	helm("upgrade", Release, Folder(), issuer, "--set=server.replicas=3")
	server := client.ObjectKey{Namespace: SystemNamespace, Name: "tokenwright-server"}
	var deployment appsv1.Deployment
	if err := empty.Client.Get(ctx, server, &deployment); err != nil || *deployment.Spec.Replicas != 3 {
		t.Errorf("after the upgrade there must be three replicas: %v", err)
	}

	helm("uninstall", Release)
	if err := empty.Client.Get(ctx, server, &deployment); !apierrors.IsNotFound(err) {
		t.Errorf("the Deployment must be gone: %v", err)
	}
	if err := empty.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy); err != nil {
		t.Errorf("policies must outlive the release: %v", err)
	}
	var namespace corev1.Namespace
	if err := empty.Client.Get(ctx, client.ObjectKey{Name: caNamespace}, &namespace); err != nil || namespace.DeletionTimestamp != nil {
		t.Errorf("the namespace of the authorities must outlive the release: %v", err)
	}

	helm("install", Release, Folder(), issuer)
}

// helmFor returns helm with an administrator's rights, which ends the test if it fails.
func helmFor(t *testing.T, p *controlplane.Plane) func(args ...string) {
	t.Helper()
	kubeconfig := kubeconfigFor(t, p)
	return func(args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(controlplane.Root(), "bin", "tools", "helm"), args...)
		cmd.Args = append(cmd.Args, "--namespace="+SystemNamespace, "--kubeconfig="+kubeconfig)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("helm %s: %v: %s", args[0], err, out)
		}
	}
}
