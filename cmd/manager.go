package cmd

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/controllers"
)

// managerFlags are the flags of `tokenwright manager`.
type managerFlags struct {
	controllers.Options

	leaderElect     bool
	metricsListen   string
	healthListen    string
	shutdownTimeout time.Duration
	kubeconfig      string
	logLevel        string
}

// newManagerCommand returns `tokenwright manager`.
func newManagerCommand() *cobra.Command {
	var f managerFlags
	cmd := &cobra.Command{
		Use:   "manager",
		Short: "Run the controllers: keys are made and rotated, and every object says whether it is in force",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLogger(f.logLevel, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			useLogger(log)
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return runManager(ctx, f, log)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Namespace, "namespace", "tokenwright-system",
		"namespace of SigningKeys, IdentityProviders, their Secrets and the leader's Lease")
	flags.StringVar(&f.CANamespace, "ca-namespace", "tokenwright-ca",
		"namespace of the certificate authorities' Secrets, which servers cannot read")
	flags.BoolVar(&f.leaderElect, "leader-elect", true, "work only while holding the Lease, so that several managers can run")
	flags.StringVar(&f.metricsListen, "metrics-listen", ":8080", "address of /metrics, in plain HTTP; 0 for none")
	flags.StringVar(&f.healthListen, "health-listen", ":8081", "address of /healthz and /readyz, in plain HTTP; 0 for none")
	flags.DurationVar(&f.ClockSkew, "clock-skew", time.Minute, "how far the clocks of the cluster may be apart")
	flags.DurationVar(&f.MaxStaleness, "max-staleness", time.Hour,
		"for how long a server that is cut off from the API server is assumed to go on signing; retired keys stay public for it")
	flags.DurationVar(&f.JWKSMaxAge, "jwks-max-age", 5*time.Minute,
		"how long verifiers may cache the JWKS; the servers' flag must be the same")
	flags.BoolVar(&f.TestBounds, "test-bounds", false,
		"let the annotation tokenwright.dev/test-interval set intervals of seconds; for tests only")
	if err := flags.MarkHidden("test-bounds"); err != nil {
		panic(err) // there is such a flag: see above
	}
	flags.DurationVar(&f.shutdownTimeout, "shutdown-timeout", 20*time.Second, "how long work in progress may take after a signal to stop")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "file that says how to reach the API server; if empty KUBECONFIG, or the cluster that the pod is in")
	flags.StringVar(&f.logLevel, "log-level", "info", "what is logged: error, info or debug")
	return cmd
}

// runManager runs the controllers until the context ends. The process must end right after it, because the Lease is
// given back.
func runManager(ctx context.Context, f managerFlags, log logr.Logger) error {
	rc, err := restConfig(f.kubeconfig)
	if err != nil {
		return err
	}
	options, err := managerOptions(rc, f, log)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(rc, options)
	if err != nil {
		return fmt.Errorf("make the manager: %w", err)
	}
	if err := controllers.AddToManager(mgr, f.Options); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("caches", cachesSynced(mgr.GetCache())); err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	log.Info("Started the manager", "namespace", f.Namespace, "leaderElect", f.leaderElect)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the manager: %w", err)
	}
	log.Info("Stopped the manager")
	return nil
}

// managerOptions returns the manager's own options: what is cached, who leads, and what is listened on.
func managerOptions(rc *rest.Config, f managerFlags, log logr.Logger) (ctrl.Options, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return ctrl.Options{}, fmt.Errorf("register Kubernetes' kinds: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return ctrl.Options{}, fmt.Errorf("register Tokenwright's kinds: %w", err)
	}
	options := ctrl.Options{
		Scheme:                  scheme,
		Logger:                  log,
		Cache:                   controllers.CacheOptions(f.Namespace),
		NewCache:                patientCache(log),
		Metrics:                 metricsserver.Options{BindAddress: f.metricsListen},
		HealthProbeBindAddress:  f.healthListen,
		GracefulShutdownTimeout: &f.shutdownTimeout,
		// One process has one manager, but a test process has several, with controllers of the same names.
		Controller: config.Controller{SkipNameValidation: new(true)},
	}
	if !f.leaderElect {
		return options, nil
	}
	return withLeaderElection(options, rc, f.Namespace)
}
