// Package controlplane starts a real API server with Tokenwright's CRDs, for tests and for the demo. It owns where the
// binaries are found and how a process gets the rights of a ServiceAccount; it does not own what is tested.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Plane is a running control plane with Tokenwright's CRDs.
type Plane struct {
	// Config has the rights of an administrator.
	Config *rest.Config
	// Client has the rights of an administrator, and reads the API server itself.
	Client client.Client
	// Environment is what runs the API server and etcd.
	Environment *envtest.Environment
}

// Root is the top folder of the project.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Binaries is the folder of kube-apiserver, etcd and kubectl: KUBEBUILDER_ASSETS, or what `make control-plane` builds.
func Binaries() string {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir
	}
	return filepath.Join(Root(), "bin", "k8s")
}

// Scheme knows Kubernetes' kinds and ours.
func Scheme() *apiruntime.Scheme {
	scheme := apiruntime.NewScheme()
	must(clientgoscheme.AddToScheme(scheme))
	must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// Options change how a control plane is started; the zero value is what tests want.
type Options struct {
	// CertDir keeps the certificates and the keys of ServiceAccount tokens, so that the API server can be stopped and
	// started again as the same one. Empty means a temporary folder that StopAPIServer loses.
	CertDir string
	// WithoutCRDs leaves the CRDs to whoever installs the chart.
	WithoutCRDs bool
}

// Start starts etcd and an API server, and installs the CRDs. Stop must be called.
func Start() (*Plane, error) { return StartWith(Options{}) }

// StartWith starts etcd and an API server. Stop must be called.
func StartWith(o Options) (*Plane, error) {
	if _, err := os.Stat(filepath.Join(Binaries(), "kube-apiserver")); err != nil {
		return nil, fmt.Errorf("no control plane in %s: run `make control-plane`, or set KUBEBUILDER_ASSETS: %w", Binaries(), err)
	}
	env := &envtest.Environment{
		Scheme:                   Scheme(),
		BinaryAssetsDirectory:    Binaries(),
		ControlPlaneStartTimeout: time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	if !o.WithoutCRDs {
		env.CRDDirectoryPaths = []string{filepath.Join(Root(), "config", "crd", "bases")}
		env.ErrorIfCRDPathMissing = true
	}
	env.ControlPlane.GetAPIServer().CertDir = o.CertDir
	// Otherwise it waits a minute for the watches of those who are still there.
	env.ControlPlane.GetAPIServer().Configure().Set("shutdown-send-retry-after", "true")
	config, err := env.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the control plane: %w", err), env.Stop())
	}
	c, err := client.New(config, client.Options{Scheme: env.Scheme})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a client: %w", err), env.Stop())
	}
	return &Plane{Config: config, Client: c, Environment: env}, nil
}

// Stop stops the API server and etcd and removes their data.
func (p *Plane) Stop() error { return p.Environment.Stop() }

// StopAPIServer stops the API server and leaves etcd running.
func (p *Plane) StopAPIServer() error { return p.Environment.ControlPlane.GetAPIServer().Stop() }

// StartAPIServer starts a stopped API server again, at the same address. It needs Options.CertDir.
func (p *Plane) StartAPIServer() error { return p.Environment.ControlPlane.GetAPIServer().Start() }

// CreateNamespace creates a namespace, or does nothing if it exists.
func (p *Plane) CreateNamespace(ctx context.Context, name string, labels map[string]string) error {
	err := p.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	return ignoreExisting(err)
}

// ServiceAccountToken creates the ServiceAccount if it does not exist, and returns a token of it for the audiences (none:
// the API server's own).
func (p *Plane) ServiceAccountToken(ctx context.Context, namespace, name string, life time.Duration, audiences ...string) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := ignoreExisting(p.Client.Create(ctx, account)); err != nil {
		return "", fmt.Errorf("create ServiceAccount %s/%s: %w", namespace, name, err)
	}
	seconds := int64(life.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: audiences, ExpirationSeconds: &seconds,
	}}
	if err := p.Client.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("request a token of ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return request.Status.Token, nil
}

// ConfigOf returns a configuration that has the rights of the ServiceAccount and no others.
func (p *Plane) ConfigOf(ctx context.Context, namespace, name string) (*rest.Config, error) {
	token, err := p.ServiceAccountToken(ctx, namespace, name, 24*time.Hour)
	if err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(p.Config)
	config.BearerToken = token
	return config, nil
}

func ignoreExisting(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
