package cmd

import (
	"fmt"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/tokenwright/tokenwright/tokenserver/observe"
)

// patientCache makes caches that try again about every second while the API server is away. Left alone they wait ever
// longer, up to a minute, and a revocation that was asked for right after an outage would wait as long. Only lists and
// watches are sent again: what the controllers ask and write themselves fails, and is done again by their queues.
func patientCache(log logr.Logger) cache.NewCacheFunc {
	return func(config *rest.Config, options cache.Options) (cache.Cache, error) {
		config = rest.CopyConfig(config)
		config.Wrap(observe.Patient(
			func(err error) { log.Error(err, "Lost the API server, the last view stays") },
			func() { log.Info("Reached the API server again") },
		))
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			return nil, fmt.Errorf("make the client of the cache: %w", err)
		}
		options.HTTPClient = client
		return cache.New(config, options)
	}
}
