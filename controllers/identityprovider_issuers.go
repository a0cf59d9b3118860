package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
)

const (
	// issuerEvery is how often the issuer of a provider is asked for its keys.
	issuerEvery = time.Minute
	// issuerTimeout bounds one question, and issuersAtOnce how many are under way.
	issuerTimeout = 5 * time.Second
	issuersAtOnce = 8
	// issuerPatience is how many times in a row an issuer that has answered may fail before a status tells: one answer
	// that is lost must not make it flap.
	issuerPatience = 3
)

// issuerProbe knows which external issuers answer. Servers find out for themselves and need no status; this is for
// people. Reconciling asks nobody: it says which providers to look at, and is told when something has changed.
type issuerProbe struct {
	log   logr.Logger
	every time.Duration
	ask   func(ctx context.Context, spec *v1alpha1.JWTProvider) error
	// told gets the providers whose issuer began or ceased to answer.
	told chan event.GenericEvent
	wake chan struct{}

	mu    sync.Mutex
	known map[types.NamespacedName]*probedIssuer
}

// probedIssuer is one version of one provider.
type probedIssuer struct {
	object *v1alpha1.IdentityProvider
	asked  time.Time
	reach  reach
}

// reach is what came of asking.
type reach struct {
	// known says that there was an answer, or none, that counts.
	known bool
	// failures are those since the last success.
	failures int
	// fault is why the issuer does not count as answering; empty if it does.
	fault string
}

func newIssuerProbe(log logr.Logger, every time.Duration) *issuerProbe {
	if every <= 0 {
		every = issuerEvery
	}
	return &issuerProbe{
		log: log, every: every, ask: askIssuer, told: make(chan event.GenericEvent), wake: make(chan struct{}, 1),
		known: map[types.NamespacedName]*probedIssuer{},
	}
}

func askIssuer(ctx context.Context, spec *v1alpha1.JWTProvider) error {
	source, err := openid.NewSource(spec.Issuer)
	if err != nil {
		return err
	}
	_, err = source.Keys(ctx)
	return err
}

// after returns the next state. An issuer that answered, be it a manager before this one that saw it, is believed to for
// a while.
func (r reach) after(fault string, wasReady bool) reach {
	switch {
	case fault == "":
		return reach{known: true}
	case r.fault != "" || !r.known && !wasReady || r.failures+1 >= issuerPatience:
		return reach{known: true, failures: r.failures + 1, fault: fault}
	}
	return reach{known: true, failures: r.failures + 1}
}

// state returns what is known of the provider's issuer. If nothing is, it will be asked, and the provider told.
func (p *issuerProbe) state(object *v1alpha1.IdentityProvider) reach {
	name := client.ObjectKeyFromObject(object)
	p.mu.Lock()
	defer p.mu.Unlock()
	entry := p.known[name]
	if entry == nil || entry.object.UID != object.UID || entry.object.Generation != object.Generation {
		entry = &probedIssuer{object: object.DeepCopy()}
		p.known[name] = entry
	}
	if !entry.reach.known {
		select {
		case p.wake <- struct{}{}:
		default: // it is awake
		}
	}
	return entry.reach
}

// forget ends looking at a provider that is gone, or that cannot serve anyway.
func (p *issuerProbe) forget(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, name)
}

// Start asks until the context ends. The manager runs it where it leads.
func (p *issuerProbe) Start(ctx context.Context) error {
	// More often than issuers are asked, so that the time between two questions is not doubled by a hair.
	look := time.NewTicker(p.every / 6)
	defer look.Stop()
	for {
		p.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		case <-look.C:
		}
	}
}

// round asks those whose time has come.
func (p *issuerProbe) round(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(issuersAtOnce)
	for _, entry := range p.due() {
		group.Go(func() error {
			limited, cancel := context.WithTimeout(ctx, issuerTimeout)
			defer cancel()
			p.learn(ctx, entry, p.ask(limited, entry.object.Spec.JWT))
			return nil
		})
	}
	_ = group.Wait() // none returns an error
}

// due returns the entries to ask about, and notes that they are.
func (p *issuerProbe) due() []*probedIssuer {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	var due []*probedIssuer
	for _, entry := range p.known {
		if entry.asked.IsZero() || now.Sub(entry.asked) >= p.every {
			entry.asked = now
			due = append(due, entry)
		}
	}
	return due
}

// learn notes what came of a question, and tells the provider if that changes its status.
func (p *issuerProbe) learn(ctx context.Context, entry *probedIssuer, err error) {
	p.mu.Lock()
	before := entry.reach
	entry.reach = before.after(issuerFault(err), servedBefore(entry.object))
	after := entry.reach
	p.mu.Unlock()
	if before.known == after.known && before.fault == after.fault {
		return
	}
	if after.fault != "" {
		p.log.Error(err, "Could not have the keys of an issuer", "identityProvider", entry.object.Name)
	}
	select {
	case p.told <- event.GenericEvent{Object: entry.object}:
	case <-ctx.Done():
	}
}

// issuerFault says what a status does: nothing that differs each time, such as the port of a connection.
func issuerFault(err error) string {
	var fault *openid.Fault
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fault):
		return fault.Message
	default:
		return "the issuer cannot be asked"
	}
}

// servedBefore says whether the status of this version says that its issuer answers.
func servedBefore(object *v1alpha1.IdentityProvider) bool {
	for _, c := range object.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return c.Status == "True" && c.ObservedGeneration == object.Generation
		}
	}
	return false
}
