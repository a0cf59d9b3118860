package main

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

const (
	systemNamespace = "tokenwright-system"
	caNamespace     = "tokenwright-ca"
	audience        = "registry.example.com"
)

// cluster is a control plane, and kubectl with an administrator's rights.
type cluster struct {
	plane      *controlplane.Plane
	dir        string
	kubeconfig string
}

func startCluster(dir string) (*cluster, error) {
	certs := filepath.Join(dir, "certs")
	if err := os.Mkdir(certs, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	plane, err := controlplane.StartWith(controlplane.Options{CertDir: certs, WithoutCRDs: true})
	if err != nil {
		return nil, err
	}
	c := &cluster{plane: plane, dir: dir, kubeconfig: filepath.Join(dir, "admin.kubeconfig")}
	admin, err := plane.Environment.AddUser(envtest.User{Name: "demo-admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return c, fmt.Errorf("add an administrator: %w", err)
	}
	config, err := admin.KubeConfig()
	if err != nil {
		return c, fmt.Errorf("make the administrator's kubeconfig: %w", err)
	}
	if err := os.WriteFile(c.kubeconfig, config, 0o600); err != nil {
		return c, fmt.Errorf("write the administrator's kubeconfig: %w", err)
	}
	return c, nil
}

func (c *cluster) stop() error { return c.plane.Stop() }

func (c *cluster) kubectlPath() string { return filepath.Join(controlplane.Binaries(), "kubectl") }

// kubectl runs the real kubectl as an administrator.
func (c *cluster) kubectl(ctx context.Context, args ...string) (string, error) {
	return c.kubectlWith(ctx, "", args...)
}

func (c *cluster) kubectlWith(ctx context.Context, stdin string, args ...string) (string, error) {
	all := append([]string{c.kubectlPath(), "--kubeconfig=" + c.kubeconfig}, args...)
	return command(ctx, nil, strings.NewReader(stdin), all...)
}

// apply is `kubectl apply -f -`.
func (c *cluster) apply(ctx context.Context, manifest string) error {
	_, err := c.kubectlWith(ctx, manifest, "apply", "--server-side", "-f", "-")
	return err
}

// installChart applies what `helm install` would.
func (c *cluster) installChart(ctx context.Context, issuer string) error {
	root := controlplane.Root()
	for _, ns := range []string{systemNamespace, caNamespace} {
		if err := c.plane.CreateNamespace(ctx, ns, nil); err != nil {
			return fmt.Errorf("create namespace %s: %w", ns, err)
		}
	}
	// helm renders for the Kubernetes that it was built with unless it is told which one is there.
	version, err := discovery.NewDiscoveryClientForConfigOrDie(c.plane.Config).ServerVersion()
	if err != nil {
		return fmt.Errorf("ask for the API server's version: %w", err)
	}
	manifest, err := command(ctx, nil, nil, filepath.Join(root, "bin", "tools", "helm"), "template", "tokenwright",
		filepath.Join(root, "charts", "tokenwright"), "--namespace", systemNamespace,
		"--kube-version", version.GitVersion, "--set", "server.issuer="+issuer)
	if err != nil {
		return err
	}
	return c.apply(ctx, manifest)
}

// kubeconfigOf writes a kubeconfig with the rights of a ServiceAccount and no others, valid for 24 hours.
func (c *cluster) kubeconfigOf(ctx context.Context, namespace, name string) (string, error) {
	config, err := c.plane.ConfigOf(ctx, namespace, name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, name+".kubeconfig")
	return path, clientcmd.WriteToFile(*kubeconfig(config, namespace), path)
}

func kubeconfig(config *rest.Config, namespace string) *clientcmdapi.Config {
	k := clientcmdapi.NewConfig()
	k.Clusters["demo"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	k.AuthInfos["demo"] = &clientcmdapi.AuthInfo{Token: config.BearerToken}
	k.Contexts["demo"] = &clientcmdapi.Context{Cluster: "demo", AuthInfo: "demo", Namespace: namespace}
	k.CurrentContext = "demo"
	return k
}

// get reads one field of an object by JSONPath.
func (c *cluster) get(ctx context.Context, namespace, object, jsonPath string) (string, error) {
	out, err := c.kubectl(ctx, "get", object, "--namespace="+namespace, "-o", "jsonpath="+jsonPath)
	return strings.TrimSpace(out), err
}

// outage stops the API server for a while, or until the context ends.
func (c *cluster) outage(ctx context.Context, length time.Duration, during func() error) error {
	if err := c.plane.StopAPIServer(); err != nil {
		return fmt.Errorf("stop the API server: %w", err)
	}
	end := time.Now().Add(length)
	err := during()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(end)):
	}
	if startErr := c.plane.StartAPIServer(); startErr != nil {
		return fmt.Errorf("start the API server again: %w", startErr)
	}
	return err
}
