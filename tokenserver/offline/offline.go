// Package offline owns what a server without a cluster has instead of one: objects from files that are watched, in a store
// that the observer lists and watches, and a keeper of keys. It decides which sets of manifests are taken over: a set with
// a problem never is, and the last good one stays in force. It does not own how an object is read (manifest), what it
// means (observe and what is below it), nor how a key lives (keyring).
package offline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/manifest"
	"github.com/tokenwright/tokenwright/tokenserver/offline/keeper"
	"github.com/tokenwright/tokenwright/tokenserver/offline/state"
	"github.com/tokenwright/tokenwright/tokenserver/offline/store"
	"github.com/tokenwright/tokenwright/tokenserver/offline/watcher"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Options are what a server without a cluster is told.
type Options struct {
	// Manifests are files and folders.
	Manifests []string
	// StateDir is where keys outlive the process; empty: they do not.
	StateDir string
	// Namespace is the system namespace.
	Namespace string
	// ClockSkew is how far the clocks of whoever verifies tokens may be off; JWKSMaxAge is how long they may keep the JWKS.
	ClockSkew, JWKSMaxAge time.Duration
	// Snapshots tell what the server serves.
	Snapshots *snapshot.Holder
	Log       logr.Logger
}

// Offline feeds an observer. What is exported may be called by anyone at any time; Run once.
type Offline struct {
	options Options
	objects store.Store
	reader  *manifest.Reader
	watcher *watcher.Watcher
	state   *state.Dir
	keeper  *keeper.Keeper
	// compiler is for what is wrong with policies; those that are in force the observer compiles.
	compiler policy.Compiler
	// keys are the SigningKeys of the last good set, and taken what of it is in the store.
	keys  []*v1alpha1.SigningKey
	taken map[metav1.Object]bool
	// wake is when the keeper has to look again.
	wake time.Time
	told told

	condition atomic.Pointer[Condition]
}

// New reads the manifests and makes the first keys, so that an observer finds all of it. It refuses to start with manifests
// that have a problem, and with a state folder that is damaged. Close must be called if there is no error.
func New(o Options) (*Offline, error) {
	off := &Offline{
		options: o, watcher: watcher.New(o.Log.WithName("watch"), watcher.Poll), taken: map[metav1.Object]bool{},
		// A folder may lose its last file while the server runs; at the start that is a mistake: see begin.
		reader: manifest.NewReader(manifest.Options{EmptyFolders: true, PlainFiles: true}),
	}
	off.condition.Store(&Condition{})
	if err := off.begin(); err != nil {
		return nil, errors.Join(err, off.Close())
	}
	return off, nil
}

func (o *Offline) begin() error {
	if err := o.apart(); err != nil {
		return err
	}
	next, err := o.read()
	if err != nil {
		return err
	}
	if next.Files == 0 {
		return fmt.Errorf("there is no manifest in %s", strings.Join(o.options.Manifests, ", "))
	}
	if o.options.StateDir != "" {
		if o.state, err = state.Open(o.options.StateDir); err != nil {
			return err
		}
	}
	o.keeper, err = keeper.New(keeper.Options{
		Namespace: o.options.Namespace,
		Limits:    keyring.Limits{ClockSkew: o.options.ClockSkew, JWKSMaxAge: o.options.JWKSMaxAge},
		Store:     &o.objects, State: o.state, Random: rand.Reader, Log: o.options.Log.WithName("keys"),
		Serving: func() []string { return o.options.Snapshots.Load().Serves },
	})
	if err != nil {
		return err
	}
	o.take(next)
	if err := o.keep(); err != nil {
		return fmt.Errorf("make the keys: %w", err)
	}
	// Reading makes many times the garbage of what is kept, and for long nothing like it happens again.
	debug.FreeOSMemory()
	o.options.Log.Info(o.lacks(), "manifests", o.options.Manifests, "stateDir", o.options.StateDir)
	return nil
}

// Objects are what an observer lists and watches.
func (o *Offline) Objects() *store.Store { return &o.objects }

// Run takes over what changes, and rotates keys when that is due, until the context ends.
func (o *Offline) Run(ctx context.Context) error {
	watching := make(chan error, 1)
	go func() { watching <- o.watcher.Run(ctx) }()
	o.watcher.Watch(o.reader.Folders(), o.options.Manifests)
	for {
		timer := time.NewTimer(time.Until(o.wake))
		select {
		case <-ctx.Done():
			timer.Stop()
			return <-watching
		case <-o.watcher.Changed():
			o.reload()
		case <-timer.C:
		}
		timer.Stop()
		if err := o.keep(); err != nil {
			o.options.Log.Error(err, "Could not write the keys, what the server uses stays")
		}
	}
}

// reload takes over the manifests as they are now, unless they have a problem.
func (o *Offline) reload() {
	// What the reader has nothing against may have been refused all the same: then it is not in force.
	if o.reader.Unchanged(o.options.Manifests...) && o.Condition().Problems == nil {
		o.watcher.Watch(o.reader.Folders(), o.options.Manifests)
		o.note(func(c *Condition) { c.Loaded = time.Now() })
		return
	}
	next, err := o.read()
	o.watcher.Watch(o.reader.Folders(), o.options.Manifests)
	o.refused(err)
	if err == nil {
		o.take(next)
	}
	if len(o.taken) > many {
		debug.FreeOSMemory()
	}
}

// many are so many objects that reading them again makes more garbage than a small server has memory.
const many = 10_000

// keep does what is due to the keys.
func (o *Offline) keep() error {
	var err error
	o.wake, err = o.keeper.Keep(time.Now(), o.keys)
	o.keysFailed(err)
	return err
}

// Close lets another server use the state folder.
func (o *Offline) Close() error {
	if o.state == nil {
		return nil
	}
	return o.state.Close()
}

// lacks says plainly what a server without a cluster has not.
func (o *Offline) lacks() string {
	text := "Runs without a cluster: no records of tokens and no revocation of tokens, no ServiceAccounts, no admission policies, " +
		"and no second server beside it"
	if o.state == nil {
		return text + "; keys are in memory, end with the process, and are published in the JWKS only: --state-dir keeps them, and gives registries ca.crt"
	}
	return text
}
