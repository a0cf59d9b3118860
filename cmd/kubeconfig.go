package cmd

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// restConfig returns how to reach the API server: as the file says; without one as kubectl finds out (KUBECONFIG, then
// the home folder), and last as a pod of the cluster.
func restConfig(path string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	// client-go's own limit of 5 requests a second is for tools. What writes much bounds itself, in its own terms, and the
	// API server has priority and fairness.
	config.QPS = -1
	return config, nil
}
