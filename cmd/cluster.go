package cmd

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// defaultNamespace is where Tokenwright is installed unless somebody chose another namespace.
const defaultNamespace = "tokenwright-system"

// requestTimeout bounds one request: an API server that does not answer must not hold up an emergency for ever.
const requestTimeout = 30 * time.Second

// clusterFlags say how a command reaches the cluster, and as whom: kubectl's flags, by their names.
type clusterFlags struct {
	kubeconfig string
	context    string
	namespace  string
	as         string
	asGroups   []string
}

// registerServer adds the flags that say which cluster it is.
func (f *clusterFlags) registerServer(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "file that says how to reach the API server; if empty KUBECONFIG, or ~/.kube/config")
	flags.StringVar(&f.context, "context", "", "context of the kubeconfig; if empty its current one")
}

func (f *clusterFlags) register(cmd *cobra.Command) {
	f.registerServer(cmd)
	cmd.PersistentFlags().StringVarP(&f.namespace, "namespace", "n", defaultNamespace, "namespace in which Tokenwright is installed; the context's is not looked at")
	f.registerPerson(cmd)
}

// registerTenant is register for commands that are about objects of any namespace.
func (f *clusterFlags) registerTenant(cmd *cobra.Command) {
	f.registerServer(cmd)
	cmd.PersistentFlags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of the objects; if empty the context's")
	f.registerPerson(cmd)
}

func (f *clusterFlags) registerPerson(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.as, "as", "", "user to impersonate")
	flags.StringArrayVar(&f.asGroups, "as-group", nil, "group to impersonate, with --as; can be given several times")
}

// session is one command of one person.
type session struct {
	client    client.Client
	namespace string
	// program is what the person typed before "keys", and where the flags that lead to the same cluster.
	program, where string
	out, errOut    io.Writer
	now            func() time.Time
}

// connect returns a session with the cluster. Nothing is sent yet.
func (f *clusterFlags) connect(cmd *cobra.Command) (*session, error) {
	c, err := f.client(cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	return &session{
		client: c, namespace: f.namespace, program: cmd.Root().CommandPath(), where: f.where(),
		out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(), now: time.Now,
	}, nil
}

func (f *clusterFlags) config(warnings io.Writer) (*rest.Config, error) {
	if f.as == "" && len(f.asGroups) > 0 {
		return nil, fmt.Errorf("--as-group must be given together with --as")
	}
	config, err := f.loader().ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, fmt.Errorf("find the API server: there is no kubeconfig: name one with --kubeconfig or in KUBECONFIG")
	case err != nil:
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	if f.as != "" {
		// Here and not in the overrides, which do not count where there is no kubeconfig but a pod's ServiceAccount.
		config.Impersonate = rest.ImpersonationConfig{UserName: f.as, Groups: f.asGroups}
	}
	config.Timeout = requestTimeout
	config.QPS = -1 // as in restConfig
	config.WarningHandler = rest.NewWarningWriter(warnings, rest.WarningWriterOptions{Deduplicate: true})
	return config, nil
}

// loader reads the kubeconfig.
func (f *clusterFlags) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context})
}

// connectTenant is connect for commands that are about objects of any namespace: without the flag, of the context's.
func (f *clusterFlags) connectTenant(cmd *cobra.Command) (*session, error) {
	s, err := f.connect(cmd)
	if err != nil || f.namespace != "" {
		return s, err
	}
	if s.namespace, _, err = f.loader().Namespace(); err != nil {
		return nil, fmt.Errorf("find the namespace of the context: %w", err)
	}
	return s, nil
}

// where repeats the flags that lead to the same SigningKeys.
func (f *clusterFlags) where() string {
	flags := ""
	for _, flag := range []struct{ name, value, otherwise string }{
		{"kubeconfig", f.kubeconfig, ""}, {"context", f.context, ""}, {"namespace", f.namespace, defaultNamespace},
	} {
		if flag.value != flag.otherwise {
			flags += " --" + flag.name + "=" + flag.value
		}
	}
	return flags
}

// say tells what happened.
func (s *session) say(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }

// warn tells what else a person should know, where it does not get between what a script reads.
func (s *session) warn(format string, args ...any) {
	_, _ = fmt.Fprintf(s.errOut, "warning: "+format+"\n", args...)
}
