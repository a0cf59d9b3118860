package tokenserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/lease"
)

// Options say how the server runs. The zero value is not usable: see Validate.
type Options struct {
	// Config is how the API server is reached, and with whose rights. It is not used with Manifests.
	Config *rest.Config
	// Manifests are files and folders to take objects from instead of an API server. Then StateDir is where keys are kept,
	// empty for in memory, and ClockSkew is how far the clocks of whoever verifies tokens may be off.
	Manifests []string
	StateDir  string
	ClockSkew time.Duration
	// Namespace is where SigningKeys, IdentityProviders and their Secrets are.
	Namespace string
	// Issuer is the iss of every token: what registries are configured to trust.
	Issuer string
	// IdentAudience is what the tokens of the Provide Ident API are for; empty: the API is not served.
	IdentAudience string
	// UMA serves protected resources: see package uma. UMAKeycloak spells its errors as Keycloak does, and UMA1AccessToken puts
	// the caller's own access token into the tokens of the older facade.
	UMA, UMAKeycloak, UMA1AccessToken bool
	// Listen and HealthListen are host:port; port 0 is a free one, which the log names.
	Listen, HealthListen string
	// Listener and HealthListener are used instead of the addresses where given.
	Listener, HealthListener net.Listener
	// TLSCertFile and TLSKeyFile are both given or both empty. They are read again when they change.
	TLSCertFile, TLSKeyFile string
	// PathPrefix is put before every path; the paths without it work too.
	PathPrefix string
	// TrustedProxies are ranges of proxies whose X-Forwarded-For says where a request comes from, such as 10.0.0.0/8. None:
	// it comes from where the connection does.
	TrustedProxies []string
	// AuditFile is appended to; "-" is the standard output.
	AuditFile string
	// AuditExplain puts the policies behind each grant into the audit record.
	AuditExplain bool
	// JWKSMaxAge is how long verifiers may keep the key set.
	JWKSMaxAge time.Duration
	// MaxStaleness is the age from which the view of the cluster is too old to sign by, and how long the server's Lease
	// lasts; 0: an hour. It must be that of the manager.
	MaxStaleness time.Duration
	// PodName names the server's Lease: no two servers may have the same. Empty: the host name. PodUID makes the Pod the
	// Lease's owner, where given.
	PodName, PodUID string
	// ShutdownTimeout is how long requests under way are waited for.
	ShutdownTimeout time.Duration
	// Version is for the metrics.
	Version string
	Log     logr.Logger

	// proxies are TrustedProxies, read by Validate.
	proxies httpx.Proxies
}

const (
	// DefaultMaxStaleness is what the manager goes by, too.
	DefaultMaxStaleness = time.Hour
	// MinMaxStaleness is three times the shortest watch that API servers can be asked for. Less than a minute is for tests:
	// a slow answer of the API server then stops tokens.
	MinMaxStaleness = 3 * time.Second
)

// Validate says what is wrong with the options, all at once, fills in what has a default, and brings the prefix into its
// form.
func (o *Options) Validate() error {
	var problems []error
	if o.Namespace == "" {
		problems = append(problems, errors.New("the namespace is missing"))
	}
	if o.Issuer == "" {
		problems = append(problems, errors.New("the issuer is missing: it is what registries are configured to trust"))
	}
	if (o.TLSCertFile == "") != (o.TLSKeyFile == "") {
		problems = append(problems, errors.New("the TLS certificate and the TLS key must be given together"))
	}
	if o.JWKSMaxAge < 0 || o.ShutdownTimeout < 0 || o.ClockSkew < 0 {
		problems = append(problems, errors.New("times must not be negative"))
	}
	if o.MaxStaleness == 0 {
		o.MaxStaleness = DefaultMaxStaleness
	}
	if o.MaxStaleness < MinMaxStaleness {
		problems = append(problems, fmt.Errorf("the maximal staleness is %s, and must be at least %s", o.MaxStaleness, MinMaxStaleness))
	}
	if len(o.Manifests) == 0 {
		problems = append(problems, o.checkPodName())
	}
	proxies, err := httpx.ParseProxies(o.TrustedProxies)
	if err != nil {
		problems = append(problems, fmt.Errorf("trusted proxies: %w", err))
	}
	o.proxies = proxies
	if escaped := (&url.URL{Path: o.PathPrefix}).EscapedPath(); escaped != o.PathPrefix {
		problems = append(problems, fmt.Errorf("the path prefix %q has characters that a path cannot have", o.PathPrefix))
	}
	o.PathPrefix = httpx.CleanPrefix(o.PathPrefix)
	return errors.Join(problems...)
}

// checkPodName finds the name that the Lease is named by.
func (o *Options) checkPodName() error {
	if o.PodName == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("the pod name is missing, and the host has none: %w", err)
		}
		o.PodName = strings.ToLower(host)
	}
	if problems := validation.IsDNS1123Subdomain(lease.Name(o.PodName)); len(problems) > 0 {
		return fmt.Errorf("the pod name %q cannot be part of a Lease's name: %s", o.PodName, strings.Join(problems, ", "))
	}
	return nil
}
