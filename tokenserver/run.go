package tokenserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/lease"
	"github.com/tokenwright/tokenwright/tokenserver/observe"
	"github.com/tokenwright/tokenwright/tokenserver/offline"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Run runs the server against the API server that the options lead to, until the context ends. It starts also while the
// API server is away, and becomes ready when it has seen everything once. With manifests it runs without an API server.
func Run(ctx context.Context, options Options) error {
	if err := options.Validate(); err != nil {
		return err
	}
	if len(options.Manifests) > 0 {
		return runOffline(ctx, options)
	}
	holder, fence := &snapshot.Holder{}, snapshot.NewFence(options.MaxStaleness)
	index, requests := &record.Index{}, &registration.Index{}
	observer, err := observe.New(observe.Options{
		Config: options.Config, Namespace: options.Namespace, Holder: holder, Records: index, Log: options.Log.WithName("observe"),
		MaxStaleness: options.MaxStaleness, UMA: options.UMA, Requests: requests,
	})
	if err != nil {
		return err
	}
	client, err := record.NewClient(options.Config)
	if err != nil {
		return err
	}
	records := record.New(record.Options{
		Client: client, Namespace: options.Namespace, Index: index, Random: rand.Reader, Now: time.Now, Log: options.Log.WithName("record"),
	})
	leases, err := lease.NewClient(options.Config, options.Namespace)
	if err != nil {
		return err
	}
	keeper, err := lease.New(lease.Options{
		Client: leases, PodName: options.PodName, PodUID: options.PodUID, MaxStaleness: options.MaxStaleness,
		View: observer, Snapshots: holder, Fence: fence, Log: options.Log.WithName("lease"),
	})
	if err != nil {
		return err
	}
	cluster, err := identity.NewCluster(options.Config)
	if err != nil {
		return fmt.Errorf("prepare to review tokens: %w", err)
	}
	authenticator := identity.New(identity.Options{Cluster: cluster, Log: options.Log.WithName("identity")})
	parts := Parts{
		Snapshots: holder, Authenticator: authenticator, Observer: observer, Fence: fence, Lease: keeper,
		Records: records, Issuers: authenticator.Issuers,
		Background: func(ctx context.Context) error {
			both, ctx := errgroup.WithContext(ctx)
			both.Go(func() error { return authenticator.KeepKeys(ctx, holder) })
			both.Go(func() error { return records.Run(ctx) })
			return both.Wait()
		},
	}
	if options.UMA {
		registrations, err := registration.NewClient(options.Config)
		if err != nil {
			return err
		}
		parts.Registrations = registration.New(registration.Options{
			Client: registrations, Index: requests, Snapshots: holder, Now: time.Now, Log: options.Log.WithName("registration"),
		})
		parts.Requests = parts.Registrations
	}
	return Serve(ctx, options, parts)
}

// runOffline runs the server on manifests. It is the only one, and its view cannot be old: there is no Lease and no fence.
func runOffline(ctx context.Context, options Options) (err error) {
	holder := &snapshot.Holder{}
	source, err := offline.New(offline.Options{
		Manifests: options.Manifests, StateDir: options.StateDir, Namespace: options.Namespace,
		ClockSkew: options.ClockSkew, JWKSMaxAge: options.JWKSMaxAge, Snapshots: holder, Log: options.Log.WithName("offline"),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	index := &record.Index{} // of a kind that the source does not have: it stays empty
	observer, err := observe.New(observe.Options{
		Source: source.Objects(), Namespace: options.Namespace, Holder: holder, Records: index, Log: options.Log.WithName("observe"),
		UMA: options.UMA,
	})
	if err != nil {
		return err
	}
	authenticator := identity.New(identity.Options{Log: options.Log.WithName("identity")})
	return Serve(ctx, options, Parts{
		Snapshots: holder, Observer: observer, Authenticator: authenticator, Issuers: authenticator.Issuers,
		Records: record.New(record.Options{
			Namespace: options.Namespace, Index: index, Random: rand.Reader, Now: time.Now, Log: options.Log.WithName("record"),
		}),
		Background: func(ctx context.Context) error {
			both, ctx := errgroup.WithContext(ctx)
			both.Go(func() error { return source.Run(ctx) })
			both.Go(func() error { return authenticator.KeepKeys(ctx, holder) })
			return both.Wait()
		},
		Collector: source, Condition: func() error { return source.Condition().Err() },
	})
}
