package tokenserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// Options say how the server runs. The zero value is not usable: see Validate.
type Options struct {
	// Config is how the API server is reached, and with whose rights.
	Config *rest.Config
	// Namespace is where SigningKeys, IdentityProviders and their Secrets are.
	Namespace string
	// Issuer is the iss of every token: what registries are configured to trust.
	Issuer string
	// Listen and HealthListen are host:port; port 0 is a free one, which the log names.
	Listen, HealthListen string
	// Listener and HealthListener are used instead of the addresses where given.
	Listener, HealthListener net.Listener
	// TLSCertFile and TLSKeyFile are both given or both empty. They are read again when they change.
	TLSCertFile, TLSKeyFile string
	// PathPrefix is put before every path; the paths without it work too.
	PathPrefix string
	// AuditFile is appended to; "-" is the standard output.
	AuditFile string
	// AuditExplain puts the policies behind each grant into the audit record.
	AuditExplain bool
	// JWKSMaxAge is how long verifiers may keep the key set.
	JWKSMaxAge time.Duration
	// ShutdownTimeout is how long requests under way are waited for.
	ShutdownTimeout time.Duration
	// Version is for the metrics.
	Version string
	Log     logr.Logger
}

// Validate says what is wrong with the options, all at once, and brings the prefix into its form.
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
	if o.JWKSMaxAge < 0 || o.ShutdownTimeout < 0 {
		problems = append(problems, errors.New("times must not be negative"))
	}
	if escaped := (&url.URL{Path: o.PathPrefix}).EscapedPath(); escaped != o.PathPrefix {
		problems = append(problems, fmt.Errorf("the path prefix %q has characters that a path cannot have", o.PathPrefix))
	}
	o.PathPrefix = httpx.CleanPrefix(o.PathPrefix)
	return errors.Join(problems...)
}
