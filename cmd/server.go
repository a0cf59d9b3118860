package cmd

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/tokenserver"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
)

// serverFlags are the flags of `tokenwright server`.
type serverFlags struct {
	tokenserver.Options

	kubeconfig       string
	logLevel         string
	umaCompatibility string
}

// The values of --uma-compatibility.
const (
	umaSpecification = "kantara"
	umaKeycloak      = "keycloak"
)

// newServerCommand returns `tokenwright server`.
func newServerCommand() *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the token server: callers prove who they are and get tokens for what the policies grant",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := checkServerFlags(cmd); err != nil {
				return err
			}
			return runServer(ctx, cmd, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Namespace, "namespace", "tokenwright-system", "namespace of SigningKeys, IdentityProviders and their Secrets")
	flags.StringVar(&f.Issuer, "issuer", "", "iss of every token, such as https://auth.example.com: what registries trust (required)")
	flags.StringVar(&f.IdentAudience, "ident-audience", "", "audience of the tokens of the Provide Ident API, which is served only if there is one: see docs/ident.md")
	flags.BoolVar(&f.UMA, "uma", false, "serve protected resources: permission tickets, requesting party tokens and AuthZEN: see docs/uma.md")
	flags.StringVar(&f.umaCompatibility, "uma-compatibility", umaSpecification,
		"spelling of UMA's errors: kantara, the specification's, or keycloak")
	flags.BoolVar(&f.UMA1AccessToken, "uma1-access-token", false,
		"put the caller's own access token into the tokens of /authz/authorize, as Keycloak once did: whoever gets one can use it")
	flags.StringVar(&f.Listen, "listen", ":8080", "address of the token endpoint and the JWKS; port 0 is a free one, which the log names")
	flags.StringVar(&f.HealthListen, "health-listen", ":8081", "address of /healthz, /readyz and /metrics, in plain HTTP")
	flags.StringVar(&f.TLSCertFile, "tls-cert-file", "", "certificate of --listen, in PEM, with its chain; read again when it changes; empty for plain HTTP")
	flags.StringVar(&f.TLSKeyFile, "tls-key-file", "", "private key of the certificate, in PEM")
	flags.StringVar(&f.PathPrefix, "path-prefix", "", "path before /token and /.well-known, which then work with and without it")
	flags.StringSliceVar(&f.TrustedProxies, "trusted-proxies", nil,
		"ranges of proxies, such as 10.1.0.0/16, whose X-Forwarded-For says where a request comes from; may be given several times")
	flags.StringVar(&f.AuditFile, "audit-file", audit.Stdout, "file that a JSON line is appended to for every token; - for the standard output")
	flags.BoolVar(&f.AuditExplain, "audit-explain", false, "name in the audit record the policies behind each grant; costs time for each rule that matches")
	flags.DurationVar(&f.JWKSMaxAge, "jwks-max-age", 5*time.Minute,
		"how long verifiers may cache the JWKS; the manager's flag must be the same")
	flags.DurationVar(&f.MaxStaleness, "max-staleness", tokenserver.DefaultMaxStaleness,
		"how long to go on signing without a view of the cluster that is known to be current, at least 3s; the manager's flag must be the same")
	flags.StringVar(&f.PodName, "pod-name", "", "name of this server, which its Lease is named by and no other server may have; if empty POD_NAME, or the host name")
	flags.StringVar(&f.PodUID, "pod-uid", "", "UID of the Pod that the Lease goes with; if empty POD_UID, or none")
	flags.DurationVar(&f.ShutdownTimeout, "shutdown-timeout", 20*time.Second, "how long requests under way may take after a signal to stop")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "file that says how to reach the API server; if empty KUBECONFIG, or the cluster that the pod is in")
	flags.StringArrayVar(&f.Manifests, manifestsFlag, nil,
		"file or folder to take objects from, instead of a cluster; read again when something changes; may be given several times")
	flags.StringVar(&f.StateDir, "state-dir", "",
		"with --manifests: folder in which keys are kept, and below public/ what registries have to know; empty for keys in memory")
	flags.DurationVar(&f.ClockSkew, "clock-skew", time.Minute, "with --manifests: how far the clocks of whoever verifies tokens may be off")
	flags.StringVar(&f.logLevel, "log-level", "info", "what is logged, to the standard error: error, info or debug")
	return cmd
}

func runServer(ctx context.Context, cmd *cobra.Command, f serverFlags) error {
	log, err := newLogger(f.logLevel, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	useLogger(log)
	options := f.Options
	options.PodName = cmp.Or(options.PodName, os.Getenv("POD_NAME"))
	options.PodUID = cmp.Or(options.PodUID, os.Getenv("POD_UID"))
	options.Log, options.Version = log, version
	if f.umaCompatibility != umaSpecification && f.umaCompatibility != umaKeycloak {
		return fmt.Errorf("--uma-compatibility must be %s or %s, not %q", umaSpecification, umaKeycloak, f.umaCompatibility)
	}
	options.UMAKeycloak = f.umaCompatibility == umaKeycloak
	if err := options.Validate(); err != nil {
		return err
	}
	if len(options.Manifests) == 0 {
		if options.Config, err = restConfig(f.kubeconfig); err != nil {
			return err
		}
	}
	defer tokenserver.PaceGarbage()()
	if err := tokenserver.Run(ctx, options); err != nil {
		return err
	}
	log.Info("Stopped the server")
	return nil
}

const manifestsFlag = "manifests"

// The flags that have a meaning only with a cluster, and only without one.
var (
	onlyWithCluster = []string{"kubeconfig", "max-staleness", "pod-name", "pod-uid"}
	onlyWithout     = []string{"state-dir", "clock-skew"}
)

// checkServerFlags refuses flags that would do nothing: whoever gives them expects something else.
func checkServerFlags(cmd *cobra.Command) error {
	flags := cmd.Flags()
	offline := flags.Changed(manifestsFlag)
	for _, name := range onlyWithCluster {
		if offline && flags.Changed(name) {
			return fmt.Errorf("--%s has no meaning with --%s: there is no cluster", name, manifestsFlag)
		}
	}
	for _, name := range onlyWithout {
		if !offline && flags.Changed(name) {
			return fmt.Errorf("--%s has a meaning only with --%s: with a cluster the manager makes the keys", name, manifestsFlag)
		}
	}
	return nil
}
