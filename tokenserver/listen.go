package tokenserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// listen opens both ports before either is served, so that a port that is taken is a clear error at the start.
func (s *server) listen(ctx context.Context, group *group, health, api *http.Server) error {
	if err := s.loadTLS(ctx, group, api); err != nil {
		return err
	}
	apiPort, err := open(s.options.Listener, s.options.Listen)
	if err != nil {
		return err
	}
	healthPort, err := open(s.options.HealthListener, s.options.HealthListen)
	if err != nil {
		apiPort.Close() //nolint:errcheck // the first error is the one to report
		return err
	}
	s.options.Log.Info("Listened", "endpoint", "token", "addr", apiPort.Addr().String(), "tls", api.TLSConfig != nil, "pathPrefix", s.options.PathPrefix)
	s.options.Log.Info("Listened", "endpoint", "health", "addr", healthPort.Addr().String())
	group.run("health listener", func() error { return health.Serve(healthPort) })
	group.run("token listener", func() error {
		if api.TLSConfig != nil {
			return api.ServeTLS(apiPort, "", "")
		}
		return api.Serve(apiPort)
	})
	return nil
}

func open(given net.Listener, address string) (net.Listener, error) {
	if given != nil {
		return given, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// loadTLS makes the server speak TLS 1.2 or newer if there is a certificate. The files are read again when they change:
// cert-manager and the kubelet replace them under a running process.
func (s *server) loadTLS(ctx context.Context, group *group, api *http.Server) error {
	if s.options.TLSCertFile == "" {
		return nil
	}
	watcher, err := certwatcher.New(s.options.TLSCertFile, s.options.TLSKeyFile)
	if err != nil {
		return fmt.Errorf("load the TLS certificate: %w", err)
	}
	group.run("certificate watcher", func() error { return watcher.Start(ctx) })
	api.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: watcher.GetCertificate}
	return nil
}
