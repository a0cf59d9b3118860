package stage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// Where the chart is installed.
const (
	SystemNamespace = "tokenwright-system"
	CANamespace     = "tokenwright-ca"
)

// Cluster is a control plane, and kubectl with an administrator's rights.
type Cluster struct {
	Plane *controlplane.Plane
	// Kubeconfig is the file with the administrator's rights.
	Kubeconfig string

	dir string
}

// StartCluster starts a control plane with nothing in it, and keeps its files in the folder. Stop must be called if a
// cluster is returned, also beside an error.
func StartCluster(dir string) (*Cluster, error) {
	certs := filepath.Join(dir, "certs")
	if err := os.Mkdir(certs, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	plane, err := controlplane.StartWith(controlplane.Options{CertDir: certs, WithoutCRDs: true})
	if err != nil {
		return nil, err
	}
	c := &Cluster{Plane: plane, dir: dir, Kubeconfig: filepath.Join(dir, "admin.kubeconfig")}
	admin, err := plane.Environment.AddUser(envtest.User{Name: "stage-admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return c, fmt.Errorf("add an administrator: %w", err)
	}
	config, err := admin.KubeConfig()
	if err != nil {
		return c, fmt.Errorf("make the administrator's kubeconfig: %w", err)
	}
	if err := os.WriteFile(c.Kubeconfig, config, 0o600); err != nil {
		return c, fmt.Errorf("write the administrator's kubeconfig: %w", err)
	}
	return c, nil
}

// Stop stops the control plane and removes its data.
func (c *Cluster) Stop() error { return c.Plane.Stop() }

// KubectlPath is the file of the real kubectl.
func (c *Cluster) KubectlPath() string { return filepath.Join(controlplane.Binaries(), "kubectl") }

// Kubectl runs the real kubectl as an administrator.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return c.KubectlWith(ctx, "", args...)
}

// KubectlWith is Kubectl with something on its standard input.
func (c *Cluster) KubectlWith(ctx context.Context, stdin string, args ...string) (string, error) {
	all := append([]string{c.KubectlPath(), "--kubeconfig=" + c.Kubeconfig}, args...)
	return Command(ctx, nil, strings.NewReader(stdin), all...)
}

// Apply is `kubectl apply -f -`.
func (c *Cluster) Apply(ctx context.Context, manifest string) error {
	_, err := c.KubectlWith(ctx, manifest, "apply", "--server-side", "-f", "-")
	return err
}

// InstallChart applies what `helm install` would with these values beside the issuer, such as uma.enabled=true.
func (c *Cluster) InstallChart(ctx context.Context, issuer string, values ...string) error {
	root := controlplane.Root()
	for _, ns := range []string{SystemNamespace, CANamespace} {
		if err := c.Plane.CreateNamespace(ctx, ns, nil); err != nil {
			return fmt.Errorf("create namespace %s: %w", ns, err)
		}
	}
	// helm renders for the Kubernetes that it was built with unless it is told which one is there.
	version, err := discovery.NewDiscoveryClientForConfigOrDie(c.Plane.Config).ServerVersion()
	if err != nil {
		return fmt.Errorf("ask for the API server's version: %w", err)
	}
	manifest, err := Command(ctx, nil, nil, filepath.Join(root, "bin", "tools", "helm"), "template", "tokenwright",
		filepath.Join(root, "charts", "tokenwright"), "--namespace", SystemNamespace,
		"--kube-version", version.GitVersion, "--set", strings.Join(append([]string{"server.issuer=" + issuer}, values...), ","))
	if err != nil {
		return err
	}
	return c.Apply(ctx, manifest)
}

// KubeconfigOf writes a kubeconfig with the rights of a ServiceAccount and no others, valid for 24 hours.
func (c *Cluster) KubeconfigOf(ctx context.Context, namespace, name string) (string, error) {
	config, err := c.Plane.ConfigOf(ctx, namespace, name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, name+".kubeconfig")
	return path, clientcmd.WriteToFile(*kubeconfig(config, namespace), path)
}

func kubeconfig(config *rest.Config, namespace string) *clientcmdapi.Config {
	k := clientcmdapi.NewConfig()
	k.Clusters["stage"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	k.AuthInfos["stage"] = &clientcmdapi.AuthInfo{Token: config.BearerToken}
	k.Contexts["stage"] = &clientcmdapi.Context{Cluster: "stage", AuthInfo: "stage", Namespace: namespace}
	k.CurrentContext = "stage"
	return k
}

// Get reads one field of an object by JSONPath.
func (c *Cluster) Get(ctx context.Context, namespace, object, jsonPath string) (string, error) {
	out, err := c.Kubectl(ctx, "get", object, "--namespace="+namespace, "-o", "jsonpath="+jsonPath)
	return strings.TrimSpace(out), err
}

// Outage stops the API server for a while, or until the context ends.
func (c *Cluster) Outage(ctx context.Context, length time.Duration, during func() error) error {
	if err := c.Plane.StopAPIServer(); err != nil {
		return fmt.Errorf("stop the API server: %w", err)
	}
	end := time.Now().Add(length)
	err := during()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(end)):
	}
	if startErr := c.Plane.StartAPIServer(); startErr != nil {
		return fmt.Errorf("start the API server again: %w", startErr)
	}
	return err
}
